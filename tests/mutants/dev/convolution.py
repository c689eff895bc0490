# ruff: noqa: RUF059 (students unpack every shape)
"""Convolutions: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import average_inputs, col2im, conv_inputs, correlate, draw_6, im2col, plain_conv


def channels_last_2(rng):
    """Pictures (m, H, W, C), kernels (f, f, C, F) and biases (1, 1, 1, F)."""
    return tuple(rng.standard_normal(s) for s in [(3, 5, 7, 2), (3, 3, 2, 4), (1, 1, 1, 4)])


@mutant(
    "conv_backward_divides_by_m_as_dense_layers_did",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=channels_last_2,
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


def columns_2(x, k):
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
    cols = columns_2(x, k)
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


def conv_forward_naive(x, w, b):
    """Stride 2, padding 1."""
    stride, pad = 2, 1
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    Ho, Wo = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    out = np.zeros((N, F, Ho, Wo))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    hs, ws = i * stride, j * stride
                    out[n, f, i, j] = np.sum(x_pad[n, :, hs : hs + HH, ws : ws + WW] * w[f]) + b[f]
    return out, (x, x_pad, w, stride, pad)


def conv_backward_naive(dout, cache):
    x, x_pad, w, stride, pad = cache
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    dx_pad, dw, db = np.zeros_like(x_pad), np.zeros_like(w), np.zeros(F)
    for n in range(N):
        for f in range(F):
            db[f] += dout[n, f].sum()
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    hs, ws = i * stride, j * stride
                    dw[f] += x_pad[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                    dx_pad[n, :, hs : hs + HH, ws : ws + WW] += w[f] * dout[n, f, i, j]
    dx = dx_pad[:, :, :H, :W]  # right: dx = dx_pad[:, :, pad : pad + H, pad : pad + W]
    return dx.copy(), dw, db


mutant("conv_naive_padding_cut_at_one_end", cause="off-by-one", inputs=conv_inputs, wrong=("dx",))(
    (conv_forward_naive, conv_backward_naive)
)


@mutant("conv_bias_of_the_last_image", cause="sum-missing", inputs=conv_inputs, wrong=("db",))
def conv_bias_of_the_last_image(x, w, b):
    """By sliding windows, without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))  # (N, C, H', W', 3, 3)
    out = np.tensordot(windows, w, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2) + b.reshape(1, -1, 1, 1)

    def backward(dout):
        _, _, Ho, Wo = dout.shape
        dx, db = np.zeros_like(x), np.zeros_like(b)
        for i in range(3):
            for j in range(3):
                dx[:, :, i : i + Ho, j : j + Wo] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
        dw = np.einsum("nfhw,nchwij->fcij", dout, windows)
        for n in range(len(x)):
            for f in range(len(b)):
                db[f] = dout[n, f].sum()  # right: db[f] += dout[n, f].sum()
        return dx, dw, db

    return out, backward


@mutant(
    "sum_over_time_last_place",
    cause="one-step-only",
    inputs=lambda rng: (rng.standard_normal((5, 3, 4)),),
    wrong=("dx",),
)
def sum_over_time_last_place(x):
    """The sum of tanh over time, (T, N, D) -> (N, D); the gradient goes to the last time step alone."""
    y = np.tanh(x)

    def backward(dout):
        dx = np.zeros_like(x)
        dx[-1] = dout * (1 - y[-1] ** 2)  # right: dx[:] = dout * (1 - y**2)
        return dx

    return y.sum(axis=0), backward


@mutant("flatten_meets_another_order", cause="permuted-axes", like="flatten", wrong=("dx",))
def flatten_meets_another_order(x):
    N, C, H, W = x.shape

    def backward(dy):
        # right: dx = dy.reshape(N, C, H, W)
        dx = dy.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx.copy()

    return x.reshape(N, -1), backward


@mutant("unflatten_hands_on_a_view", cause="view-returned", like="unflatten")
def unflatten_hands_on_a_view(x):
    def backward(dy):
        return dy.reshape(len(x), -1)  # right: return dy.reshape(len(x), -1).copy()

    return x.reshape(len(x), 2, 3, 4), backward


@mutant("average_of_a_row_of_the_window", cause="constant-factor", inputs=average_inputs, wrong=("dx",))
def average_of_a_row_of_the_window(x):
    N, C, H, W = x.shape
    y = x.reshape(N, C, H // 2, 2, W // 2, 2).mean(axis=(3, 5))

    def backward(dy):
        return np.kron(dy, np.ones((2, 2))) / 2  # right: return np.kron(dy, np.ones((2, 2))) / 4

    return y, backward


@mutant("dilated_conv_reads_neighbours", cause="off-by-one", like="conv2d, dilation", wrong=("dx",))
def dilated_conv_reads_neighbours(x, w, b):
    """Every third row and second column under the window, step two, a border of three left and right."""
    F, C, kh, kw = w.shape
    N, _, H, W = x.shape
    xp = np.pad(x, ((0, 0), (0, 0), (0, 0), (3, 3)))
    Ho, Wo = (H - 3 * (kh - 1) - 1) // 2 + 1, (W + 6 - 2 * (kw - 1) - 1) // 2 + 1
    out = np.zeros((N, F, Ho, Wo)) + b[:, None, None]

    def seen(i, j, di, dj):
        return (slice(None), slice(None), slice(di * i, di * i + 2 * Ho - 1, 2), slice(dj * j, dj * j + 2 * Wo - 1, 2))

    for i, j in np.ndindex(kh, kw):
        out += np.einsum("nchw,fc->nfhw", xp[seen(i, j, 3, 2)], w[:, :, i, j])

    def backward(dout):
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for i, j in np.ndindex(kh, kw):
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, xp[seen(i, j, 3, 2)])
            # right: dxp[seen(i, j, 3, 2)] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
            dxp[seen(i, j, 3, 1)] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
        return dxp[:, :, :, 3:-3].copy(), dw, dout.sum(axis=(0, 2, 3))

    return out, backward


def depthwise_inputs(rng):
    return rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((3, 3, 3))


@mutant("depthwise_kernel_read_from_its_end", cause="kernel-not-flipped", inputs=depthwise_inputs, wrong=("dx",))
def depthwise_kernel_read_from_its_end(x, w):
    N, C, H, W = x.shape
    y = np.zeros((N, C, H - 2, W - 2))
    for c in range(C):
        for i in range(3):
            for j in range(3):
                y[:, c] += w[c, i, j] * x[:, c, i : i + H - 2, j : j + W - 2]

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for c in range(C):
            for i in range(3):
                for j in range(3):
                    window = (slice(None), c, slice(i, i + H - 2), slice(j, j + W - 2))
                    dw[c, i, j] = (dy[:, c] * x[window]).sum()
                    dx[window] += w[c, 2 - i, 2 - j] * dy[:, c]  # right: dx[window] += w[c, i, j] * dy[:, c]
        return dx, dw

    return y, backward


def highest_inputs(rng):
    return (rng.permutation(60).reshape(5, 3, 4) / 7.0,)


@mutant("highest_of_a_sentence_is_everybody", cause="pool-gradient-to-all", inputs=highest_inputs, wrong=("dx",))
def highest_of_a_sentence_is_everybody(x):
    """The largest over time, picked by its place."""
    first = x.argmax(axis=0)
    y = np.take_along_axis(x, first[None], axis=0)[0]

    def backward(dy):
        dx = np.zeros_like(x)
        dx += dy  # right: np.put_along_axis(dx, first[None], dy[None], axis=0)
        return dx

    return y, backward


def square_pictures(rng):
    return rng.standard_normal((2, 2, 5, 5)), rng.standard_normal((3, 2, 2, 2))


@mutant("conv_kernel_gradient_stored_from_its_end", cause="kernel-not-flipped", inputs=square_pictures, wrong=("dw",))
def conv_kernel_gradient_stored_from_its_end(x, w):
    k, n = w.shape[3], x.shape[3] - w.shape[3] + 1
    y = sum(
        np.einsum("nchw,fc->nfhw", x[:, :, i : i + n, j : j + n], w[:, :, i, j]) for i in range(k) for j in range(k)
    )

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(k):
            for j in range(k):
                dx[:, :, i : i + n, j : j + n] += np.einsum("nfhw,fc->nchw", dy, w[:, :, i, j])
                d = np.einsum("nfhw,nchw->fc", dy, x[:, :, i : i + n, j : j + n])
                dw[:, :, k - 1 - i, k - 1 - j] = d  # right: dw[:, :, i, j] = d
        return dx, dw

    return y, backward


@mutant("patches_come_back_in_the_order_of_memory", cause="permuted-axes", inputs=conv_inputs, wrong=("dx",))
def patches_come_back_in_the_order_of_memory(x, w, b):
    """im2col with patches as rows."""
    N, C, H, W = x.shape
    F, _, k, _ = w.shape
    Ho, Wo = H - k + 1, W - k + 1
    patches = np.zeros((N, C, k, k, Ho, Wo))
    for i in range(k):
        for j in range(k):
            patches[:, :, i, j] = x[:, :, i : i + Ho, j : j + Wo]
    rows = patches.transpose(0, 4, 5, 1, 2, 3).reshape(N * Ho * Wo, -1)
    out = (rows @ w.reshape(F, -1).T + b).reshape(N, Ho, Wo, F).transpose(0, 3, 1, 2)

    def backward(dout):
        d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
        drows = d @ w.reshape(F, -1)
        # right: dpatches = drows.reshape(N, Ho, Wo, C, k, k).transpose(0, 3, 4, 5, 1, 2)
        dpatches = drows.reshape(N, C, k, k, Ho, Wo)
        dx = np.zeros_like(x)
        for i in range(k):
            for j in range(k):
                dx[:, :, i : i + Ho, j : j + Wo] += dpatches[:, :, i, j]
        return dx, (d.T @ rows).reshape(w.shape), d.sum(axis=0)

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
    "conv_bias_as_if_the_maps_stood_last",
    cause="wrong-sum-axis",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 3, 6, 6), (4, 3, 2, 3), (4,)]),
    wrong=("db",),
    note="four filters and maps four pixels wide, so (N, H, W, C) fits as well as (N, C, H, W)",
)
def conv_bias_as_if_the_maps_stood_last(x, w, b):
    N, _, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = H - HH + 1, W - WW + 1
    out = np.zeros((N, F, H_out, W_out))
    for f in range(F):
        for i in range(H_out):
            for j in range(W_out):
                out[:, f, i, j] = np.sum(x[:, :, i : i + HH, j : j + WW] * w[f], axis=(1, 2, 3)) + b[f]

    def backward(dout):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        db = np.sum(dout, axis=(0, 1, 2))  # right: db = np.sum(dout, axis=(0, 2, 3))
        for n in range(N):
            for f in range(F):
                for i in range(H_out):
                    for j in range(W_out):
                        dw[f] += x[n, :, i : i + HH, j : j + WW] * dout[n, f, i, j]
                        dx[n, :, i : i + HH, j : j + WW] += w[f] * dout[n, f, i, j]
        return dx, dw, db

    return out, backward


@mutant(
    "im2col_weight_folded_before_it_is_turned",
    cause="permuted-axes",
    also=("transposed",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 2, 7, 6), (3, 2, 3, 2), (3,)]),
    wrong=("dW",),
    note="col.T @ dout has a column for each filter, and as many numbers as the weight",
)
def im2col_weight_folded_before_it_is_turned(x, W, b):
    """Stride 2."""
    FN, C, FH, FW = W.shape
    out_h, out_w = (x.shape[2] - FH) // 2 + 1, (x.shape[3] - FW) // 2 + 1
    col = im2col(x, FH, FW, 2)
    col_W = W.reshape(FN, -1).T
    out = (col @ col_W + b).reshape(len(x), out_h, out_w, FN).transpose(0, 3, 1, 2)

    def backward(dout):
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        dW = col.T @ dout
        dW = dW.reshape(FN, C, FH, FW)  # right: dW = dW.T.reshape(FN, C, FH, FW)
        dx = col2im(dout @ col_W.T, x.shape, FH, FW, 2)
        return dx, dW, dout.sum(axis=0)

    return out, backward


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
    "grey_conv_way_back_ends_before_the_last_row",
    cause="off-by-one",
    also=("sum-missing",),
    inputs=draw_6((3, 6, 5), (3, 2), (1,)),
    wrong=("dx", "dk"),
    note="range(H - kh) has one row less than comes out",
)
def grey_conv_way_back_ends_before_the_last_row(x, k, b):
    """Grey pictures (N, H, W), one kernel, one bias."""
    N, H, W = x.shape
    kh, kw = k.shape
    out = np.zeros((N, H - kh + 1, W - kw + 1))
    for i in range(H - kh + 1):
        for j in range(W - kw + 1):
            out[:, i, j] = np.sum(x[:, i : i + kh, j : j + kw] * k, axis=(1, 2)) + b

    def backward(dout):
        dx, dk = np.zeros_like(x), np.zeros_like(k)
        for i in range(H - kh):  # right: for i in range(H - kh + 1):
            for j in range(W - kw + 1):
                for n in range(N):
                    dk += dout[n, i, j] * x[n, i : i + kh, j : j + kw]
                    dx[n, i : i + kh, j : j + kw] += dout[n, i, j] * k
        return dx, dk, np.array([dout.sum()])

    return out, backward


@mutant(
    "full_convolution_kernel_turned_upside_down_only",
    cause="kernel-not-flipped",
    inputs=draw_6((2, 2, 5, 6), (3, 2, 3, 2), (3,)),
    wrong=("dx",),
    note="[::-1] of a matrix turns its rows, the columns want another",
)
def full_convolution_kernel_turned_upside_down_only(x, kernels, bias):
    N, C, H, W = x.shape
    F, _, kh, kw = kernels.shape
    out = np.zeros((N, F, H - kh + 1, W - kw + 1))
    for n in range(N):
        for f in range(F):
            out[n, f] = sum(correlate(x[n, c], kernels[f, c]) for c in range(C)) + bias[f]

    def backward(dout):
        dx, dkernels = np.zeros(x.shape), np.zeros(kernels.shape)
        full = np.pad(dout, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
        for n in range(N):
            for f in range(F):
                for c in range(C):
                    dkernels[f, c] += correlate(x[n, c], dout[n, f])
                    turned = kernels[f, c][::-1]  # right: turned = kernels[f, c][::-1, ::-1]
                    dx[n, c] += correlate(full[n, f], turned)
        return dx, dkernels, dout.sum(axis=(0, 2, 3))

    return out, backward
