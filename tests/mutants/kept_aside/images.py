"""Convolution and pooling, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import conv_inputs, image


def plain_conv(x, w, pad):
    """Correlate (N, C, H, W) with (F, C, k, k)."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    k = w.shape[2]
    H, W = x.shape[2] - k + 1, x.shape[3] - k + 1
    out = np.zeros((len(x), len(w), H, W))
    for i in range(k):
        for j in range(k):
            out += np.einsum("nchw,fc->nfhw", x[:, :, i : i + H, j : j + W], w[:, :, i, j])
    return out


@mutant("conv_dx_with_the_kernel_as_it_is", cause="kernel-not-flipped", inputs=conv_inputs, wrong=("dx",))
def conv_dx_with_the_kernel_as_it_is(x, w, b):
    """Stride 1, padding 1, 3 x 3: the gradient of x is a convolution of dout, of the same padding."""
    out = plain_conv(x, w, pad=1) + b[:, None, None]

    def backward(dout):
        turned = w.transpose(1, 0, 2, 3)
        # missing: turned = turned[:, :, ::-1, ::-1]
        dx = plain_conv(dout, turned, pad=1)
        xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        dw = np.zeros_like(w)
        for i in range(3):
            for j in range(3):
                dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, xp[:, :, i : i + x.shape[2], j : j + x.shape[3]])
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "conv_over_time_reads_one_step_early",
    cause="off-by-one",
    inputs=lambda rng: (rng.standard_normal((7, 2, 3)), rng.standard_normal((3, 3, 4))),
    wrong=("dkernel",),
)
def conv_over_time_reads_one_step_early(x, kernel):
    """Causal: y_t sees x_t, x_(t-1) and x_(t-2), the past before the start is zero."""
    K, T = len(kernel), len(x)
    y = np.zeros((T, x.shape[1], kernel.shape[2]))
    for t in range(T):
        for k in range(K):
            if t - k >= 0:
                y[t] += x[t - k] @ kernel[k]

    def backward(dy):
        dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
        for t in range(T):
            for k in range(K):
                if t - k >= 0:
                    dx[t - k] += dy[t] @ kernel[k].T
                if t - k - 1 >= 0:  # right: if t - k >= 0:
                    dkernel[k] += x[t - k - 1].T @ dy[t]  # right: dkernel[k] += x[t - k].T @ dy[t]
        return dx, dkernel

    return y, backward


@mutant("average_pool_not_divided", cause="wrong-count", also=("constant-factor",), inputs=image, wrong=("dx",))
def average_pool_not_divided(x):
    N, C, H, W = x.shape
    blocks = x.reshape(N, C, H // 2, 2, W // 2, 2)

    def backward(dout):
        dx = np.repeat(np.repeat(dout, 2, axis=2), 2, axis=3)
        # missing: dx = dx / 4
        return dx

    return blocks.mean(axis=(3, 5)), backward


@mutant(
    "group_norm_as_if_one_group",
    cause="wrong-sum-axis",
    inputs=lambda rng: (rng.standard_normal((2, 4, 3, 3)) + 0.5,),
    note="the gradient's means are taken over all channels, not over a group's",
    wrong=("dx",),
)
def group_norm_as_if_one_group(x):
    N, C, H, W = x.shape
    g = x.reshape(N, 2, C // 2, H, W)
    std = np.sqrt(g.var(axis=(2, 3, 4), keepdims=True) + 1e-5)
    hat = (g - g.mean(axis=(2, 3, 4), keepdims=True)) / std

    def backward(dy):
        d = dy.reshape(hat.shape)
        axes = (1, 2, 3, 4)  # right: axes = (2, 3, 4)
        dx = d - d.mean(axis=axes, keepdims=True) - hat * (d * hat).mean(axis=axes, keepdims=True)
        return (dx / std).reshape(x.shape)

    return hat.reshape(x.shape), backward


# --------------------------------------------------------------------------------------- enlarging, painting, pooling


def neighbours(small, large):
    """For each place of the large axis the two places of the small one it lies between, and how near the second is."""
    at = np.clip((np.arange(large) + 0.5) * (small / large) - 0.5, 0, None)
    first = np.floor(at).astype(int)
    return first, np.minimum(first + 1, small - 1), at - first


@mutant(
    "bilinear_neighbours_overwrite",
    cause="repeated-ids-assigned",
    also=("sum-missing",),
    like="interpolate, bilinear",
    wrong=("dx",),
    note="a pixel is a neighbour of several places, `+=` with index arrays adds the last of them",
)
def bilinear_neighbours_overwrite(x):
    """To 8 x 3 pixels."""
    top, bottom, down = neighbours(x.shape[2], 8)
    left, right, along = neighbours(x.shape[3], 3)
    corners = [
        (top, left, np.outer(1 - down, 1 - along)),
        (top, right, np.outer(1 - down, along)),
        (bottom, left, np.outer(down, 1 - along)),
        (bottom, right, np.outer(down, along)),
    ]
    out = sum(x[:, :, i[:, None], j] * weight for i, j, weight in corners)

    def backward(dout):
        dx = np.zeros_like(x)
        for i, j, weight in corners:
            # right: np.add.at(dx, (slice(None), slice(None), i[:, None], j), dout * weight)
            dx[:, :, i[:, None], j] += dout * weight
        return dx

    return out, backward


@mutant(
    "upconv_weight_ignores_the_border",
    cause="off-by-one",
    like="conv_transpose2d",
    wrong=("dw",),
    note="the row of padding that the forward pass cuts away is not counted when the weight's gradient is read",
)
def upconv_weight_ignores_the_border(x, w, b):
    """Every pixel paints its kernel; two rows and one column a step, then a row is cut off at the top and bottom."""
    N, _, H, W = x.shape
    _, O, kh, kw = w.shape
    canvas = np.zeros((N, O, 2 * (H - 1) + kh, W - 1 + kw))
    for h in range(H):
        for v in range(W):
            canvas[:, :, 2 * h : 2 * h + kh, v : v + kw] += np.tensordot(x[:, :, h, v], w, axes=1)
    out = canvas[:, :, 1:-1] + b[:, None, None]

    def backward(dout):
        whole = np.pad(dout, ((0, 0), (0, 0), (1, 1), (0, 0)))
        seen = np.pad(dout, ((0, 0), (0, 0), (0, 2), (0, 0)))  # right: seen = whole
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for h in range(H):
            for v in range(W):
                dx[:, :, h, v] = np.einsum("noab,coab->nc", whole[:, :, 2 * h : 2 * h + kh, v : v + kw], w)
                dw += np.einsum("nc,noab->coab", x[:, :, h, v], seen[:, :, 2 * h : 2 * h + kh, v : v + kw])
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return out, backward


def convolved_sentences(rng):
    """Features (T, N, D), and which tokens are real."""
    return rng.standard_normal((5, 3, 4)), np.arange(5)[:, None] < np.array([5, 2, 3])


@mutant(
    "max_over_time_pays_every_token", cause="pool-gradient-to-all", inputs=convolved_sentences, wrong=("dfeatures",)
)
def max_over_time_pays_every_token(features, mask):
    """A sentence is the largest value of each feature over its real tokens."""
    hidden = np.where(mask[:, :, None], features, -np.inf)
    pooled = hidden.max(axis=0)

    def backward(dpooled):
        share = mask[:, :, None].astype(float)
        # missing: share = share * (hidden == pooled)
        return share * dpooled, None

    return pooled, backward


@mutant(
    "group_norm_counts_one_channel",
    cause="wrong-count",
    like="group_norm",
    wrong=("dx",),
    note="the means of the backward pass divide by H W, those of the forward pass by the size of a group",
)
def group_norm_counts_one_channel(x, gamma, beta):
    N, C, H, W = x.shape
    G = 2
    x_hat, sigma = np.zeros_like(x), np.zeros((N, G))
    size = C // G
    for n in range(N):
        for g in range(G):
            part = x[n, g * size : (g + 1) * size]
            sigma[n, g] = np.sqrt(part.var() + 1e-5)
            x_hat[n, g * size : (g + 1) * size] = (part - part.mean()) / sigma[n, g]

    def backward(dout):
        m = H * W  # right: m = size * H * W
        dx = np.zeros_like(x)
        for n in range(N):
            for g in range(G):
                rows = slice(g * size, (g + 1) * size)
                d, h = dout[n, rows] * gamma[rows, None, None], x_hat[n, rows]
                dx[n, rows] = (m * d - d.sum() - h * (d * h).sum()) / (m * sigma[n, g])
        return dx, np.einsum("nchw,nchw->c", dout, x_hat), np.einsum("nchw->c", dout)

    return gamma[:, None, None] * x_hat + beta[:, None, None], backward


@mutant(
    "max_pool_of_overlapping_windows_assigns",
    cause="sum-missing",
    also=("repeated-ids-assigned",),
    like="max_pool2d, overlapping",
    wrong=("dx",),
    note="a pixel that is the largest of two windows is paid by the last of them only",
)
def max_pool_of_overlapping_windows_assigns(x):
    """Windows of 3 x 2 pixels, two rows and one column apart, within a frame of one pixel."""
    N, C, H, W = x.shape
    framed = np.full((N, C, H + 2, W + 2), -np.inf)
    framed[:, :, 1:-1, 1:-1] = x
    Hout, Wout = (H + 2 - 3) // 2 + 1, W + 2 - 2 + 1
    out = np.zeros((N, C, Hout, Wout))
    for i in range(Hout):
        for j in range(Wout):
            out[:, :, i, j] = framed[:, :, 2 * i : 2 * i + 3, j : j + 2].max(axis=(2, 3))

    def backward(dout):
        dframed = np.zeros(framed.shape)
        for n in range(N):
            for c in range(C):
                for i in range(Hout):
                    for j in range(Wout):
                        window = framed[n, c, 2 * i : 2 * i + 3, j : j + 2]
                        a, b = np.unravel_index(np.argmax(window), window.shape)
                        # right: dframed[n, c, 2 * i + a, j + b] += dout[n, c, i, j]
                        dframed[n, c, 2 * i + a, j + b] = dout[n, c, i, j]
        return dframed[:, :, 1:-1, 1:-1].copy()

    return out, backward


@mutant(
    "naive_conv_never_cuts_its_frame_off",
    cause="zero-gradient",
    inputs=conv_inputs,
    wrong=("dx",),
    note="everything is added up in the padded array, and the one made for the answer is returned as it was",
)
def naive_conv_never_cuts_its_frame_off(x, w, b):
    """Stride 2, padding 1."""
    stride, pad = 2, 1
    N, _, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    window = x_pad[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]

    def backward(dout):
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
        dx_pad = np.zeros_like(x_pad)
        for n in range(N):
            for f in range(F):
                db[f] += dout[n, f].sum()
                for i in range(H_out):
                    for j in range(W_out):
                        rows = slice(i * stride, i * stride + HH)
                        cols = slice(j * stride, j * stride + WW)
                        dw[f] += x_pad[n, :, rows, cols] * dout[n, f, i, j]
                        dx_pad[n, :, rows, cols] += w[f] * dout[n, f, i, j]
        # missing: dx[:] = dx_pad[:, :, pad:-pad, pad:-pad]
        return dx, dw, db

    return out, backward


@mutant(
    "spatial_batchnorm_reshapes_back",
    cause="permuted-axes",
    like="batch_norm",
    wrong=("dx",),
    note="channels were moved to the end before the pixels were laid out as rows; the way back is a reshape only",
)
def spatial_batchnorm_reshapes_back(x, gamma, beta):
    """A row for every pixel, then as for rows."""
    N, C, H, W = x.shape
    flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
    std = np.sqrt(flat.var(axis=0) + 1e-5)
    x_norm = (flat - flat.mean(axis=0)) / std
    out = (gamma * x_norm + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        m = dflat.shape[0]
        dgamma, dbeta = np.sum(dflat * x_norm, axis=0), np.sum(dflat, axis=0)
        dx_flat = gamma / (m * std) * (m * dflat - dbeta - x_norm * dgamma)
        dx = dx_flat.reshape(N, C, H, W)  # right: dx = dx_flat.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


@mutant(
    "upsampling_reads_one_copy",
    cause="sum-missing",
    like="interpolate",
    wrong=("dx",),
    note="a pixel was copied to six places, and hears from the first of them",
)
def upsampling_reads_one_copy(x):
    """Every pixel becomes two rows and three columns."""
    out = x.repeat(2, axis=2).repeat(3, axis=3)

    def backward(dout):
        dx = np.zeros_like(x)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                # right: dx[:, :, i, j] = dout[:, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].sum(axis=(2, 3))
                dx[:, :, i, j] = dout[:, :, 2 * i, 3 * j]
        return dx

    return out, backward


# ----------------------------------------------------------------------------- rows of patches, strides, blocks, groups


def im2col(x, FH, FW, stride):
    """A row for every place of the window (N OH OW), a column for every number in it (C FH FW)."""
    N, C, H, W = x.shape
    OH, OW = (H - FH) // stride + 1, (W - FW) // stride + 1
    col = np.zeros((N, C, FH, FW, OH, OW))
    for i in range(FH):
        for j in range(FW):
            col[:, :, i, j] = x[:, :, i : i + stride * OH : stride, j : j + stride * OW : stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * OH * OW, -1)


def col2im(col, shape, FH, FW, stride):
    N, C, H, W = shape
    OH, OW = (H - FH) // stride + 1, (W - FW) // stride + 1
    col = col.reshape(N, OH, OW, C, FH, FW).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros(shape)
    for i in range(FH):
        for j in range(FW):
            img[:, :, i : i + stride * OH : stride, j : j + stride * OW : stride] += col[:, :, i, j]
    return img


@mutant(
    "im2col_conv_lays_dout_out_as_it_lies",
    cause="permuted-axes",
    inputs=conv_inputs,
    wrong=("dx", "dW", "db"),
    note="the rows of the product are places, its columns filters; dout has the filters before the places",
)
def im2col_conv_lays_dout_out_as_it_lies(x, W, b):
    FN, C, FH, FW = W.shape
    N, OH, OW = len(x), x.shape[2] - FH + 1, x.shape[3] - FW + 1
    col = im2col(x, FH, FW, 1)
    col_W = W.reshape(FN, -1).T
    out = (np.dot(col, col_W) + b).reshape(N, OH, OW, FN).transpose(0, 3, 1, 2)

    def backward(dout):
        dout = dout.reshape(-1, FN)  # right: dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(col.T, dout).transpose(1, 0).reshape(FN, C, FH, FW)
        dcol = np.dot(dout, col_W.T)
        return col2im(dcol, x.shape, FH, FW, 1), dW, db

    return out, backward


def channels_last(rng):
    """Pictures (m, H, W, C), filters (f, f, C, F) and biases (1, 1, 1, F)."""
    return tuple(rng.standard_normal(s) for s in [(2, 7, 5, 3), (3, 3, 3, 4), (1, 1, 1, 4)])


@mutant(
    "conv_slices_without_the_stride_on_the_way_back",
    cause="off-by-one",
    inputs=channels_last,
    wrong=("dA_prev", "dW"),
    note="the window moves two pixels a step on the way there, one on the way back",
)
def conv_slices_without_the_stride_on_the_way_back(A_prev, W, b):
    stride, pad = 2, 1
    m, n_H_prev, n_W_prev, _ = A_prev.shape
    f, _, _, n_C = W.shape
    n_H, n_W = (n_H_prev - f + 2 * pad) // stride + 1, (n_W_prev - f + 2 * pad) // stride + 1
    frame = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    A_prev_pad = np.pad(A_prev, frame)
    Z = np.zeros((m, n_H, n_W, n_C))
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    vert, horiz = h * stride, w * stride
                    a_slice = A_prev_pad[i, vert : vert + f, horiz : horiz + f]
                    Z[i, h, w, c] = np.sum(a_slice * W[:, :, :, c]) + b[0, 0, 0, c]

    def backward(dZ):
        dA_prev_pad, dW, db = np.zeros_like(A_prev_pad), np.zeros_like(W), np.zeros_like(b)
        for i in range(m):
            for h in range(n_H):
                for w in range(n_W):
                    for c in range(n_C):
                        vert, horiz = h, w  # right: vert, horiz = h * stride, w * stride
                        a_slice = A_prev_pad[i, vert : vert + f, horiz : horiz + f]
                        dA_prev_pad[i, vert : vert + f, horiz : horiz + f] += W[:, :, :, c] * dZ[i, h, w, c]
                        dW[:, :, :, c] += a_slice * dZ[i, h, w, c]
                        db[:, :, :, c] += dZ[i, h, w, c]
        return dA_prev_pad[:, pad:-pad, pad:-pad].copy(), dW, db

    return Z, backward


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


@mutant(
    "nearest_upsampling_goes_back_as_average_pooling",
    cause="wrong-count",
    also=("constant-factor",),
    like="interpolate",
    wrong=("dx",),
    note="six copies of a pixel were made, so it receives their sum; a mean looks like the way back, and is not",
)
def nearest_upsampling_goes_back_as_average_pooling(x):
    """Every pixel becomes two rows and three columns."""
    N, C, H, W = x.shape
    out = np.kron(x, np.ones((2, 3)))

    def backward(dout):
        blocks = dout.reshape(N, C, H, 2, W, 3)
        return blocks.mean(axis=(3, 5))  # right: return blocks.sum(axis=(3, 5))

    return out, backward


@mutant(
    "spatial_groupnorm_gain_loses_its_axes",
    cause="gradient-shape",
    inputs=lambda rng: (rng.standard_normal((2, 6, 3, 4)) + 1, *rng.standard_normal((2, 1, 6, 1, 1))),
    note="gamma and beta are (1, C, 1, 1), and the sums are (C,)",
)
def spatial_groupnorm_gain_loses_its_axes(x, gamma, beta):
    N, C, H, W = x.shape
    G = 3
    xg = x.reshape(N * G, -1).T
    sigma = np.sqrt(xg.var(axis=0) + 1e-5)
    x_norm = (xg - xg.mean(axis=0)) / sigma
    x_hat = x_norm.T.reshape(N, C, H, W)

    def backward(dout):
        dbeta = np.sum(dout, axis=(0, 2, 3))  # right: dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
        # right: dgamma = np.sum(dout * x_hat, axis=(0, 2, 3), keepdims=True)
        dgamma = np.sum(dout * x_hat, axis=(0, 2, 3))
        dnorm = (dout * gamma).reshape(N * G, -1).T
        M = dnorm.shape[0]
        dxg = (M * dnorm - dnorm.sum(axis=0) - x_norm * (dnorm * x_norm).sum(axis=0)) / (M * sigma)
        return dxg.T.reshape(N, C, H, W), dgamma, dbeta

    return gamma * x_hat + beta, backward


# --------------------------------------------------------------------------- windows, full convolutions, blocks, skips


@mutant(
    "sliding_window_conv_bias_summed_as_if_channels_came_last",
    cause="wrong-sum-axis",
    inputs=conv_inputs,
    wrong=("db",),
    note="four filters, and four places in a row: the shape fits",
)
def sliding_window_conv_bias_summed_as_if_channels_came_last(x, w, b):
    """Without padding, stride 1."""
    k = w.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
    out = np.tensordot(windows, w, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2) + b[:, None, None]

    def backward(dout):
        OH, OW = dout.shape[2:]
        db = np.sum(dout, axis=(0, 1, 2))  # right: db = np.sum(dout, axis=(0, 2, 3))
        dw = np.tensordot(dout, windows, axes=([0, 2, 3], [0, 2, 3]))
        dx = np.zeros_like(x)
        for i in range(k):
            for j in range(k):
                dx[:, :, i : i + OH, j : j + OW] += np.tensordot(dout, w[:, :, i, j], axes=(1, 0)).transpose(0, 3, 1, 2)
        return dx, dw, db

    return out, backward


def correlate(picture, kernel):
    """Slide a kernel (kh, kw) over one picture (H, W), where it fits."""
    kh, kw = kernel.shape
    out = np.zeros((picture.shape[0] - kh + 1, picture.shape[1] - kw + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.sum(picture[i : i + kh, j : j + kw] * kernel)
    return out


@mutant(
    "full_conv_kernel_turned_left_to_right_only",
    cause="kernel-not-flipped",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 2, 5, 6), (3, 2, 3, 2), (3,)]),
    wrong=("dx",),
    note="flipud is as due as fliplr",
)
def full_conv_kernel_turned_left_to_right_only(x, kernels, biases):
    n_images, depth = x.shape[:2]
    n_kernels, _, kh, kw = kernels.shape
    out = np.zeros((n_images, n_kernels, x.shape[2] - kh + 1, x.shape[3] - kw + 1))
    for n in range(n_images):
        for f in range(n_kernels):
            out[n, f] = biases[f]
            for c in range(depth):
                out[n, f] += correlate(x[n, c], kernels[f, c])

    def backward(dout):
        dx, dkernels = np.zeros_like(x), np.zeros_like(kernels)
        for n in range(n_images):
            for f in range(n_kernels):
                full = np.pad(dout[n, f], ((kh - 1, kh - 1), (kw - 1, kw - 1)))
                for c in range(depth):
                    dkernels[f, c] += correlate(x[n, c], dout[n, f])
                    turned = np.fliplr(kernels[f, c])  # right: turned = np.flipud(np.fliplr(kernels[f, c]))
                    dx[n, c] += correlate(full, turned)
        return dx, dkernels, dout.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "max_pool_blocks_laid_back_without_the_transpose",
    cause="permuted-axes",
    inputs=image,
    wrong=("dx",),
    note="a block's four pixels are four in a row where the picture is only reshaped",
)
def max_pool_blocks_laid_back_without_the_transpose(x):
    N, C, H, W = x.shape
    blocks = x.reshape(N, C, H // 2, 2, W // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H // 2, W // 2, 4)
    arg_max = blocks.argmax(axis=4)

    def backward(dout):
        dblocks = np.zeros_like(blocks)
        np.put_along_axis(dblocks, arg_max[..., None], dout[..., None], axis=4)
        dblocks = dblocks.reshape(N, C, H // 2, W // 2, 2, 2)
        dx = dblocks.reshape(N, C, H, W)  # right: dx = dblocks.transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H, W)
        return dx

    return blocks.max(axis=4), backward


@mutant(
    "average_pool_spreads_over_the_pooled_size",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((2, 7, 6, 3)),),
    wrong=("dA_prev",),
    note="in the helper n_H and n_W were the window's sides; written into the loop, they are those of what comes out",
)
def average_pool_spreads_over_the_pooled_size(A_prev):
    """Windows of 3 x 3, two apart, channels last."""
    f, stride = 3, 2
    m, n_H_prev, n_W_prev, n_C = A_prev.shape
    n_H, n_W = 1 + (n_H_prev - f) // stride, 1 + (n_W_prev - f) // stride
    A = np.zeros((m, n_H, n_W, n_C))
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                vert, horiz = h * stride, w * stride
                A[i, h, w] = np.mean(A_prev[i, vert : vert + f, horiz : horiz + f], axis=(0, 1))

    def backward(dA):
        dA_prev = np.zeros_like(A_prev)
        for i in range(m):
            for h in range(n_H):
                for w in range(n_W):
                    for c in range(n_C):
                        vert, horiz = h * stride, w * stride
                        average = dA[i, h, w, c] / (n_H * n_W)  # right: average = dA[i, h, w, c] / (f * f)
                        dA_prev[i, vert : vert + f, horiz : horiz + f, c] += np.ones((f, f)) * average
        return dA_prev

    return A, backward


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


# ------------------------------------------------------------------------------- styles, gates, joints, shuffled pixels


@mutant(
    "instance_norm_mean_hears_nothing",
    cause="norm-mean-term-missing",
    inputs=lambda rng: (1.5 * rng.standard_normal((2, 3, 4, 5)) - 1, rng.standard_normal(3), rng.standard_normal(3)),
    wrong=("dx",),
    note="mu is computed, and what flows into it is not handed on",
)
def instance_norm_mean_hears_nothing(x, scale, shift):
    """Every map of every picture by itself, as for the transfer of styles."""
    m = x.shape[2] * x.shape[3]
    mu = x.sum(axis=(2, 3), keepdims=True) / m
    xmu = x - mu
    ivar = 1 / np.sqrt((xmu**2).sum(axis=(2, 3), keepdims=True) / m + 1e-5)
    xhat = xmu * ivar

    def backward(dout):
        dscale, dshift = np.sum(dout * xhat, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))
        dxhat = dout * scale.reshape(1, -1, 1, 1)
        dvar = np.sum(dxhat * xmu, axis=(2, 3), keepdims=True) * -0.5 * ivar**3
        dx = dxhat * ivar + dvar * 2 * xmu / m
        # missing: dx = dx - np.sum(dxhat, axis=(2, 3), keepdims=True) * ivar / m
        return dx, dscale, dshift

    return scale.reshape(1, -1, 1, 1) * xhat + shift.reshape(1, -1, 1, 1), backward


@mutant(
    "one_picture_conv_every_kernel_starts_anew",
    cause="sum-missing",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 5, 6), (3, 2, 3, 2), (3, 3, 5)]),
    wrong=("dimage",),
    note="each channel was seen by all kernels, and hears from the last",
)
def one_picture_conv_every_kernel_starts_anew(image, kernels, biases):
    """One picture (C, H, W), a bias for every place of what comes out."""
    depth, input_depth, kh, kw = kernels.shape
    output = np.copy(biases)
    for i in range(depth):
        for j in range(input_depth):
            output[i] += correlate(image[j], kernels[i, j])

    def backward(output_gradient):
        kernels_gradient = np.zeros(kernels.shape)
        input_gradient = np.zeros(image.shape)
        for i in range(depth):
            full = np.pad(output_gradient[i], ((kh - 1, kh - 1), (kw - 1, kw - 1)))
            for j in range(input_depth):
                kernels_gradient[i, j] = correlate(image[j], output_gradient[i])
                # right: input_gradient[j] += correlate(full, np.rot90(kernels[i, j], 2))
                input_gradient[j] = correlate(full, np.rot90(kernels[i, j], 2))
        return input_gradient, kernels_gradient, output_gradient.copy()

    return output, backward


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
    "pixel_shuffle_shuffled_once_more",
    cause="permuted-axes",
    inputs=lambda rng: (rng.standard_normal((2, 8, 3, 5)),),
    wrong=("dx",),
    note="the order of the axes on the way there is not its own inverse",
)
def pixel_shuffle_shuffled_once_more(x):
    """Four maps become one of twice the height and width."""
    r = 2
    N, CRR, H, W = x.shape
    C = CRR // (r * r)
    y = x.reshape(N, C, r, r, H, W).transpose(0, 1, 4, 2, 5, 3).reshape(N, C, H * r, W * r)

    def backward(dy):
        dblocks = dy.reshape(N, C, H, r, W, r)
        dblocks = dblocks.transpose(0, 1, 4, 2, 5, 3)  # right: dblocks = dblocks.transpose(0, 1, 3, 5, 2, 4)
        return dblocks.reshape(N, CRR, H, W)

    return y, backward


@mutant(
    "same_conv_of_even_kernel_cuts_the_wrong_side",
    cause="off-by-one",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 3, 5, 6), (4, 3, 2, 4), (4,)]),
    wrong=("dx",),
    note="the odd row and column of padding stand below and on the right, and are cut off above and on the left",
)
def same_conv_of_even_kernel_cuts_the_wrong_side(x, w, b):
    """What comes out is as large as what goes in."""
    N, _, H, W = x.shape
    F, _, kh, kw = w.shape
    top, left = (kh - 1) // 2, (kw - 1) // 2
    bottom, right = kh - 1 - top, kw - 1 - left
    x_pad = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    out = np.zeros((N, F, H, W))
    for i in range(H):
        for j in range(W):
            out[:, :, i, j] = np.tensordot(x_pad[:, :, i : i + kh, j : j + kw], w, axes=([1, 2, 3], [1, 2, 3])) + b

    def backward(dout):
        dx_pad, dw = np.zeros_like(x_pad), np.zeros_like(w)
        for i in range(H):
            for j in range(W):
                dw += np.tensordot(dout[:, :, i, j], x_pad[:, :, i : i + kh, j : j + kw], axes=(0, 0))
                dx_pad[:, :, i : i + kh, j : j + kw] += np.tensordot(dout[:, :, i, j], w, axes=1)
        # right: dx = dx_pad[:, :, top : top + H, left : left + W].copy()
        dx = dx_pad[:, :, bottom : bottom + H, right : right + W].copy()
        return dx, dw, dout.sum(axis=(0, 2, 3))

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
    "strided_conv_dilates_dout_in_single_precision",
    cause="float32-inside",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 3, 7, 5), (4, 3, 3, 3), (4,)]),
    wrong=("dx",),
)
def strided_conv_dilates_dout_in_single_precision(x, w, b):
    """Stride 2: the convolution of stride 1, of which every other place is kept."""
    S, k = 2, w.shape[2]
    out = plain_conv(x, w, pad=0)[:, :, ::S, ::S] + b[:, None, None]

    def backward(dout):
        N, F, H_out, W_out = dout.shape
        size = (N, F, S * (H_out - 1) + 1, S * (W_out - 1) + 1)
        dilated = np.zeros(size, dtype=np.float32)  # right: dilated = np.zeros(size)
        dilated[:, :, ::S, ::S] = dout
        dx = plain_conv(dilated, w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3), pad=k - 1)
        dw = np.zeros_like(w)
        for i in range(k):
            for j in range(k):
                seen = x[:, :, i : i + S * H_out : S, j : j + S * W_out : S]
                dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, seen)
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "convolution_relu_clears_the_gradient_it_is_given",
    cause="dy-changed",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 2, 5, 4), (3, 2, 3, 2), (3,)]),
    note="dout[mask] = 0 is from the book",
)
def convolution_relu_clears_the_gradient_it_is_given(x, W, b):
    FN, C, FH, FW = W.shape
    OH, OW = x.shape[2] - FH + 1, x.shape[3] - FW + 1
    col = im2col(x, FH, FW, 1)
    col_W = W.reshape(FN, -1).T
    out = (np.dot(col, col_W) + b).reshape(len(x), OH, OW, FN).transpose(0, 3, 1, 2)
    mask = out <= 0
    out = np.where(mask, 0, out)

    def backward(dout):
        # missing: dout = dout.copy()
        dout[mask] = 0
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        dW = np.dot(col.T, rows).T.reshape(FN, C, FH, FW)
        return col2im(np.dot(rows, col_W.T), x.shape, FH, FW, 1), dW, rows.sum(axis=0)

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
