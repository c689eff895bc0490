# ruff: noqa: RUF059 (students unpack every shape)
"""Convolutions, and nets of them: each with one mistake."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mutants import mutant
from mutants.shared import col2im, conv_inputs, draw_7, im2col, plain_conv, sigmoid, stable_softmax


@mutant(
    "naive_strided_conv_walks_back_in_single_steps",
    cause="off-by-one",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 3, 7, 6), (4, 3, 3, 2), (4,)]),
    wrong=("dx",),
    note="the window was cut out at i * stride, and its gradient is put down at i",
)
def naive_strided_conv_walks_back_in_single_steps(x, w, b):
    """Stride 2, one row and column of padding on every side."""
    stride, pad = 2, 1
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    r, c = i * stride, j * stride
                    out[n, f, i, j] = np.sum(x_pad[n, :, r : r + HH, c : c + WW] * w[f]) + b[f]

    def backward(dout):
        dx_pad, dw = np.zeros_like(x_pad), np.zeros_like(w)
        for n in range(N):
            for f in range(F):
                for i in range(H_out):
                    for j in range(W_out):
                        r, c = i * stride, j * stride
                        dw[f] += dout[n, f, i, j] * x_pad[n, :, r : r + HH, c : c + WW]
                        # right: dx_pad[n, :, r : r + HH, c : c + WW] += dout[n, f, i, j] * w[f]
                        dx_pad[n, :, i : i + HH, j : j + WW] += dout[n, f, i, j] * w[f]
        dx = dx_pad[:, :, pad : pad + H, pad : pad + W].copy()
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "conv_as_matrix_product_dout_only_reshaped",
    cause="permuted-axes",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 2, 5, 6), (4, 2, 3, 2), (4,)]),
    wrong=("dx", "dw"),
    note="the filters stand on the second axis of dout, and reshape does not fetch them to the front",
)
def conv_as_matrix_product_dout_only_reshaped(x, w, b):
    """One column for every place of every picture, one row for every filter."""
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = H - HH + 1, W - WW + 1
    places = [(i, j) for i in range(H_out) for j in range(W_out)]
    columns = [x[n, :, i : i + HH, j : j + WW].ravel() for n in range(N) for i, j in places]
    x_cols = np.array(columns).T
    w_row = w.reshape(F, -1)
    out = (w_row @ x_cols + b[:, None]).reshape(F, N, H_out, W_out).transpose(1, 0, 2, 3)

    def backward(dout):
        db = np.sum(dout, axis=(0, 2, 3))
        dout_row = dout.reshape(F, -1)  # right: dout_row = dout.transpose(1, 0, 2, 3).reshape(F, -1)
        dw = (dout_row @ x_cols.T).reshape(w.shape)
        dx_cols = (w_row.T @ dout_row).reshape(C, HH, WW, N, len(places))
        dx = np.zeros_like(x)
        for p, (i, j) in enumerate(places):
            dx[:, :, i : i + HH, j : j + WW] += dx_cols[..., p].transpose(3, 0, 1, 2)
        return dx, dw, db

    return out, backward


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
    "book_conv_picture_is_cut_out_from_the_corner",
    cause="off-by-one",
    inputs=draw_7((2, 3, 5, 7), (4, 3, 3, 2), (4,)),
    wrong=("dx",),
    note="the size is right, but the picture begins after the border",
)
def book_conv_picture_is_cut_out_from_the_corner(x, W, b):
    """Stride 2, a border of one zero."""
    N, C, H, width = x.shape
    FN, C, FH, FW = W.shape
    stride, pad = 2, 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    out_h, out_w = (H + 2 * pad - FH) // stride + 1, (width + 2 * pad - FW) // stride + 1
    col = im2col(img, FH, FW, stride)
    col_W = W.reshape(FN, -1).T
    out = (np.dot(col, col_W) + b).reshape(N, out_h, out_w, -1).transpose(0, 3, 1, 2)

    def backward(dout):
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        dW = np.dot(col.T, rows).transpose(1, 0).reshape(FN, C, FH, FW)
        dimg = col2im(np.dot(rows, col_W.T), img.shape, FH, FW, stride)
        # right: dx = dimg[:, :, pad : pad + H, pad : pad + width].copy()
        dx = dimg[:, :, :H, :width].copy()
        return dx, dW, np.sum(rows, axis=0)

    return out, backward


@mutant(
    "book_conv_filters_reshaped_where_they_stand",
    cause="permuted-axes",
    also=("transposed",),
    inputs=draw_7((2, 3, 5, 6), (4, 3, 2, 3), (4,)),
    wrong=("dW",),
    note="the filters are the columns of the product, and must become rows first",
)
def book_conv_filters_reshaped_where_they_stand(x, W, b):
    FN, C, FH, FW = W.shape
    out_h, out_w = x.shape[2] - FH + 1, x.shape[3] - FW + 1
    col = im2col(x, FH, FW, 1)
    col_W = W.reshape(FN, -1).T
    out = (col @ col_W + b).reshape(len(x), out_h, out_w, FN).transpose(0, 3, 1, 2)

    def backward(dout):
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        dW = np.dot(col.T, dout).reshape(FN, C, FH, FW)  # right: dW = np.dot(col.T, dout).T.reshape(FN, C, FH, FW)
        dx = col2im(np.dot(dout, col_W.T), x.shape, FH, FW, 1)
        return dx, dW, dout.sum(axis=0)

    return out, backward


@mutant(
    "numpy_convolve_turns_the_kernel_back",
    cause="kernel-not-flipped",
    inputs=draw_7((3, 8), (3,), (1,)),
    wrong=("dx",),
    note="the formula says to flip the kernel, and np.convolve does so already",
)
def numpy_convolve_turns_the_kernel_back(x, w, b):
    """One filter for signals (N, L)."""
    out = np.array([np.correlate(signal, w, mode="valid") for signal in x]) + b

    def backward(dout):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for n in range(len(x)):
            # right: dx[n] = np.convolve(dout[n], w, mode="full")
            dx[n] = np.convolve(dout[n], w[::-1], mode="full")
            dw += np.correlate(x[n], dout[n], mode="valid")
        return dx, dw, np.array([dout.sum()])

    return out, backward


@mutant(
    "channels_last_bias_summed_as_channels_first",
    cause="wrong-sum-axis",
    inputs=draw_7((2, 6, 5, 3), (3, 2, 3, 4), (4,)),
    wrong=("db",),
    note="four rows come out, and there are four filters",
)
def channels_last_bias_summed_as_channels_first(x, w, b):
    """Pictures (N, H, W, C), kernels (kh, kw, C, F)."""
    N, H, W, C = x.shape
    kh, kw, _, F = w.shape
    oh, ow = H - kh + 1, W - kw + 1
    out = np.zeros((N, oh, ow, F)) + b
    for i in range(kh):
        for j in range(kw):
            out += x[:, i : i + oh, j : j + ow] @ w[i, j]

    def backward(dout):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(kh):
            for j in range(kw):
                dx[:, i : i + oh, j : j + ow] += dout @ w[i, j].T
                dw[i, j] = np.tensordot(x[:, i : i + oh, j : j + ow], dout, axes=([0, 1, 2], [0, 1, 2]))
        db = np.sum(dout, axis=(0, 2, 3))  # right: db = np.sum(dout, axis=(0, 1, 2))
        return dx, dw, db

    return out, backward


@mutant(
    "naive_conv_cuts_off_a_border_of_nothing",
    cause="gradient-shape",
    inputs=draw_7((2, 2, 5, 6), (3, 2, 3, 2), (3,)),
    note="[0:-0] is empty; with a border it went well",
)
def naive_conv_cuts_off_a_border_of_nothing(x, w, b):
    """The border may have any width, here none."""
    pad = 0
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    Hp, Wp = H + 2 * pad - HH + 1, W + 2 * pad - WW + 1
    out = np.zeros((N, F, Hp, Wp))
    for n, f, i, j in np.ndindex(out.shape):
        out[n, f, i, j] = np.sum(x_pad[n, :, i : i + HH, j : j + WW] * w[f]) + b[f]

    def backward(dout):
        dx_pad, dw, db = np.zeros_like(x_pad), np.zeros_like(w), np.zeros_like(b)
        for n, f, i, j in np.ndindex(dout.shape):
            dw[f] += x_pad[n, :, i : i + HH, j : j + WW] * dout[n, f, i, j]
            dx_pad[n, :, i : i + HH, j : j + WW] += w[f] * dout[n, f, i, j]
            db[f] += dout[n, f, i, j]
        # right: dx = dx_pad[:, :, pad : pad + H, pad : pad + W].copy()
        dx = dx_pad[:, :, pad:-pad, pad:-pad].copy()
        return dx, dw, db

    return out, backward


@mutant(
    "course_conv_padded_gradient_is_left_behind",
    cause="zero-gradient",
    inputs=draw_7((2, 5, 4, 3), (3, 3, 3, 2), (1, 1, 1, 2)),
    wrong=("dA_prev",),
    note="the last line of the loop over the pictures was lost",
)
def course_conv_padded_gradient_is_left_behind(A_prev, W, b):
    """Pictures (m, H, W, C), stride 2, a border of one."""
    m, n_H_prev, n_W_prev, n_C_prev = A_prev.shape
    f, _, _, n_C = W.shape
    stride, pad = 2, 1
    n_H, n_W = (n_H_prev - f + 2 * pad) // stride + 1, (n_W_prev - f + 2 * pad) // stride + 1
    A_prev_pad = np.pad(A_prev, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    Z = np.zeros((m, n_H, n_W, n_C))
    for i, h, w, c in np.ndindex(Z.shape):
        a_slice = A_prev_pad[i, h * stride : h * stride + f, w * stride : w * stride + f]
        Z[i, h, w, c] = np.sum(a_slice * W[..., c]) + b[0, 0, 0, c]

    def backward(dZ):
        dA_prev, dW, db = np.zeros(A_prev.shape), np.zeros(W.shape), np.zeros(b.shape)
        for i in range(m):
            a_prev_pad, da_prev_pad = A_prev_pad[i], np.zeros(A_prev_pad[i].shape)
            for h, w, c in np.ndindex(n_H, n_W, n_C):
                vert, horiz = h * stride, w * stride
                da_prev_pad[vert : vert + f, horiz : horiz + f] += W[..., c] * dZ[i, h, w, c]
                dW[..., c] += a_prev_pad[vert : vert + f, horiz : horiz + f] * dZ[i, h, w, c]
                db[..., c] += dZ[i, h, w, c]
            # missing: dA_prev[i] = da_prev_pad[pad:-pad, pad:-pad]
        return dA_prev, dW, db

    return Z, backward


def im2col_indices(C, kh, kw, out_h, out_w):
    """Channel, row and column of every number of every window."""
    k, i, j = (a.reshape(-1, 1) for a in np.indices((C, kh, kw)))
    down, along = (a.reshape(1, -1) for a in np.indices((out_h, out_w)))
    return k, i + down, j + along


@mutant(
    "fast_conv_columns_added_at_indices",
    cause="repeated-ids-assigned",
    also=("sum-missing",),
    inputs=draw_7((2, 2, 4, 6), (3, 2, 3, 2), (3,)),
    wrong=("dx",),
    note="a pixel is in several columns, and += with index arrays keeps one",
)
def fast_conv_columns_added_at_indices(x, w, b):
    """Columns by index arrays, a border of one zero."""
    N, C, H, W = x.shape
    F, _, kh, kw = w.shape
    out_h, out_w = H + 2 - kh + 1, W + 2 - kw + 1
    x_padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    k, i, j = im2col_indices(C, kh, kw, out_h, out_w)
    cols = x_padded[:, k, i, j]
    out = (w.reshape(F, -1) @ cols + b[:, None]).reshape(N, F, out_h, out_w)

    def backward(dout):
        d = dout.reshape(N, F, -1)
        dw = np.einsum("nfp,nqp->fq", d, cols).reshape(w.shape)
        dcols = w.reshape(F, -1).T @ d
        dx_padded = np.zeros(x_padded.shape)
        # right: np.add.at(dx_padded, (slice(None), k, i, j), dcols)
        dx_padded[:, k, i, j] += dcols
        return dx_padded[:, :, 1:-1, 1:-1].copy(), dw, dout.sum(axis=(0, 2, 3))

    return out, backward


def conv(x, w):
    """Correlate (N, C, H, W) with (F, C, kh, kw), where it fits."""
    return np.einsum("nchwij,fcij->nfhw", sliding_window_view(x, w.shape[2:], axis=(2, 3)), w)


def conv_backward(dout, x, w):
    """Of both arguments of `conv`."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    H, W = dout.shape[2:]
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, x[:, :, i : i + H, j : j + W])
            dx[:, :, i : i + H, j : j + W] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
    return dx, dw


@mutant(
    "pixel_cnn_kernel_learns_what_it_may_not_see",
    cause="mask-not-applied",
    inputs=draw_7((2, 2, 5, 4), (3, 2, 3, 3), (3,)),
    wrong=("dw",),
    note="after the first step of training the hidden half is not zero any more, only unseen",
)
def pixel_cnn_kernel_learns_what_it_may_not_see(x, w, b):
    """A pixel sees those above it, and on its left."""
    mask = np.ones((3, 3))
    mask[1, 1:] = 0
    mask[2] = 0
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    masked = w * mask
    out = conv(xp, masked) + b[:, None, None]

    def backward(dout):
        dxp, dw = conv_backward(dout, xp, masked)
        # missing: dw = dw * mask
        return dxp[:, :, 1:-1, 1:-1].copy(), dw, dout.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "prelu_slope_of_a_map_counts_its_negative_pixels",
    cause="missing-factor",
    inputs=draw_7((2, 3, 4, 5), (3,)),
    wrong=("dalpha",),
    note="y = alpha x on the left, so alpha gets dy x",
)
def prelu_slope_of_a_map_counts_its_negative_pixels(x, alpha):
    """A slope for every map."""
    slope = alpha[None, :, None, None]
    neg = x < 0
    out = np.where(neg, slope * x, x)

    def backward(dout):
        dx = np.where(neg, slope * dout, dout)
        # right: dalpha = np.sum(dout * neg * x, axis=(0, 2, 3))
        dalpha = np.sum(dout * neg, axis=(0, 2, 3))
        return dx, dalpha

    return out, backward


def tanh_prime(x):
    """Of what goes into the tanh."""
    return 1 - np.tanh(x) ** 2


@mutant(
    "conv_tanh_prime_of_what_came_out",
    cause="derivative-at-preactivation",
    inputs=draw_7((2, 2, 5, 4), (3, 2, 2, 3), (3,)),
    wrong=("dx", "dkernels", "dbiases"),
    note="the layer kept its output, the helper takes a tanh once more",
)
def conv_tanh_prime_of_what_came_out(x, kernels, biases):
    z = conv(x, kernels) + biases[:, None, None]
    a = np.tanh(z)

    def backward(output_gradient):
        dz = output_gradient * tanh_prime(a)  # right: dz = output_gradient * tanh_prime(z)
        dx, dkernels = conv_backward(dz, x, kernels)
        return dx, dkernels, dz.sum(axis=(0, 2, 3))

    return a, backward


def pictures_and_outlines(rng):
    """Pictures (N, C, H, W), what belongs to the organ (N, 1, H', W'), kernel and bias."""
    x, w, b = (rng.standard_normal(s) for s in [(2, 3, 5, 6), (1, 3, 2, 3), (1,)])
    return x, rng.integers(0, 2, (2, 1, 4, 4)), w, b


@mutant(
    "outline_net_error_times_the_slope_once_more",
    cause="activation-derivative-doubled",
    inputs=pictures_and_outlines,
    wrong=("dx", "dw", "db"),
    note="p - y has the sigmoid's derivative in it",
)
def outline_net_error_times_the_slope_once_more(x, y, w, b):
    """Convolution, sigmoid, binary cross-entropy of every pixel."""
    p = sigmoid(conv(x, w) + b[:, None, None])
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def backward(dloss):
        error = dloss * (p - y) / p.size
        delta = error * p * (1 - p)  # right: delta = error
        dx, dw = conv_backward(delta, x, w)
        return dx, None, dw, delta.sum(axis=(0, 2, 3))

    return loss, backward


def digits(rng):
    """Pictures (N, C, H, W), classes (N,), kernels and biases, matrix and bias of the last layer."""
    shapes = [(5, 2, 4, 5), (3, 2, 2, 3), (3,), (3, 4), (4,)]
    x, *weights = (rng.standard_normal(s) for s in shapes)
    return x, rng.integers(0, 4, 5), *weights


@mutant(
    "digit_net_every_layer_has_a_backward_even_the_softmax",
    cause="softmax-applied-twice",
    inputs=digits,
    wrong=("dx", "dK", "dbK", "dV", "dbV"),
    note="the loss hands back p - q, and the loop over the layers begins with the softmax",
)
def digit_net_every_layer_has_a_backward_even_the_softmax(x, labels, K, bK, V, bV):
    """Convolution, ReLU, the mean of every map, a matrix, a softmax."""
    N = len(x)
    maps = np.maximum(0, conv(x, K) + bK[:, None, None])
    pooled = maps.mean(axis=(2, 3))
    probs = stable_softmax(pooled @ V + bV)
    loss = -np.mean(np.log(probs[np.arange(N), labels]))

    def softmax_backward(d):
        return probs * (d - np.sum(probs * d, axis=1, keepdims=True))

    def backward(dloss):
        grad = probs.copy()
        grad[np.arange(N), labels] -= 1
        grad *= dloss / N
        dscores = softmax_backward(grad)  # right: dscores = grad
        dmaps = (dscores @ V.T)[:, :, None, None] / maps[0, 0].size * (maps > 0)
        dx, dK = conv_backward(dmaps, x, K)
        return dx, None, dK, dmaps.sum(axis=(0, 2, 3)), pooled.T @ dscores, dscores.sum(axis=0)

    return loss, backward


@mutant(
    "u_net_bridge_is_not_walked_back",
    cause="branch-missing",
    inputs=draw_7((2, 2, 6, 5), (3, 2, 3, 2), (3,), (6, 2), (2,)),
    wrong=("dx", "dw", "db"),
    note="half of the stack went over the bridge, and its gradient is cut off and forgotten",
)
def u_net_bridge_is_not_walked_back(x, w, b, W_out, b_out):
    """Down by means of two by two and up again, beside it the bridge; then a matrix for every pixel."""
    down = np.tanh(conv(x, w) + b[:, None, None])
    N, F, H, W = down.shape
    small = down.reshape(N, F, H // 2, 2, W // 2, 2).mean(axis=(3, 5))
    up = small.repeat(2, axis=2).repeat(2, axis=3)
    stack = np.concatenate([up, down], axis=1)
    out = np.einsum("nchw,cd->ndhw", stack, W_out) + b_out[:, None, None]

    def backward(dout):
        dW_out, db_out = np.einsum("nchw,ndhw->cd", stack, dout), dout.sum(axis=(0, 2, 3))
        dstack = np.einsum("ndhw,cd->nchw", dout, W_out)
        dsmall = dstack[:, :F].reshape(N, F, H // 2, 2, W // 2, 2).sum(axis=(3, 5))
        ddown = dsmall.repeat(2, axis=2).repeat(2, axis=3) / 4
        # missing: ddown = ddown + dstack[:, F:]
        dz = ddown * (1 - down**2)
        dx, dw = conv_backward(dz, x, w)
        return dx, dw, dz.sum(axis=(0, 2, 3)), dW_out, db_out

    return out, backward


@mutant(
    "siamese_faces_both_pushed_the_same_way",
    cause="wrong-sign",
    inputs=draw_7((3, 2, 4, 5), (3, 2, 4, 5), (2, 2, 3, 2), (2,)),
    wrong=("dx2", "dw", "db"),
    note="of a difference the second one gets the minus",
)
def siamese_faces_both_pushed_the_same_way(x1, x2, w, b):
    """How far two faces are from each other, for every pair."""
    f1, f2 = (np.tanh(conv(x, w) + b[:, None, None]) for x in (x1, x2))
    diff = f1 - f2
    distance = np.sum(diff**2, axis=(1, 2, 3))

    def backward(ddistance):
        ddiff = 2 * diff * ddistance[:, None, None, None]
        df1 = ddiff
        df2 = ddiff  # right: df2 = -ddiff
        dz1, dz2 = df1 * (1 - f1**2), df2 * (1 - f2**2)
        dx1, dw1 = conv_backward(dz1, x1, w)
        dx2, dw2 = conv_backward(dz2, x2, w)
        return dx1, dx2, dw1 + dw2, dz1.sum(axis=(0, 2, 3)) + dz2.sum(axis=(0, 2, 3))

    return distance, backward


@mutant(
    "recursive_net_kernel_remembers_its_first_use",
    cause="tied-counted-once",
    also=("sum-missing", "branch-missing"),
    inputs=lambda rng: tuple(0.7 * rng.standard_normal(s) for s in [(2, 2, 4, 5), (2, 2, 3, 3), (2,)]),
    wrong=("dw",),
    note="the bias was thought of",
)
def recursive_net_kernel_remembers_its_first_use(x, w, b):
    """The same layer twice, as large as before."""

    def padded(a):
        return np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1)))

    h = np.tanh(conv(padded(x), w) + b[:, None, None])
    y = np.tanh(conv(padded(h), w) + b[:, None, None])

    def backward(dy):
        dz2 = dy * (1 - y**2)
        dh, dw = conv_backward(dz2, padded(h), w)
        dz1 = dh[:, :, 1:-1, 1:-1] * (1 - h**2)
        dx, dw_first = conv_backward(dz1, padded(x), w)
        dw = dw_first  # right: dw = dw + dw_first
        db = dz1.sum(axis=(0, 2, 3)) + dz2.sum(axis=(0, 2, 3))
        return dx[:, :, 1:-1, 1:-1].copy(), dw, db

    return y, backward
