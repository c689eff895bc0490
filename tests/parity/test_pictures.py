"""Functions and layers of pictures against PyTorch: equal inputs in float64 give equal outputs and equal gradients."""

import numpy as np
import pytest
from function_cases import as_tuple

from minis2s import functional as F
from minis2s import nn

pytestmark = pytest.mark.parity

R = np.random.default_rng(14)
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def normal(*shape):
    return R.normal(size=shape)


def compare(torch, ours, theirs, inputs):
    """The first output and the gradients of `ours(*arrays)` and `theirs(*tensors)`."""
    y, backward = ours(*inputs)
    y = as_tuple(y)[0]
    tensors = [torch.tensor(np.ascontiguousarray(x)).requires_grad_() for x in inputs]
    expected = theirs(*tensors)
    np.testing.assert_allclose(y, expected.detach().numpy(), **EXACT)
    dy = np.asarray(R.normal(size=y.shape))
    (expected * torch.tensor(dy)).sum().backward()
    for dx, x in zip(as_tuple(backward(dy)), tensors, strict=False):
        np.testing.assert_allclose(dx, x.grad.numpy(), **EXACT)


CONVOLUTIONS = [  # x, weight, options
    ((2, 4, 5, 7), (3, 4, 3, 2), {"stride": (2, 1), "padding": (1, 2)}),
    ((1, 1, 6, 5), (1, 1, 2, 3), {}),
    ((2, 4, 9, 7), (3, 4, 2, 2), {"stride": (3, 4), "padding": 1}),
    ((2, 4, 9, 7), (2, 4, 2, 3), {"dilation": (3, 2), "padding": (0, 3), "stride": 2}),
    ((3, 4, 5, 6), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    ((3, 4, 5, 6), (8, 1, 3, 3), {"groups": 4, "stride": 2}),
    ((2, 8, 5, 6), (1, 8, 3, 3), {"padding": 1}),
    ((2, 3, 4, 6), (5, 3, 1, 1), {}),
]
TRANSPOSED = [
    ((2, 4, 3, 2), (4, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    ((1, 1, 2, 3), (1, 1, 2, 3), {}),
    ((2, 4, 3, 2), (4, 3, 2, 1), {"stride": (3, 2)}),
    ((2, 4, 3, 5), (4, 2, 3, 4), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((2, 4, 3, 5), (4, 2, 2, 3), {"dilation": (3, 2), "padding": (1, 2)}),
    ((2, 4, 3, 5), (4, 3, 3, 3), {"groups": 2, "stride": 2, "output_padding": (0, 1)}),
]


@pytest.mark.parametrize(("shape", "weight", "options"), CONVOLUTIONS, ids=str)
def test_conv2d(torch, shape, weight, options):
    inputs = (normal(*shape), normal(*weight), normal(weight[0]))
    theirs = torch.nn.functional.conv2d
    compare(torch, lambda *a: F.conv2d(*a, **options), lambda *a: theirs(*a, **options), inputs)
    compare(torch, lambda *a: F.conv2d(*a, **options), lambda *a: theirs(*a, **options), inputs[:2])


@pytest.mark.parametrize(("shape", "weight", "options"), TRANSPOSED, ids=str)
def test_conv_transpose2d(torch, shape, weight, options):
    inputs = (normal(*shape), normal(*weight), normal(weight[1] * options.get("groups", 1)))
    theirs = torch.nn.functional.conv_transpose2d
    compare(torch, lambda *a: F.conv_transpose2d(*a, **options), lambda *a: theirs(*a, **options), inputs)
    compare(torch, lambda *a: F.conv_transpose2d(*a, **options), lambda *a: theirs(*a, **options), inputs[:2])


POOLS = [{"kernel_size": 2}, {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}, {"kernel_size": 2, "stride": 3}]


@pytest.mark.parametrize("options", POOLS, ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_max_pool2d(torch, options, ties):
    x = R.integers(0, 3, size=(2, 3, 7, 6)).astype(float) if ties else normal(2, 3, 7, 6)
    theirs = torch.nn.functional.max_pool2d
    for ours in (F.max_pool2d, F.max_pool2d_with_indices):
        compare(torch, lambda x, ours=ours: ours(x, **options), lambda x: theirs(x, **options), (x,))
    _, expected = theirs(torch.tensor(x), return_indices=True, **options)
    np.testing.assert_array_equal(F.max_pool2d_with_indices(x, **options)[0][1], expected.numpy())


@pytest.mark.parametrize("options", POOLS, ids=str)
def test_avg_pool2d(torch, options):
    theirs = torch.nn.functional.avg_pool2d
    compare(torch, lambda x: F.avg_pool2d(x, **options), lambda x: theirs(x, **options), (normal(2, 3, 7, 6),))


def test_max_unpool2d(torch):
    (y, indices), _ = F.max_pool2d_with_indices(normal(2, 3, 6, 7), kernel_size=2)
    theirs = torch.nn.functional.max_unpool2d
    compare(
        torch,
        lambda x: (lambda z, backward: (z, lambda dz: backward(dz)[0]))(
            *F.max_unpool2d(x, indices, output_size=(6, 7))
        ),
        lambda x: theirs(x, torch.tensor(np.ascontiguousarray(indices)), 2, output_size=(6, 7)),
        (y,),
    )


@pytest.mark.parametrize("size", [(10, 14), (8, 3), (3, 20), (1, 1)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "corners"])
def test_interpolate(torch, size, mode):
    own = {"mode": "bilinear", "align_corners": True} if mode == "corners" else {"mode": mode}
    extra = {} if mode == "nearest" else {"align_corners": mode == "corners"}
    theirs = lambda x: torch.nn.functional.interpolate(x, size, mode=own["mode"], **extra)  # noqa: E731
    compare(torch, lambda x: F.interpolate(x, size=size, **own), theirs, (normal(2, 3, 5, 7),))


@pytest.mark.parametrize(
    ("name", "options"),
    [("leaky_relu", {"negative_slope": 0.2}), ("elu", {"alpha": 0.7}), ("silu", {}), ("softplus", {})],
)
def test_activation(torch, name, options):
    theirs = getattr(torch.nn.functional, name)
    compare(torch, lambda x: getattr(F, name)(x, **options), lambda x: theirs(x, **options), (3 * normal(4, 5),))


@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 5, 6)])
def test_norms(torch, shape):
    inputs = (normal(*shape) + 1, normal(4), normal(4))
    theirs = torch.nn.functional
    compare(
        torch, F.batch_norm, lambda x, w, b: theirs.batch_norm(x, None, None, weight=w, bias=b, training=True), inputs
    )
    mean, var = normal(4), 0.5 + R.random(4)
    compare(
        torch,
        lambda x, w, b: F.batch_norm_running(x, w, b, mean=mean, var=var),
        lambda x, w, b: theirs.batch_norm(x, torch.tensor(mean), torch.tensor(var), w, b),
        inputs,
    )
    compare(
        torch,
        lambda x, w, b: F.group_norm(x, w, b, num_groups=2),
        lambda x, w, b: theirs.group_norm(x, 2, w, b),
        inputs,
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("mse", "mse_loss"), ("mae", "l1_loss"), ("binary_cross_entropy_with_logits",) * 2],
)
def test_losses_are_sums_over_an_image(torch, ours, theirs):
    target = R.random((3, 1, 4, 5))

    def own(x):
        loss, backward = getattr(F, ours)(x, target)
        return loss, lambda dloss: backward(dloss)[0]

    def wanted(x):
        return getattr(torch.nn.functional, theirs)(x, torch.tensor(target), reduction="sum") / 3

    compare(torch, own, wanted, (2 * normal(3, 1, 4, 5),))


def test_divergence(torch):
    def wanted(mean, logvar):
        distributions = torch.distributions
        q = distributions.Normal(mean, torch.exp(logvar / 2))
        return distributions.kl_divergence(q, distributions.Normal(0.0, 1.0)).sum() / len(mean)

    compare(torch, F.gaussian_kl, wanted, (normal(3, 4), normal(3, 4)))


# ------------------------------------------------------------------------------------------------- layers


LAYERS = {
    "Conv2d": ((4, 6, (3, 2), 2, 1, 1, 2), (3, 4, 7, 6)),
    "ConvTranspose2d": ((4, 6, 3, 2, 1, 1, 2), (3, 4, 4, 5)),
    "BatchNorm2d": ((4,), (3, 4, 5, 6)),
    "BatchNorm1d": ((4,), (6, 4)),
    "GroupNorm": ((2, 4), (3, 4, 5, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_state_dicts_go_both_ways(torch, name):
    """Names, shapes and arguments by position are PyTorch's; outputs agree in training and, after it, in evaluation."""
    arguments, shape = LAYERS[name]
    random = {"rng": np.random.default_rng(0)} if "Conv" in name else {}
    ours = getattr(nn, name)(*arguments, **random).to(dtype=np.float64)
    theirs = getattr(torch.nn, name)(*arguments).double()
    for p in theirs.parameters():
        torch.nn.init.normal_(p)
    ours.load_state_dict(theirs.state_dict())
    for _ in range(3):
        x = normal(*shape)
        np.testing.assert_allclose(ours(x)[0], theirs(torch.tensor(x)).detach().numpy(), **EXACT)
    own, wanted = ours.state_dict(), theirs.state_dict()
    assert own.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(own[key], value.numpy(), **EXACT)
    ours.eval()
    theirs.eval()
    x = normal(*shape)
    np.testing.assert_allclose(ours(x)[0], theirs(torch.tensor(x)).detach().numpy(), **EXACT)
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in own.items()})


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_weights_start_in_the_same_interval(torch, name):
    ours = getattr(nn, name)(8, 32, 5, groups=4, rng=np.random.default_rng(0))
    theirs = getattr(torch.nn, name)(8, 32, 5, groups=4)
    for key, value in ours.state_dict().items():
        expected = theirs.state_dict()[key].numpy()
        assert value.shape == expected.shape
        assert np.abs(value).max() == pytest.approx(np.abs(expected).max(), rel=0.25)
