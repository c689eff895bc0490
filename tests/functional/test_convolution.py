"""Convolution, its transpose, pooling, upsampling: slow loops, identities, edges, errors."""

import numpy as np
import pytest
from devices import FakeDevice

from minis2s import functional as F
from minis2s.functional import convolution

R = np.random.default_rng(13)


def slow_conv2d(x, weight, bias, stride, padding, dilation, groups):
    """One window after the other."""
    (N, C, H, W), (O, c, kh, kw) = x.shape, weight.shape
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    padded = np.zeros((N, C, H + 2 * ph, W + 2 * pw))
    padded[:, :, ph : ph + H, pw : pw + W] = x
    OH, OW = (H + 2 * ph - dh * (kh - 1) - 1) // sh + 1, (W + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    y = np.empty((N, O, OH, OW))
    for n, o, h, w in np.ndindex(y.shape):
        g = o // (O // groups)
        window = padded[
            n, g * c : (g + 1) * c, h * sh : h * sh + dh * (kh - 1) + 1 : dh, w * sw : w * sw + dw * (kw - 1) + 1 : dw
        ]
        y[n, o, h, w] = (window * weight[o]).sum() + bias[o]
    return y


GEOMETRIES = [  # stride, padding, dilation, groups
    ((1, 1), (0, 0), (1, 1), 1),
    ((2, 3), (1, 0), (1, 1), 1),
    ((1, 2), (2, 1), (2, 1), 2),
    ((4, 5), (1, 1), (1, 1), 1),
    ((1, 1), (2, 2), (1, 2), 4),
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_conv2d_against_a_slow_loop(geometry):
    stride, padding, dilation, groups = geometry
    x, weight, bias = R.normal(size=(2, 4, 7, 6)), R.normal(size=(4, 4 // groups, 3, 2)), R.normal(size=4)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    y, _ = F.conv2d(x, weight, bias, **options)
    np.testing.assert_allclose(y, slow_conv2d(x, weight, bias, *geometry), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_the_transpose_is_the_adjoint(geometry):
    """<conv(x), y> = <x, transpose(y)>, which is what makes one the other's backward."""
    stride, padding, dilation, groups = geometry
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, weight = R.normal(size=(2, 4, 7, 6)), R.normal(size=(6 * groups, 4 // groups, 3, 2))
    y, backward = F.conv2d(x, weight, **options)
    dy = R.normal(size=y.shape)
    smallest = F.conv_transpose2d(dy, weight, **options)[0].shape[2:]
    extra = tuple(n - m for n, m in zip(x.shape[2:], smallest, strict=True))
    back, transpose_backward = F.conv_transpose2d(dy, weight, output_padding=extra, **options)
    assert (y * dy).sum() == pytest.approx((x * back).sum(), rel=1e-12)
    np.testing.assert_allclose(backward(dy)[0], back, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(transpose_backward(x)[0], y, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(transpose_backward(x)[1], backward(dy)[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
def test_few_channels_of_many_are_painted_and_the_same(groups, monkeypatch):
    """8 channels to 1 take another way: its results are those of the common one."""
    x, weight, bias = R.normal(size=(2, 16, 6, 5)), R.normal(size=(2, 16 // groups, 3, 2)), R.normal(size=2)
    options = {"padding": (1, 0), "dilation": (1, 2), "groups": groups}
    asked = []
    by_painting = convolution._conv2d_by_painting
    monkeypatch.setattr(convolution, "_conv2d_by_painting", lambda *a: asked.append(a) or by_painting(*a))
    y, backward = F.conv2d(x, weight, bias, **options)
    assert asked
    expected = slow_conv2d(x, weight, bias, (1, 1), (1, 0), (1, 2), groups)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    dy = R.normal(size=y.shape)
    halves = np.concatenate([x, x[:, :0]], axis=1)
    many = np.concatenate([weight, np.zeros((14, *weight.shape[1:]))]) if groups == 1 else None
    if many is not None:  # enough outputs for the common way
        _, common = F.conv2d(halves, many, **options)
        dx, dweight, _ = common(np.concatenate([dy, np.zeros((2, 14, *dy.shape[2:]))], axis=1))
        np.testing.assert_allclose(backward(dy)[0], dx, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(backward(dy)[1], dweight[:2], rtol=1e-12, atol=1e-12)


def test_blocks_and_cores_change_nothing(monkeypatch):
    """A picture so large that its windows are seen in blocks, and both gradients are made side by side."""
    x, weight, dy = R.normal(size=(16, 8, 24, 20)), R.normal(size=(6, 8, 3, 3)), R.normal(size=(16, 6, 12, 10))
    small = R.normal(size=(16, 6, 12, 10))

    def results():
        y, backward = F.conv2d(x, weight, stride=2, padding=1)
        z, transpose_backward = F.conv_transpose2d(small, weight, stride=2, padding=1, output_padding=1)
        return [y, *backward(dy)[:2], z, *transpose_backward(x)[:2]]

    monkeypatch.setattr(convolution, "PAYS", 1 << 60)
    monkeypatch.setattr(convolution, "BLOCK", 1 << 60)
    whole = results()
    monkeypatch.setattr(convolution, "PAYS", 1)
    for block in (1, 20_000):
        monkeypatch.setattr(convolution, "BLOCK", block)
        for got, expected in zip(results(), whole, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def test_pictures_lie_batch_last_and_are_not_copied_again():
    x = R.normal(size=(3, 2, 5, 4))
    y, backward = F.conv2d(x, R.normal(size=(4, 2, 3, 3)), padding=1)
    assert y.transpose(1, 2, 3, 0).flags.c_contiguous
    assert np.shares_memory(convolution.batch_last(y), y)
    assert F.relu(y)[0].strides == y.strides
    assert backward(y)[0].transpose(1, 2, 3, 0).flags.c_contiguous


def test_data_needs_no_gradient():
    x, weight, bias = R.normal(size=(3, 2, 5, 4)), R.normal(size=(4, 2, 3, 3)), R.normal(size=4)
    y, backward = F.conv2d(x, weight, bias)
    _, spared = F.conv2d(x, weight, bias, input_gradient=False)
    dy = R.normal(size=y.shape)
    assert spared(dy)[0] is None
    for got, expected in zip(spared(dy)[1:], backward(dy)[1:], strict=True):
        np.testing.assert_array_equal(got, expected)
    rows, weight = R.normal(size=(3, 4)), R.normal(size=(2, 4))
    dx, dweight, _ = F.linear(rows, weight, input_gradient=False)[1](np.ones((3, 2)))
    assert dx is None
    np.testing.assert_array_equal(dweight, F.linear(rows, weight)[1](np.ones((3, 2)))[1])


@pytest.mark.parametrize("shape", [(0, 2, 5, 4), (1, 2, 3, 3), (1, 2, 5, 4)])
def test_batches_of_none_and_one(shape):
    x, weight = R.normal(size=shape), R.normal(size=(3, 2, 3, 3))
    y, backward = F.conv2d(x, weight)
    assert y.shape == (shape[0], 3, shape[2] - 2, shape[3] - 2)
    dx, dweight, _ = backward(np.ones_like(y))
    assert dx.shape == shape
    assert dweight.shape == weight.shape


def test_one_launch_gathers_on_a_device(monkeypatch):
    device = FakeDevice(monkeypatch)
    x, weight = device.put(
        (R.normal(size=(2, 3, 6, 6)).astype(np.float32), R.normal(size=(4, 3, 3, 3)).astype(np.float32))
    )
    with device.strict() as trace:
        y, _ = F.conv2d(x, weight)
    assert y.shape == (2, 4, 4, 4)
    assert trace.launches <= 4, trace.report()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv2d(np.zeros((1, 3, 4, 4)), np.zeros((2, 4, 3, 3))), "conv2d: x has 3 channels, weight with"),
        (lambda: F.conv2d(np.zeros((1, 4, 4, 4)), np.zeros((3, 2, 3, 3)), groups=2), "groups is 2, which divides not"),
        (lambda: F.conv2d(np.zeros((1, 2, 2, 9)), np.zeros((3, 2, 3, 3))), r"no window of \(3, 3\)"),
        (lambda: F.conv_transpose2d(np.zeros((1, 3, 4, 4)), np.zeros((2, 4, 3, 3))), "conv_transpose2d: x has 3"),
        (
            lambda: F.conv_transpose2d(np.zeros((1, 2, 4, 4)), np.zeros((2, 4, 3, 3)), stride=2, output_padding=2),
            r"output_padding is \(2, 2\), expected less than stride \(2, 2\)",
        ),
        (lambda: F.conv_transpose2d(np.zeros((1, 2, 1, 1)), np.zeros((2, 4, 3, 3)), padding=2), "y would be -1 x -1"),
        (lambda: F.max_pool2d(np.zeros((1, 2, 4, 4)), kernel_size=2, padding=2), "padding is 2, expected at most half"),
        (lambda: F.avg_pool2d(np.zeros((1, 2, 1, 4)), kernel_size=2), r"no window of \(2, 2\)"),
        (lambda: F.max_unpool2d(np.zeros((1, 2, 2, 2)), np.zeros((1, 2, 2)), output_size=(4, 4)), "indices has shape"),
        (lambda: F.interpolate(np.zeros((1, 1, 2, 2)), size=(4, 4), mode="cubic"), "mode is 'cubic', expected nearest"),
        (lambda: F.batch_norm(np.zeros((1, 3)), np.ones(3), np.ones(3)), "one number a channel"),
        (lambda: F.group_norm(np.zeros((1, 3, 2, 2)), np.ones(3), np.ones(3), num_groups=2), "2 groups do not divide"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------------------------------- pooling


def test_of_equals_the_first_counts():
    x = np.zeros((1, 1, 4, 4))
    (y, indices), backward = F.max_pool2d_with_indices(x, kernel_size=2)
    np.testing.assert_array_equal(indices[0, 0], [[0, 2], [8, 10]])
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    np.testing.assert_array_equal(backward(np.ones_like(y))[0, 0], expected)


def test_padding_is_never_the_largest():
    y, _ = F.max_pool2d(np.full((1, 1, 2, 2), -5.0), kernel_size=2, padding=1)
    np.testing.assert_array_equal(y, -5)


def test_unpooling_puts_the_maxima_back():
    x = R.normal(size=(2, 3, 6, 5))
    (y, indices), _ = F.max_pool2d_with_indices(x, kernel_size=2)
    z, _ = F.max_unpool2d(y, indices, output_size=(6, 5))
    assert ((z == x) | (z == 0)).all()
    assert (z != 0).sum() == y.size
    np.testing.assert_array_equal(F.max_pool2d(np.where(z == 0, -9, z), kernel_size=2)[0], y)


def test_pools_on_both_cores_agree(monkeypatch):
    x, dy = R.normal(size=(8, 5, 6, 7)), R.normal(size=(8, 5, 3, 3))
    whole = [F.max_pool2d(x, kernel_size=2)[0], F.max_pool2d(x, kernel_size=2)[1](dy)]
    monkeypatch.setattr("minis2s.backend.SHARE_PAYS", 1)
    np.testing.assert_array_equal(F.max_pool2d(x, kernel_size=2)[0], whole[0])
    np.testing.assert_array_equal(F.max_pool2d(x, kernel_size=2)[1](dy), whole[1])
    norm = [F.batch_norm(x, np.ones(5), np.zeros(5))[0][k] for k in range(3)]
    monkeypatch.setattr("minis2s.backend.SHARE_PAYS", 1 << 60)
    for got, expected in zip(F.batch_norm(x, np.ones(5), np.zeros(5))[0], norm, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_average_of_ones_is_one_and_padding_counts_as_zeros():
    np.testing.assert_allclose(F.avg_pool2d(np.ones((1, 2, 4, 6)), kernel_size=2)[0], 1)
    y, _ = F.avg_pool2d(np.ones((1, 1, 2, 2)), kernel_size=2, padding=1)
    np.testing.assert_allclose(y[0, 0], 0.25)


# ------------------------------------------------------------------------------------------------- resizing, losses


def test_nearest_repeats_pixels():
    x = R.normal(size=(2, 3, 2, 3))
    np.testing.assert_array_equal(F.interpolate(x, size=(4, 6))[0], x.repeat(2, axis=2).repeat(2, axis=3))


def test_bilinear_keeps_a_constant_and_the_corners():
    np.testing.assert_allclose(F.interpolate(np.full((1, 1, 3, 4), 7.0), size=(5, 9), mode="bilinear")[0], 7)
    x = R.normal(size=(1, 1, 3, 4))
    y, _ = F.interpolate(x, size=(5, 9), mode="bilinear", align_corners=True)
    np.testing.assert_allclose(y[0, 0, [0, 0, -1, -1], [0, -1, 0, -1]], x[0, 0, [0, 0, -1, -1], [0, -1, 0, -1]])


def test_flatten_and_back():
    x = R.normal(size=(3, 2, 4, 5))
    rows, _ = F.flatten(F.conv2d(x, np.eye(2)[:, :, None, None])[0])  # batch last in memory
    np.testing.assert_allclose(rows, x.reshape(3, -1), rtol=1e-15)
    np.testing.assert_allclose(F.unflatten(rows, shape=(2, 4, 5))[0], x, rtol=1e-15)


def test_losses_are_per_image():
    x, target = np.zeros((4, 1, 2, 3)), np.full((4, 1, 2, 3), 0.5)
    assert F.mse(x, target)[0] == pytest.approx(6 * 0.25)
    assert F.mae(x, target)[0] == pytest.approx(6 * 0.5)
    assert F.binary_cross_entropy_with_logits(x, target)[0] == pytest.approx(6 * np.log(2))
    with pytest.raises(ValueError, match="mse: the arguments have shapes"):
        F.mse(x, target[:2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_extreme_logits(dtype):
    logits = np.array([[1e4, -1e4, 1e4, -1e4]], dtype=dtype)
    target = np.array([[1, 0, 0, 1]], dtype=dtype)
    loss, backward = F.binary_cross_entropy_with_logits(logits, target)
    assert loss == pytest.approx(2e4)
    np.testing.assert_allclose(backward()[0], [[0, 0, 1, -1]], atol=1e-7)


def test_divergence_of_the_prior_from_itself_is_nothing():
    zeros = np.zeros((5, 3))
    assert F.gaussian_kl(zeros, zeros)[0] == 0
    assert F.gaussian_kl(zeros, zeros, free_bits=0.25)[0] == pytest.approx(0.75)
    assert F.gaussian_kl(zeros + 2, zeros)[0] == pytest.approx(3 * 2.0)
    np.testing.assert_array_equal(F.gaussian_kl(zeros + 0.1, zeros, free_bits=0.25)[1]()[0], 0)


def test_draws_have_the_stated_moments():
    """Not exp(logvar) for the standard deviation, which half of the world's tutorials have had at some time."""
    mean, logvar = np.full((100_000, 2), [1.0, -2.0]), np.full((100_000, 2), [np.log(4.0), np.log(0.25)])
    z, _ = F.reparameterise(mean, logvar, rng=np.random.default_rng(0))
    np.testing.assert_allclose(z.mean(axis=0), [1, -2], atol=0.03)
    np.testing.assert_allclose(z.std(axis=0), [2, 0.5], rtol=0.01)
    again, _ = F.reparameterise(mean, logvar, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(z, again)


def test_batch_norm_normalises_and_returns_what_it_saw():
    x = 5 * R.normal(size=(16, 3, 4, 5)) + 2
    (y, mean, var), _ = F.batch_norm(x, np.ones(3), np.zeros(3))
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=(0, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(var, x.var(axis=(0, 2, 3), ddof=1))
    np.testing.assert_allclose(
        F.batch_norm_running(x, np.ones(3), np.zeros(3), mean=mean, var=x.var(axis=(0, 2, 3)))[0], y, rtol=1e-9
    )
