"""Convolution, which gathers what each window sees and multiplies, and its transpose, which multiplies and scatters.

Pictures are (N, C, H, W), weights PyTorch's. In memory the pictures of a batch lie side by side, batch last: the same
pixel of all pictures is one run of numbers, so that a window is moved in runs, whatever its stride and padding. Every
function takes any strides, and gives arrays of shape (N, C, H, W) that lie so.

What all windows see is many times the picture. It is made a few rows of windows at a time, small enough for the cache,
in the forward pass, where the cores share the rows, and again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from minis2s.backend import Array, get_xp, in_blocks, in_shares, matmul, side_by_side, strided_view
from minis2s.functional.activation import Backward

Pair = tuple[int, int]
Work = Callable[[], Array]

PAYS = 1 << 21
"""Numbers that all windows see from which on a second core is worth waking."""

BLOCK = 1 << 20
"""Numbers that the windows of a block of rows see: what stays in the cache from the copy to the product."""


def pair(value: int | Pair) -> Pair:
    """One number for both axes, or one for each: (rows, columns)."""
    return (value, value) if isinstance(value, int) else value


def batch_last(x: Array) -> Array:
    """(N, C, H, W) -> (C, H, W, N), contiguous. Copies only what does not lie so yet."""
    return get_xp(x).ascontiguousarray(x.transpose(1, 2, 3, 0))


def batch_first(x: Array) -> Array:
    """View (C, H, W, N) as (N, C, H, W)."""
    return x.transpose(3, 0, 1, 2)


class Windows(NamedTuple):
    """How the windows of a small grid look at a large one: what convolution, its transpose and pooling share.

    Tap i of window o looks at the place o * stride + i * dilation - padding, along either axis.
    """

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    small: Pair
    large: Pair

    @classmethod
    def on(cls, large: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Windows:
        """As many as fit on the large grid."""
        sides = zip(large, kernel, stride, padding, dilation, strict=True)
        rows, columns = ((L + 2 * p - d * (k - 1) - 1) // s + 1 for L, k, s, p, d in sides)
        if min(rows, columns) < 1:
            raise ValueError(f"no window of {kernel} with dilation {dilation}, padding {padding} fits on x of {large}")
        return cls(kernel, stride, padding, dilation, (rows, columns), large)

    @classmethod
    def of(cls, small: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, extra: Pair) -> Windows:
        """As many as `small` says, and the large grid that they paint, with `extra` rows and columns."""
        if any(not 0 <= e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
            raise ValueError(f"output_padding is {extra}, expected less than stride {stride} or dilation {dilation}")
        sides = zip(small, kernel, stride, padding, dilation, extra, strict=True)
        height, width = ((n - 1) * s - 2 * p + d * (k - 1) + 1 + e for n, k, s, p, d, e in sides)
        if min(height, width) < 1:
            raise ValueError(f"y would be {height} x {width}: padding {padding} is too large")
        return cls(kernel, stride, padding, dilation, small, (height, width))

    def reach(self) -> Pair:
        """From the first tap to the last."""
        rows, columns = (d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True))
        return rows, columns

    def can_paint(self) -> bool:
        """Do the windows, turned by half a turn, paint what they see? With stride 1, unless there is more padding."""
        return self.stride == (1, 1) and all(p <= r for p, r in zip(self.padding, self.reach(), strict=True))

    def padding_of_turned(self) -> Pair:
        """The padding with which windows turned by half a turn see what these paint."""
        rows, columns = (r - p for r, p in zip(self.reach(), self.padding, strict=True))
        return rows, columns

    def all_see(self, channels: int, like: Array) -> int:
        """How many numbers all windows see of `channels` channels of `like` (..., N)."""
        return channels * self.kernel[0] * self.kernel[1] * self.small[0] * self.small[1] * like.shape[-1]

    def side_by_side(self, first: Work, second: Work, channels: int, like: Array) -> tuple[Array, Array]:
        """Results of two computations on what all windows see, each on a core of its own if that pays."""
        if self.all_see(channels, like) < PAYS:
            return first(), second()
        return side_by_side(first, second, like)

    def block(self, channels: int, like: Array) -> int:
        """Rows of windows to work on at a time, which see `channels` channels of `like` (..., N). A device does all."""
        rows = self.small[0]
        if not isinstance(like, np.ndarray):
            return rows
        return min(rows, max(1, BLOCK * rows // max(1, self.all_see(channels, like))))

    def blocks(self, channels: int, like: Array) -> list[slice]:
        """All rows of windows, a block after the other."""
        rows, step = self.small[0], self.block(channels, like)
        return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]

    def each_block(self, work: Callable[[slice], None], channels: int, like: Array) -> None:
        """Call `work(rows)` for all blocks, which know nothing of each other: the cores share them."""
        in_blocks(work, self.small[0], self.block(channels, like), like)

    def taps(self, rows: slice | None = None) -> Iterator[tuple[Pair, tuple[slice, slice], tuple[slice, slice]]]:
        """For each tap: which windows, counted from the first of `rows` (all), see a place through it; which places."""
        rows = rows or slice(0, self.small[0])
        for i in range(self.kernel[0]):
            down = self._seen(0, i, rows)
            for j in range(self.kernel[1]):
                across = self._seen(1, j, slice(0, self.small[1]))
                yield (i, j), (down[0], across[0]), (down[1], across[1])

    def _seen(self, axis: int, tap: int, windows: slice) -> tuple[slice, slice]:
        stride = self.stride[axis]
        first = windows.start * stride + tap * self.dilation[axis] - self.padding[axis]
        start = max(0, -(first // stride))  # the first window whose place is not negative: first / stride, rounded up
        stop = max(start, min(windows.stop - windows.start, (self.large[axis] - 1 - first) // stride + 1))
        place = first + start * stride
        return slice(start, stop), slice(place, place + (stop - start) * stride, stride)

    def pad(self, x: Array) -> Array:
        """(G, C, H, W, N) with zeros around it, as far as windows reach beyond the edge."""
        (top, left), (H, W) = self.padding, self.large
        if not (top or left):
            return x
        padded = get_xp(x).zeros((*x.shape[:2], H + 2 * top, W + 2 * left, x.shape[4]), dtype=x.dtype)
        padded[:, :, top : top + H, left : left + W] = x
        return padded

    def gather(self, padded: Array, rows: slice) -> Array:
        """What the windows of some rows see of a padded x: (G, C, H + 2p, W + 2p, N) -> (G, C kh kw, rows OW N)."""
        (G, C, _, _, N), (g, c, h, w, n) = padded.shape, padded.strides
        (sh, sw), (dh, dw) = self.stride, self.dilation
        shape = (G, C, *self.kernel, rows.stop - rows.start, self.small[1], N)
        strides = (g, c, dh * h, dw * w, sh * h, sw * w, n)
        seen = strided_view(padded[:, :, rows.start * sh :], shape, strides)
        return seen.reshape(G, C * self.kernel[0] * self.kernel[1], -1)

    def scatter(self, painted: Array, rows: slice, y: Array) -> None:
        """Add what the windows of some rows paint, the transpose of :meth:`gather`, to y (G, C, H, W, N)."""
        G, C, _, _, N = y.shape
        painted = painted.reshape(G, C, *self.kernel, rows.stop - rows.start, self.small[1], N)
        for tap, windows, places in self.taps(rows):
            y[:, :, *places] += painted[:, :, *tap, *windows]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    input_gradient: bool = True,
) -> tuple[Array, Backward]:
    """Slide a bank of filters over pictures (LeCun et al. 1989): cross-correlation, as everywhere in this field.

        y_o = b_o + sum_c sum_ij W_ocij x_c[. s + i d - p]                 (1)
        Y = W G(X)                 G gathers what each window sees         (2)
        dW = dY G(X)^T,   dX = G^T(W^T dY),   db = sum of dY               (3)

    Parameters
    ----------
    x : array (N, C, H, W)
    weight : array (O, C / groups, kh, kw)
    bias : array (O,), or None
    stride, padding, dilation : int or pair, s, p, d of (1)
    groups : int
        Filters of group g see the channels of group g alone.
    input_gradient : bool
        False where x is data: dx is None, and costs nothing.

    Returns
    -------
    y (N, O, OH, OW), OH = (H + 2p - d (kh - 1) - 1) // s + 1; backward(dy) -> dx, dweight, dbias (None without a bias)

    Raises
    ------
    ValueError
        If channels and groups do not fit, or no window fits on x.
    """
    N, C, *large = x.shape
    O, G = weight.shape[0], groups
    _check_groups("conv2d", C, weight.shape[1] * G, O, G)
    windows = Windows.on(tuple(large), weight.shape[2:], pair(stride), pair(padding), pair(dilation))
    if 2 * O <= C and windows.can_paint():
        return _conv2d_by_painting(x, weight, bias, windows, groups)
    xp = get_xp(x)
    x = batch_last(x).reshape(G, C // G, *large, N)
    w = weight.reshape(G, O // G, -1)  # (G, O/G, C/G kh kw)
    y = xp.empty((G, O // G, windows.small[0], windows.small[1] * N), dtype=x.dtype)
    padded = windows.pad(x)

    def forward(rows: slice) -> None:
        _products(w, windows.gather(padded, rows), out=_flat(y, rows))
        if bias is not None:
            y[:, :, rows] += bias.reshape(G, -1, 1, 1)

    windows.each_block(forward, C, like=x)

    def backward(dy: Array) -> tuple[Array | None, Array, Array | None]:
        dy = batch_last(dy).reshape(y.shape)
        blocks = windows.blocks(C, like=x)

        def gradient_by_weight() -> Array:
            dweight, padded = xp.zeros_like(w), windows.pad(x)
            for rows in blocks:
                dweight += _products(_flat(dy, rows), windows.gather(padded, rows).swapaxes(1, 2))
            return dweight.reshape(weight.shape)

        def gradient_by_x() -> Array:
            if O <= C and windows.can_paint():  # there G^T is the G of turned filters, without additions
                dpictures = batch_first(dy.reshape(O, *windows.small, N))
                turned, padding = _turned(weight, G), windows.padding_of_turned()
                return conv2d(dpictures, turned, padding=padding, dilation=dilation, groups=groups)[0]
            dx = xp.zeros_like(x)
            for rows in blocks:
                windows.scatter(_products(w.swapaxes(1, 2), _flat(dy, rows)), rows, dx)
            return batch_first(dx.reshape(C, *large, N))

        dbias = None if bias is None else dy.sum(axis=(2, 3)).reshape(O)
        if not input_gradient:
            return None, gradient_by_weight(), dbias
        dweight, dx = windows.side_by_side(gradient_by_weight, gradient_by_x, C, like=x)
        return dx, dweight, dbias

    return batch_first(y.reshape(O, *windows.small, N)), backward


def _conv2d_by_painting(
    x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int
) -> tuple[Array, Backward]:
    """With stride 1 a convolution is a transposed one too, of the filters turned by half a turn.

    Where few channels are made of many, far less is painted than would be gathered.
    """
    padding = windows.padding_of_turned()
    y, painting_backward = conv_transpose2d(
        x, _turned(weight, groups), bias, padding=padding, dilation=windows.dilation, groups=groups
    )

    def backward(dy: Array) -> tuple[Array, Array, Array | None]:
        dx, dturned, dbias = painting_backward(dy)
        return dx, _turned(dturned, groups), dbias

    return y, backward


def _turned(weight: Array, groups: int) -> Array:
    """Filters turned by half a turn, that look the other way: (O, C / G, kh, kw) -> (C, O / G, kh, kw), or back."""
    by_group = weight.reshape(groups, -1, *weight.shape[1:])[..., ::-1, ::-1]
    return by_group.swapaxes(1, 2).reshape(-1, by_group.shape[1], *weight.shape[2:])


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> tuple[Array, Backward]:
    """Paint each pixel through a bank of filters: the transpose of :func:`conv2d` (Zeiler et al. 2010, section 3).

        Y = G^T(W^T X) + b         G^T adds up what each window paints     (4)
        dX = W G(dY),   dW = X G(dY)^T,   db = sum of dY                   (5)

    Parameters
    ----------
    x : array (N, C, H, W)
    weight : array (C, O / groups, kh, kw)
    bias : array (O,), or None
    output_padding : int or pair
        Rows and columns more at the far edge; with stride s there are s sizes of y that conv2d maps to that of x.
    stride, padding, dilation, groups
        Those of the conv2d that this is the transpose of.

    Returns
    -------
    y (N, O, OH, OW), OH = (H - 1) s - 2p + d (kh - 1) + 1 + output padding;
    backward(dy) -> dx, dweight, dbias (None without a bias)

    Raises
    ------
    ValueError
        If channels and groups do not fit, the output padding is not below stride or dilation, or y would be empty.
    """
    N, C, *small = x.shape
    O, G = weight.shape[1] * groups, groups
    _check_groups("conv_transpose2d", C, weight.shape[0], O, G)
    options = (pair(option) for option in (stride, padding, dilation, output_padding))
    windows = Windows.of(tuple(small), weight.shape[2:], *options)
    xp = get_xp(x)
    x = batch_last(x).reshape(G, C // G, small[0], small[1] * N)
    w = weight.reshape(G, C // G, -1)  # (G, C/G, O/G kh kw)
    y = xp.zeros((G, O // G, *windows.large, N), dtype=x.dtype)
    if bias is not None:
        y += bias.reshape(G, -1, 1, 1, 1)
    blocks, taps = windows.blocks(O, like=y), windows.kernel[0] * windows.kernel[1]

    def forward(o: slice) -> None:
        filters = w[:, :, o.start * taps : o.stop * taps].swapaxes(1, 2)  # those that paint channels o of each group
        for rows in blocks:
            windows.scatter(_products(filters, _flat(x, rows)), rows, y[:, o])

    in_shares(forward, O // G, like=y)

    def backward(dy: Array) -> tuple[Array, Array, Array | None]:
        dy = batch_last(dy).reshape(y.shape)
        padded = windows.pad(dy)

        def gradient_by_weight() -> Array:
            dweight = xp.zeros_like(w)
            for rows in blocks:
                dweight += _products(_flat(x, rows), windows.gather(padded, rows).swapaxes(1, 2))
            return dweight.reshape(weight.shape)

        def gradient_by_x() -> Array:
            dx = xp.empty_like(x)
            for rows in blocks:
                _products(w, windows.gather(padded, rows), out=_flat(dx, rows))
            return batch_first(dx.reshape(C, *small, N))

        dweight, dx = windows.side_by_side(gradient_by_weight, gradient_by_x, O, like=x)
        return dx, dweight, None if bias is None else dy.sum(axis=(2, 3, 4)).reshape(O)

    return batch_first(y.reshape(O, *windows.large, N)), backward


def _products(a: Array, b: Array, out: Array | None = None) -> Array:
    """Multiply the matrices of each group; those of a single one as plain matrices, whose product the cores share."""
    if len(a) > 1:
        return matmul(a, b, out=out)
    return matmul(a[0], b[0], out=None if out is None else out[0])[None]


def _flat(x: Array, rows: slice) -> Array:
    """View some rows of x (G, C, H, W N) as (G, C, rows W N)."""
    G, C, _, M = x.shape
    return x.reshape(G, C, -1)[:, :, rows.start * M : rows.stop * M]


def _check_groups(name: str, channels: int, expected: int, outputs: int, groups: int) -> None:
    if channels != expected:
        raise ValueError(f"{name}: x has {channels} channels, weight with groups={groups} expects {expected}")
    if channels % groups or outputs % groups:
        raise ValueError(f"{name}: groups is {groups}, which divides not both {channels} and {outputs} channels")
