"""Layers of pictures: gradients by inputs and weights, what evaluation changes, what a state holds."""

import numpy as np
import pytest
from numeric import numeric_gradients, relative_error

from minis2s import nn


def rng(seed=0):
    return np.random.default_rng(seed)


LAYERS = {
    "Conv2d": (lambda: nn.Conv2d(2, 4, (3, 2), 2, 1, groups=2, rng=rng()), (2, 2, 5, 4)),
    "Conv2d-no bias": (lambda: nn.Conv2d(2, 3, 2, bias=False, rng=rng()), (2, 2, 3, 4)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 3, 2, 1, 1, rng=rng()), (2, 2, 2, 3)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2), (2, 2, 3, 2)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (4, 3)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 2, 3)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (2, 2, 4, 3)),
    "Upsample": (lambda: nn.Upsample(scale_factor=1.5, mode="bilinear"), (2, 2, 4, 2)),
    "Sequential": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 2, rng=rng()), nn.Tanh(), nn.Flatten(), nn.Linear(12, 4, rng=rng()), nn.Unflatten((1, 2, 2))
        ),
        (2, 1, 3, 4),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name):
    make, shape = LAYERS[name]
    layer, x = make().to(dtype=np.float64), rng(1).normal(size=shape)
    layer.buffer.data += rng(3).normal(size=layer.buffer.data.shape)
    y, backward = layer(x)
    dy = rng(2).normal(size=y.shape)
    layer.zero_grad()
    dx = backward(dy)
    parameters = list(layer.parameters())
    gradients = (dx, *(p.grad.copy() for p in parameters))

    def whole(x, *weights):
        for p, value in zip(parameters, weights, strict=True):
            p.data[...] = value
        return layer(x)

    numeric = numeric_gradients(whole, (x, *(p.data.copy() for p in parameters)), (dy,))
    for analytic, expected in zip(gradients, numeric, strict=True):
        assert relative_error(analytic, expected) < 1e-7
    once = layer.buffer.grad.copy()
    backward(dy)
    np.testing.assert_allclose(layer.buffer.grad, 2 * once, rtol=1e-12)


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "ELU", "SiLU", "Softplus", "Sigmoid", "Tanh"])
def test_activations_are_their_functions(name):
    x = rng(1).normal(size=(3, 4))
    y, backward = getattr(nn, name)()(x)
    (numeric,) = numeric_gradients(getattr(nn, name)(), (x,), (x,))
    assert y.shape == x.shape
    assert relative_error(backward(x), numeric) < 1e-7


def test_running_statistics_are_state_and_no_parameters():
    layer = nn.BatchNorm2d(3)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    x = 2 * rng(1).normal(size=(50, 3, 4, 4)).astype(np.float32) + 1
    for _ in range(100):
        layer(x)
    np.testing.assert_allclose(layer.running_mean.data, x.mean(axis=(0, 2, 3)), rtol=1e-3)
    np.testing.assert_allclose(layer.running_var.data, x.var(axis=(0, 2, 3), ddof=1), rtol=1e-3)
    again = nn.Sequential(nn.BatchNorm2d(3))
    again.load_state_dict({f"0.{key}": value for key, value in layer.state_dict().items()})
    assert again.state_dict()["0.num_batches_tracked"] == 100
    np.testing.assert_array_equal(again.eval()(x)[0], layer.eval()(x)[0])
    again.to(dtype=np.float64)
    assert again.layers[0].running_var.data.dtype == np.float64
    assert again.layers[0].num_batches_tracked.data.dtype == np.int64


def test_a_state_without_statistics_is_refused():
    layer = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match=r"missing \['num_batches_tracked', 'running_mean', 'running_var'\]"):
        layer.load_state_dict({"weight": np.ones(3), "bias": np.ones(3)})


def test_a_layer_that_reads_data_ends_the_way_back():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, rng=rng(), input_gradient=False))
    same = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, rng=rng()))
    x = rng(1).normal(size=(5, 1, 3, 4))
    y, backward = net(x)
    assert backward(np.ones_like(y)) is None
    same(x)[1](np.ones_like(y))
    np.testing.assert_array_equal(net.buffer.grad, same.buffer.grad)
    y, backward = nn.Conv2d(1, 2, 2, rng=rng(), input_gradient=False)(x)
    assert backward(np.ones_like(y)) is None


def test_pooling_and_back():
    x = rng(1).normal(size=(2, 3, 6, 5))
    (y, indices), _ = nn.MaxPool2d(2, return_indices=True)(x)
    z, _ = nn.MaxUnpool2d(2)(y, indices, (6, 5))
    assert ((z == x) | (z == 0)).all()
    assert nn.MaxUnpool2d(2)(y[..., :2], np.arange(6).reshape(3, 2) + np.zeros_like(indices[..., :2]))[0].shape[2:] == (
        6,
        4,
    )


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="Upsample: size is None, scale_factor None; expected one of the two"):
        nn.Upsample()
    with pytest.raises(ValueError, match="GroupNorm: num_channels is 4, which 3 groups do not divide"):
        nn.GroupNorm(3, 4)
