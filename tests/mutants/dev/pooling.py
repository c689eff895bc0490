# ruff: noqa: RUF059 (students unpack every shape)
"""Pooling and its inverse: windows that share pixels: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import average_inputs, draw_6, image


def apart_2(*shape):
    """Draws one array whose numbers are so far apart that a small step changes no maximum."""
    return lambda rng: (rng.permutation(np.prod(shape)).reshape(shape) / 20 - 1,)


@mutant(
    "alexnet_pool_winner_of_two_windows_paid_once",
    cause="sum-missing",
    also=("repeated-ids-assigned",),
    inputs=apart_2(2, 3, 7, 9),
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
    inputs=apart_2(6, 8, 3),
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


@mutant("max_pool_shares_with_all", cause="pool-gradient-to-all", inputs=image, wrong=("dx",))
def max_pool_shares_with_all(x):
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // 2, W // 2))
    for i in range(H // 2):
        for j in range(W // 2):
            out[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(2, 3))

    def backward(dout):
        dx = np.zeros_like(x)
        for i in range(H // 2):
            for j in range(W // 2):
                patch = (slice(None), slice(None), slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2))
                # right: dx[patch] = (x[patch] == out[:, :, i : i + 1, j : j + 1]) * dout[:, :, i : i + 1, j : j + 1]
                dx[patch] = dout[:, :, i : i + 1, j : j + 1]
        return dx

    return out, backward


@mutant(
    "pool_windows_overlap_and_overwrite",
    cause="repeated-ids-assigned",
    also=("sum-missing",),
    like="max_pool2d_with_indices, overlapping",
    wrong=("dx",),
)
def pool_windows_overlap_and_overwrite(x):
    """Windows of 3 x 2, every second row, with a border."""
    N, C, H, W = x.shape
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    Ho, Wo = (H + 2 - 3) // 2 + 1, W + 2 - 2 + 1
    out = np.zeros((N, C, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            out[:, :, i, j] = xp[:, :, 2 * i : 2 * i + 3, j : j + 2].max(axis=(2, 3))

    def backward(dout):
        dxp = np.zeros_like(xp)
        for n, c, i, j in np.ndindex(*out.shape):
            window = xp[n, c, 2 * i : 2 * i + 3, j : j + 2]
            a, b = np.unravel_index(window.argmax(), window.shape)
            dxp[n, c, 2 * i + a, j + b] = dout[n, c, i, j]  # right: dxp[n, c, 2 * i + a, j + b] += dout[n, c, i, j]
        return dxp[:, :, 1:-1, 1:-1].copy()

    return out, backward


@mutant("unpool_reads_the_next_place", cause="off-by-one", like="max_unpool2d", wrong=("dx",))
def unpool_reads_the_next_place(x, places):
    """The numbers of the places start at zero."""
    N, C, h, w = x.shape
    H, W = 5, 7
    y = np.zeros((N * C, H * W))
    rows, at = np.arange(N * C)[:, None], places.reshape(N * C, -1)
    y[rows, at] = x.reshape(N * C, -1)

    def backward(dy):
        dx = dy.reshape(N * C, -1)[rows, at + 1]  # right: dx = dy.reshape(N * C, -1)[rows, at]
        return dx.reshape(x.shape), None

    return y.reshape(N, C, H, W), backward


@mutant("enlarged_picture_one_pixel_of_six", cause="sum-missing", like="interpolate", wrong=("dx",))
def enlarged_picture_one_pixel_of_six(x):
    """Twice as high, three times as wide."""
    y = x.repeat(2, axis=2).repeat(3, axis=3)

    def backward(dy):
        N, C, H, W = x.shape
        blocks = dy.reshape(N, C, H, 2, W, 3)
        return blocks[:, :, :, 0, :, 0].copy()  # right: return blocks.sum(axis=(3, 5))

    return y, backward


def enlarging_inputs(rng):
    return rng.standard_normal((2, 3, 3, 4)), rng.standard_normal((3, 2, 3, 3))


@mutant("enlarging_conv_forgets_its_stride", cause="off-by-one", inputs=enlarging_inputs, wrong=("dx", "dw"))
def enlarging_conv_forgets_its_stride(x, w):
    """Transposed convolution, step two."""
    N, C, H, W = x.shape
    y = np.zeros((N, w.shape[1], 2 * H + 1, 2 * W + 1))
    for i in range(H):
        for j in range(W):
            y[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("nc,cfkl->nfkl", x[:, :, i, j], w)

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(H):
            for j in range(W):
                # right: window = dy[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
                window = dy[:, :, i : i + 3, j : j + 3]
                dx[:, :, i, j] = np.einsum("nfkl,cfkl->nc", window, w)
                dw += np.einsum("nfkl,nc->cfkl", window, x[:, :, i, j])
        return dx, dw

    return y, backward


def eight_channels(rng):
    return (rng.standard_normal((2, 8, 2, 3)),)


@mutant("pixels_shuffled_in_another_order", cause="permuted-axes", inputs=eight_channels, wrong=("dx",))
def pixels_shuffled_in_another_order(x):
    """Four channels become a square of 2 x 2 pixels."""
    N, C, H, W = x.shape
    y = x.reshape(N, C // 4, 2, 2, H, W).transpose(0, 1, 4, 2, 5, 3).reshape(N, C // 4, 2 * H, 2 * W)

    def backward(dy):
        blocks = dy.reshape(N, C // 4, 2, H, 2, W)  # right: blocks = dy.reshape(N, C // 4, H, 2, W, 2)
        dx = blocks.transpose(0, 1, 2, 4, 3, 5)  # right: dx = blocks.transpose(0, 1, 3, 5, 2, 4)
        return dx.reshape(x.shape)

    return y, backward


@mutant("mean_pool_gives_to_the_corner", cause="sum-missing", also=("pool-gradient-to-all",), inputs=average_inputs,
        wrong=("dx",))  # fmt: skip
def mean_pool_gives_to_the_corner(x):
    N, C, H, W = x.shape
    y = x.reshape(N, C, H // 2, 2, W // 2, 2).mean(axis=(3, 5))

    def backward(dy):
        dx = np.zeros_like(x)
        dx[:, :, ::2, ::2] = dy / 4  # right: dx += np.kron(dy, np.ones((2, 2))) / 4
        return dx

    return y, backward


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


@mutant(
    "upsampling_goes_back_as_average_pooling",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((2, 3, 2, 4)),),
    wrong=("dx",),
    note="the pixel is copied, not shared out",
)
def upsampling_goes_back_as_average_pooling(x):
    """Each pixel becomes a block, three high and two wide."""
    N, C, H, W = x.shape
    big = x.repeat(3, axis=2).repeat(2, axis=3)

    def backward(dbig):
        blocks = dbig.reshape(N, C, H, 3, W, 2)
        return blocks.mean(axis=(3, 5))  # right: return blocks.sum(axis=(3, 5))

    return big, backward


def untied(rng):
    """Maps (N, C, H, W) of which no two pixels are nearly equal."""
    return (rng.permutation(2 * 2 * 7 * 5).reshape(2, 2, 7, 5) / 50.0 - 1,)


@mutant(
    "overlapping_max_pool_last_window_wins",
    cause="sum-missing",
    inputs=untied,
    wrong=("dx",),
    note="windows of three at a stride of two share a row and a column",
)
def overlapping_max_pool_last_window_wins(x):
    N, C, H, W = x.shape
    size, stride = 3, 2
    H_out, W_out = (H - size) // stride + 1, (W - size) // stride + 1
    out = np.zeros((N, C, H_out, W_out))
    for h in range(H_out):
        for w in range(W_out):
            window = x[:, :, h * stride : h * stride + size, w * stride : w * stride + size]
            out[:, :, h, w] = window.max(axis=(2, 3))

    def backward(dout):
        dx = np.zeros_like(x)
        for n in range(N):
            for c in range(C):
                for h in range(H_out):
                    for w in range(W_out):
                        rows = slice(h * stride, h * stride + size)
                        columns = slice(w * stride, w * stride + size)
                        mask = x[n, c, rows, columns] == out[n, c, h, w]
                        # right: dx[n, c, rows, columns] += mask * dout[n, c, h, w]
                        dx[n, c, rows, columns] = mask * dout[n, c, h, w]
        return dx

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


def maps_without_ties(rng):
    """Maps (N, C, H, W) whose numbers are so far apart that a small step changes no maximum."""
    return (rng.permutation(2 * 3 * 4 * 6).reshape(2, 3, 4, 6) / 30 - 2,)


@mutant(
    "max_pool_blocks_are_a_copy_of_dx",
    cause="zero-gradient",
    inputs=maps_without_ties,
    wrong=("dx",),
    note="after a transpose, reshape copies: what is written into the blocks never reaches dx",
)
def max_pool_blocks_are_a_copy_of_dx(x):
    """Two by two, without a loop."""
    N, C, H, W = x.shape
    h, w = H // 2, W // 2
    blocks = x.reshape(N, C, h, 2, w, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, h, w, 4)
    winner = blocks.argmax(axis=4)[..., None]
    out = blocks.max(axis=4)

    def backward(dout):
        dx = np.zeros_like(x)
        dblocks = dx.reshape(N, C, h, 2, w, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, h, w, 4)
        np.put_along_axis(dblocks, winner, dout[..., None], axis=4)
        # missing: dx = dblocks.reshape(N, C, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H, W)
        return dx

    return out, backward


@mutant(
    "enlarging_undone_by_average_pooling",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=draw_6((2, 3, 3, 4)),
    wrong=("dx",),
    note="the opposite of enlarging is the mean of a block, its gradient is the sum",
)
def enlarging_undone_by_average_pooling(x):
    """Twice as high and wide."""
    N, C, H, W = x.shape
    up = np.zeros((N, C, 2 * H, 2 * W))
    for i in range(2 * H):
        for j in range(2 * W):
            up[:, :, i, j] = x[:, :, i // 2, j // 2]

    def backward(dup):
        dx = np.zeros_like(x)
        for i in range(H):
            for j in range(W):
                block = dup[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                dx[:, :, i, j] = block.mean(axis=(2, 3))  # right: dx[:, :, i, j] = block.sum(axis=(2, 3))
        return dx

    return up, backward
