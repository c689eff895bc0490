"""Convolution and pooling, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import col2im, conv_inputs, correlate, im2col, image, plain_conv


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
