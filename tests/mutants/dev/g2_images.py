"""Pictures in homework and home-made libraries: each layer with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import correlate, plain_conv


def g2_apart(*shape):
    """Draws one array whose numbers are so far apart that a small step changes no maximum."""
    return lambda rng: (rng.permutation(np.prod(shape)).reshape(shape) / 20 - 1,)


@mutant(
    "alexnet_pool_winner_of_two_windows_paid_once",
    cause="sum-missing",
    also=("repeated-ids-assigned",),
    inputs=g2_apart(2, 3, 7, 9),
    wrong=("dx",),
    note="windows of 3 x 3, two pixels apart, share a row or a column",
)
def alexnet_pool_winner_of_two_windows_paid_once(x):
    """Remembers where the largest stood."""
    size, stride = 3, 2
    N, C, H, W = x.shape
    h_out, w_out = (H - size) // stride + 1, (W - size) // stride + 1
    out = np.zeros((N, C, h_out, w_out))
    where = {}
    for n, c, i, j in np.ndindex(N, C, h_out, w_out):
        window = x[n, c, i * stride : i * stride + size, j * stride : j * stride + size]
        a, b = np.unravel_index(np.argmax(window), window.shape)
        out[n, c, i, j] = window[a, b]
        where[n, c, i, j] = (n, c, i * stride + a, j * stride + b)

    def backward(dout):
        dx = np.zeros_like(x)
        for place, winner in where.items():
            dx[winner] = dout[place]  # right: dx[winner] += dout[place]
        return dx

    return out, backward


@mutant(
    "digit_pool_regions_step_by_one_on_the_way_back",
    cause="off-by-one",
    inputs=g2_apart(6, 8, 3),
    wrong=("dimage",),
    note="the forward goes to the regions i * 2, j * 2, the backward to i, j",
)
def digit_pool_regions_step_by_one_on_the_way_back(image):
    """One picture, channels last, regions of 2 x 2."""
    h, w, num_filters = image.shape
    output = np.zeros((h // 2, w // 2, num_filters))
    for i in range(h // 2):
        for j in range(w // 2):
            output[i, j] = np.amax(image[i * 2 : i * 2 + 2, j * 2 : j * 2 + 2], axis=(0, 1))

    def backward(d_out):
        d_input = np.zeros(image.shape)
        for i, j, i2, j2, f in np.ndindex(h // 2, w // 2, 2, 2, num_filters):
            # the pixel that was the maximum gets the gradient
            if image[i * 2 + i2, j * 2 + j2, f] == output[i, j, f]:
                # right: d_input[i * 2 + i2, j * 2 + j2, f] = d_out[i, j, f]
                d_input[i + i2, j + j2, f] = d_out[i, j, f]
        return d_input

    return output, backward


@mutant(
    "spatial_batchnorm_rows_reshaped_into_pictures",
    cause="permuted-axes",
    like="batch_norm",
    wrong=("dx",),
    note="the rows are pixels with their channels last, and are read as if the channels came first",
)
def spatial_batchnorm_rows_reshaped_into_pictures(x, gamma, beta):
    """By the batch norm for rows, of which every pixel is one."""
    N, C, H, W = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(-1, C)
    M = rows.shape[0]
    inv_std = 1 / np.sqrt(rows.var(axis=0) + 1e-5)
    x_norm = (rows - rows.mean(axis=0)) * inv_std
    out = (gamma * x_norm + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        drows = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dgamma, dbeta = np.sum(drows * x_norm, axis=0), np.sum(drows, axis=0)
        dnorm = drows * gamma
        dx = inv_std / M * (M * dnorm - dnorm.sum(axis=0) - x_norm * np.sum(dnorm * x_norm, axis=0))
        dx = dx.reshape(N, C, H, W)  # right: dx = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


def g2_channels_last(rng):
    """Pictures (m, H, W, C), kernels (f, f, C, F) and biases (1, 1, 1, F)."""
    return tuple(rng.standard_normal(s) for s in [(3, 5, 7, 2), (3, 3, 2, 4), (1, 1, 1, 4)])


@mutant(
    "conv_backward_divides_by_m_as_dense_layers_did",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=g2_channels_last,
    wrong=("dW", "db"),
    note="1 / m is from the course's dense layers, whose cost was a mean; nothing is divided here",
)
def conv_backward_divides_by_m_as_dense_layers_did(A_prev, W, b):
    """Stride 2, padding 1."""
    stride, pad = 2, 1
    m, n_H_prev, n_W_prev, _ = A_prev.shape
    f, _, _, n_C = W.shape
    n_H, n_W = (n_H_prev - f + 2 * pad) // stride + 1, (n_W_prev - f + 2 * pad) // stride + 1
    A_pad = np.pad(A_prev, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    Z = np.zeros((m, n_H, n_W, n_C))
    for i, h, w, c in np.ndindex(*Z.shape):
        a_slice = A_pad[i, h * stride : h * stride + f, w * stride : w * stride + f]
        Z[i, h, w, c] = np.sum(a_slice * W[..., c]) + b[0, 0, 0, c]

    def backward(dZ):
        dA_pad, dW, db = np.zeros_like(A_pad), np.zeros_like(W), np.zeros_like(b)
        for i, h, w, c in np.ndindex(*Z.shape):
            down, right = slice(h * stride, h * stride + f), slice(w * stride, w * stride + f)
            dA_pad[i, down, right] += W[..., c] * dZ[i, h, w, c]
            dW[..., c] += A_pad[i, down, right] * dZ[i, h, w, c]
            db[..., c] += dZ[i, h, w, c]
        dA_prev = dA_pad[:, pad:-pad, pad:-pad].copy()
        return dA_prev, dW / m, db / m  # right: return dA_prev, dW, db

    return Z, backward


@mutant(
    "nearest_upsampling_hears_the_upper_left_pixel",
    cause="sum-missing",
    also=("broadcast-not-summed",),
    inputs=lambda rng: (rng.standard_normal((2, 3, 3, 4)),),
    wrong=("dx",),
    note="sizes fit when every other pixel is taken; each pixel was copied four times",
)
def nearest_upsampling_hears_the_upper_left_pixel(x):
    """Twice as high and wide."""
    up = x.repeat(2, axis=2).repeat(2, axis=3)

    def backward(dup):
        # right: dx = dup[:, :, ::2, ::2] + dup[:, :, 1::2, ::2] + dup[:, :, ::2, 1::2] + dup[:, :, 1::2, 1::2]
        dx = dup[:, :, ::2, ::2].copy()
        return dx

    return up, backward


def g2_same_conv_backward(dout, x, w):
    """Of pictures and kernels, 3 x 3 with padding 1."""
    H, W = x.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(3):
        for j in range(3):
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, xp[:, :, i : i + H, j : j + W])
            dxp[:, :, i : i + H, j : j + W] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
    return dxp[:, :, 1:-1, 1:-1].copy(), dw


@mutant(
    "residual_block_shortcut_goes_around_the_last_relu",
    cause="activation-derivative-missing",
    inputs=lambda rng: tuple(0.6 * rng.standard_normal(s) for s in [(2, 3, 4, 5), (4, 3, 3, 3), (3, 4, 3, 3)]),
    wrong=("dx",),
    note="the sum is made before the ReLU, so both of its parts come through it",
)
def residual_block_shortcut_goes_around_the_last_relu(x, w1, w2):
    """Convolution, ReLU, convolution, plus x, ReLU."""
    z1 = plain_conv(x, w1, pad=1)
    a1 = np.maximum(z1, 0)
    z2 = plain_conv(a1, w2, pad=1) + x
    out = np.maximum(z2, 0)

    def backward(dout):
        dz2 = dout * (z2 > 0)
        da1, dw2 = g2_same_conv_backward(dz2, a1, w2)
        dz1 = da1 * (z1 > 0)
        dx, dw1 = g2_same_conv_backward(dz1, x, w1)
        dx += dout  # right: dx += dz2
        return dx, dw1, dw2

    return out, backward


def g2_columns(x, k):
    """A column for every window (of all pictures), a row for every number in it."""
    _, _, H, W = x.shape
    windows = [x[:, :, i : i + k, j : j + k].reshape(len(x), -1) for i in range(H - k + 1) for j in range(W - k + 1)]
    return np.array(windows).transpose(2, 0, 1).reshape(x.shape[1] * k * k, -1)


@mutant(
    "fast_conv_dout_reshaped_with_the_pictures_in_front",
    cause="permuted-axes",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 2, 5, 4), (4, 2, 3, 3), (4,)]),
    wrong=("dx", "dw"),
    note="(N, F, H, W) becomes (F, H W N) by transpose and reshape, not by reshape alone",
)
def fast_conv_dout_reshaped_with_the_pictures_in_front(x, w, b):
    """By im2col, windows of the pictures side by side."""
    N, C, H, W = x.shape
    F, _, k, _ = w.shape
    h_out, w_out = H - k + 1, W - k + 1
    cols = g2_columns(x, k)
    w_rows = w.reshape(F, -1)
    out = (w_rows @ cols + b[:, None]).reshape(F, h_out, w_out, N).transpose(3, 0, 1, 2)

    def backward(dout):
        db = dout.sum(axis=(0, 2, 3))
        dout_rows = dout.reshape(F, -1)  # right: dout_rows = dout.transpose(1, 2, 3, 0).reshape(F, -1)
        dw = (dout_rows @ cols.T).reshape(w.shape)
        dcols = (w_rows.T @ dout_rows).reshape(C, k, k, h_out, w_out, N)
        dx = np.zeros_like(x)
        for i in range(h_out):
            for j in range(w_out):
                dx[:, :, i : i + k, j : j + k] += dcols[:, :, :, i, j].transpose(3, 0, 1, 2)
        return dx, dw, db

    return out, backward


@mutant(
    "textbook_convolution_kernel_gradient_stays_turned",
    cause="kernel-not-flipped",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 5, 6), (3, 2), (1,)]),
    wrong=("dkernel",),
    note="the forward turns the kernel, so what is read off by sliding dout over the picture is turned, too",
)
def textbook_convolution_kernel_gradient_stays_turned(pictures, kernel, bias):
    """What mathematicians call a convolution: of grey pictures (N, H, W), with a sigmoid."""
    kh, kw = kernel.shape
    turned = np.rot90(kernel, 2)
    y = np.array([1 / (1 + np.exp(-correlate(p, turned) - bias)) for p in pictures])

    def backward(dy):
        da = dy * y * (1 - y)
        dpictures, dkernel = np.zeros_like(pictures), np.zeros_like(kernel)
        for n in range(len(pictures)):
            dkernel += correlate(pictures[n], da[n])  # right: dkernel += np.rot90(correlate(pictures[n], da[n]), 2)
            # `turned` turned once more is the kernel
            dpictures[n] = correlate(np.pad(da[n], ((kh - 1, kh - 1), (kw - 1, kw - 1))), kernel)
        return dpictures, dkernel, da.sum(keepdims=True)[0, 0]

    return y, backward
