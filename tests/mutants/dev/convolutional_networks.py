"""Nets of convolutions and their blocks: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import plain_conv


def same_conv_backward(dout, x, w):
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
        da1, dw2 = same_conv_backward(dz2, a1, w2)
        dz1 = da1 * (z1 > 0)
        dx, dw1 = same_conv_backward(dz1, x, w1)
        dx += dout  # right: dx += dz2
        return dx, dw1, dw2

    return out, backward


@mutant(
    "resnet_block_relu_before_the_shortcut",
    cause="derivative-at-preactivation",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 3, 4, 5), (3, 3, 3, 3), (3,)]),
    wrong=("dx", "dw", "db"),
    note="the forward pass cuts off after the shortcut is added, the backward pass asks what the convolution gave",
)
def resnet_block_relu_before_the_shortcut(x, w, b):
    """Convolution of 3 x 3 with padding 1, plus its own input, then ReLU."""
    conv = plain_conv(x, w, pad=1) + b.reshape(1, -1, 1, 1)
    added = conv + x
    out = np.maximum(added, 0)

    def backward(dout):
        dadded = dout * (conv > 0)  # right: dadded = dout * (added > 0)
        H, W = x.shape[2:]
        xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for i in range(3):
            for j in range(3):
                dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dadded, xp[:, :, i : i + H, j : j + W])
                dxp[:, :, i : i + H, j : j + W] += np.einsum("nfhw,fc->nchw", dadded, w[:, :, i, j])
        return dadded + dxp[:, :, 1:-1, 1:-1], dw, dadded.sum(axis=(0, 2, 3))

    return out, backward


def skip_and_upsampled(rng):
    """Two stacks of maps (N, C, H, W), weights (F, 2 C) and a bias (F,)."""
    return tuple(rng.standard_normal(s) for s in [(2, 3, 4, 5), (2, 3, 4, 5), (4, 6), (4,)])


@mutant(
    "unet_joint_split_in_the_other_order",
    cause="swapped-gradients",
    inputs=skip_and_upsampled,
    wrong=("dup", "dskip"),
    note="what was concatenated first is taken for the second",
)
def unet_joint_split_in_the_other_order(up, skip, w, b):
    """Maps from below and maps of the same size from the other side, side by side, then a 1 x 1 convolution."""
    C = skip.shape[1]
    cat = np.concatenate((skip, up), axis=1)
    out = np.einsum("nchw,fc->nfhw", cat, w) + b.reshape(1, -1, 1, 1)

    def backward(dout):
        dw = np.einsum("nfhw,nchw->fc", dout, cat)
        dcat = np.einsum("nfhw,fc->nchw", dout, w)
        # right: dskip, dup = dcat[:, :C].copy(), dcat[:, C:].copy()
        dup, dskip = dcat[:, :C].copy(), dcat[:, C:].copy()
        return dup, dskip, dw, dout.sum(axis=(0, 2, 3))

    return out, backward


def digit(rng):
    """One picture (H, W), filters (F, 3, 3) and biases (F,)."""
    return rng.standard_normal((6, 5)), rng.standard_normal((4, 3, 3)), rng.standard_normal(4)


def regions(picture):
    """Every patch of 3 x 3, and where it stands."""
    for i in range(picture.shape[0] - 2):
        for j in range(picture.shape[1] - 2):
            yield picture[i : i + 3, j : j + 3], i, j


@mutant(
    "conv3x3_relu_lets_positive_gradients_through",
    cause="derivative-at-preactivation",
    inputs=digit,
    wrong=("dpicture", "dfilters", "dbias"),
    note="relu's derivative is asked at the gradient",
)
def conv3x3_relu_lets_positive_gradients_through(picture, filters, bias):
    z = np.zeros((len(filters), picture.shape[0] - 2, picture.shape[1] - 2))
    for patch, i, j in regions(picture):
        z[:, i, j] = np.sum(patch * filters, axis=(1, 2)) + bias

    def backward(d_out):
        dz = np.where(d_out > 0, d_out, 0)  # right: dz = np.where(z > 0, d_out, 0)
        d_picture, d_filters = np.zeros_like(picture), np.zeros_like(filters)
        for patch, i, j in regions(picture):
            for f in range(len(filters)):
                d_filters[f] += dz[f, i, j] * patch
                d_picture[i : i + 3, j : j + 3] += dz[f, i, j] * filters[f]
        return d_picture, d_filters, dz.sum(axis=(1, 2))

    return np.maximum(z, 0), backward


@mutant(
    "total_variation_pushes_both_neighbours_up",
    cause="wrong-sign",
    inputs=lambda rng: (rng.standard_normal((5, 4, 3)),),
    wrong=("dimg",),
    note="the pixel that is subtracted gets minus the gradient",
)
def total_variation_pushes_both_neighbours_up(img):
    """Squared steps from each pixel of (H, W, 3) to the next one down and to the right."""
    tv_weight = 0.3
    down = img[1:] - img[:-1]
    right = img[:, 1:] - img[:, :-1]
    loss = tv_weight * (np.sum(down**2) + np.sum(right**2))

    def backward(dloss):
        g_down, g_right = 2 * tv_weight * dloss * down, 2 * tv_weight * dloss * right
        dimg = np.zeros_like(img)
        dimg[1:] += g_down
        dimg[:-1] -= g_down
        dimg[:, 1:] += g_right
        dimg[:, :-1] += g_right  # right: dimg[:, :-1] -= g_right
        return dimg

    return loss, backward


def squeeze_inputs(rng):
    """Maps (N, C, H, W), and matrix and bias of the way down (C, R) and up (R, C)."""
    return tuple(rng.standard_normal(s) for s in [(3, 4, 3, 5), (4, 6), (6,), (6, 4), (4,)])


@mutant(
    "squeeze_and_excite_maps_are_only_scaled",
    cause="branch-missing",
    inputs=squeeze_inputs,
    wrong=("dx",),
    note="the maps decide on their own gates, too",
)
def squeeze_and_excite_maps_are_only_scaled(x, w1, b1, w2, b2):
    """A gate for each map, from the means of all maps."""
    squeezed = x.mean(axis=(2, 3))
    hidden = np.maximum(0, squeezed @ w1 + b1)
    gate = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    out = x * gate[:, :, None, None]

    def backward(dout):
        dx = dout * gate[:, :, None, None]
        dgate = np.sum(dout * x, axis=(2, 3))
        dup = dgate * gate * (1 - gate)
        ddown = (dup @ w2.T) * (hidden > 0)
        # missing: dx = dx + (ddown @ w1.T)[:, :, None, None] / x[0, 0].size
        return dx, squeezed.T @ ddown, ddown.sum(axis=0), hidden.T @ dup, dup.sum(axis=0)

    return out, backward


@mutant(
    "network_in_network_weight_by_input_times_output",
    cause="transposed",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 4, 3, 5), (4, 4), (4, 1)]),
    wrong=("dW",),
    note="as many maps come out as go in, so the matrix fits either way",
)
def network_in_network_weight_by_input_times_output(x, W, b):
    """A 1 x 1 convolution, as a product with a column for every pixel."""
    N, C, H, w = x.shape
    cols = x.transpose(1, 0, 2, 3).reshape(C, -1)
    out = (W @ cols + b).reshape(-1, N, H, w).transpose(1, 0, 2, 3)

    def backward(dout):
        dcols = dout.transpose(1, 0, 2, 3).reshape(len(W), -1)
        dW = cols @ dcols.T  # right: dW = dcols @ cols.T
        db = dcols.sum(axis=1, keepdims=True)
        dx = (W.T @ dcols).reshape(C, N, H, w).transpose(1, 0, 2, 3)
        return dx, dW, db

    return out, backward


@mutant(
    "style_loss_features_meet_themselves_once",
    cause="constant-factor",
    also=("branch-missing",),
    inputs=lambda rng: (rng.standard_normal((4, 3, 5)), rng.standard_normal((4, 4))),
    wrong=("dfeatures",),
    note="the features stand on both sides of the Gram matrix",
)
def style_loss_features_meet_themselves_once(features, gram_style):
    """Squared distance of the Gram matrix of (C, H, W) from that of a painting."""
    C, H, W = features.shape
    flat = features.reshape(C, H * W)
    gram = flat @ flat.T / (C * H * W)
    # a Gram matrix is symmetric, whatever is given for the painting's
    target = (gram_style + gram_style.T) / 2
    loss = np.sum((gram - target) ** 2)

    def backward(dloss):
        dgram = 2 * dloss * (gram - target)
        dflat = dgram @ flat / (C * H * W)  # right: dflat = 2 * dgram @ flat / (C * H * W)
        return dflat.reshape(C, H, W), -dgram

    return loss, backward


def lenet_inputs(rng):
    """Pictures (N, C, H, W), kernels (F, C, k, k) and biases (F,)."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(2, 2, 6, 8), (3, 2, 3, 3), (3,)])


@mutant(
    "lenet_delta_is_only_spread_out",
    cause="activation-derivative-missing",
    inputs=lenet_inputs,
    wrong=("dx", "dk", "dbias"),
    note="the subsampling layer hands its delta up, and the map's f'(a) is left out",
)
def lenet_delta_is_only_spread_out(x, k, bias):
    """Convolution, sigmoid, and means of blocks of two by two."""
    maps = 1 / (1 + np.exp(-(plain_conv(x, k, pad=0) + bias[:, None, None])))
    H, W = maps.shape[2:]
    pooled = (maps[:, :, ::2, ::2] + maps[:, :, 1::2, ::2] + maps[:, :, ::2, 1::2] + maps[:, :, 1::2, 1::2]) / 4

    def backward(delta):
        delta = np.kron(delta, np.ones((2, 2))) / 4
        # missing: delta = delta * maps * (1 - maps)
        dx, dk = np.zeros_like(x), np.zeros_like(k)
        for u in range(3):
            for v in range(3):
                dk[:, :, u, v] = np.einsum("nfhw,nchw->fc", delta, x[:, :, u : u + H, v : v + W])
                dx[:, :, u : u + H, v : v + W] += np.einsum("nfhw,fc->nchw", delta, k[:, :, u, v])
        return dx, dk, delta.sum(axis=(0, 2, 3))

    return pooled, backward
