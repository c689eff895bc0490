"""Convolution, which gathers what each window sees and multiplies, and its transpose, which multiplies and scatters.

Pictures are (N, C, H, W), weights PyTorch's. In memory the pictures of a batch lie side by side, batch last: the same
pixel of all pictures is one run of numbers, so that a window is moved in runs, whatever its stride and padding. Every
function takes any strides, and gives arrays of shape (N, C, H, W) that lie so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from minis2s.backend import Array, get_xp
from minis2s.functional.activation import Backward

Pair = tuple[int, int]


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

    def small(self, large: Pair) -> Pair:
        """How many windows fit on the large grid."""
        reach = (d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))
        fit = zip(large, self.padding, reach, self.stride, strict=True)
        return tuple((L + 2 * p - r) // s + 1 for L, p, r, s in fit)  # type: ignore[return-value]

    def taps(self, small: Pair, large: Pair) -> Iterator[tuple[Pair, tuple[slice, slice], tuple[slice, slice]]]:
        """For each tap: the windows that see a real place through it, and the places that they see."""
        for i in range(self.kernel[0]):
            rows = self._seen(0, i, small[0], large[0])
            for j in range(self.kernel[1]):
                columns = self._seen(1, j, small[1], large[1])
                yield (i, j), (rows[0], columns[0]), (rows[1], columns[1])

    def _seen(self, axis: int, tap: int, small: int, large: int) -> tuple[slice, slice]:
        stride, first = self.stride[axis], tap * self.dilation[axis] - self.padding[axis]
        start = max(0, -(first // stride))  # the first window whose place is not negative: first / stride, rounded up
        stop = max(start, min(small, (large - 1 - first) // stride + 1))
        place = first + start * stride
        return slice(start, stop), slice(place, place + (stop - start) * stride, stride)

    def gather(self, x: Array, small: Pair) -> Array:
        """What each window sees, 0 beyond the edge: (C, H, W, N) -> (C, kh, kw, OH, OW, N)."""
        C, *large, N = x.shape
        seen = get_xp(x).zeros((C, *self.kernel, *small, N), dtype=x.dtype)
        for tap, windows, places in self.taps(small, large):
            seen[:, *tap, *windows] = x[:, *places]
        return seen

    def scatter(self, painted: Array, large: Pair) -> Array:
        """Add up what each window paints, the transpose of :meth:`gather`: (C, kh, kw, OH, OW, N) -> (C, H, W, N)."""
        C, _, _, *small, N = painted.shape
        y = get_xp(painted).zeros((C, *large, N), dtype=painted.dtype)
        for tap, windows, places in self.taps(small, large):
            y[:, *places] += painted[:, *tap, *windows]
        return y


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
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

    Returns
    -------
    y (N, O, OH, OW), OH = (H + 2p - d (kh - 1) - 1) // s + 1; backward(dy) -> dx, dweight, dbias (None without a bias)

    Raises
    ------
    ValueError
        If channels and groups do not fit, or no window fits on x.
    """
    windows = Windows(weight.shape[2:], pair(stride), pair(padding), pair(dilation))
    N, C, *large = x.shape
    O, G = weight.shape[0], groups
    _check_groups("conv2d", C, weight.shape[1] * G, O, G)
    small = windows.small(large)
    if min(small) < 1:
        raise ValueError(f"conv2d: no window of {windows} fits on x of {large[0]} x {large[1]}")
    xp = get_xp(x)
    w = weight.reshape(G, O // G, -1)  # (G, O/G, C/G kh kw)
    seen = windows.gather(batch_last(x), small).reshape(G, w.shape[2], -1)  # (G, C/G kh kw, OH OW N)
    y = xp.matmul(w, seen).reshape(O, *small, N)
    if bias is not None:
        y += bias[:, None, None, None]

    def backward(dy: Array) -> tuple[Array, Array, Array | None]:
        dy = batch_last(dy).reshape(G, O // G, -1)  # (G, O/G, OH OW N)
        dweight = xp.matmul(dy, seen.swapaxes(1, 2)).reshape(weight.shape)
        painted = xp.matmul(w.swapaxes(1, 2), dy).reshape(C, *windows.kernel, *small, N)
        dbias = None if bias is None else dy.sum(axis=2).reshape(O)
        return batch_first(windows.scatter(painted, large)), dweight, dbias

    return batch_first(y), backward


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
    windows = Windows(weight.shape[2:], pair(stride), pair(padding), pair(dilation))
    N, C, *small = x.shape
    O, G = weight.shape[1] * groups, groups
    _check_groups("conv_transpose2d", C, weight.shape[0], O, G)
    large = _painted_size(windows, small, pair(output_padding))
    xp = get_xp(x)
    w = weight.reshape(G, C // G, -1)  # (G, C/G, O/G kh kw)
    rows = batch_last(x).reshape(G, C // G, -1)  # (G, C/G, H W N)
    painted = xp.matmul(w.swapaxes(1, 2), rows).reshape(O, *windows.kernel, *small, N)
    y = windows.scatter(painted, large)
    if bias is not None:
        y += bias[:, None, None, None]

    def backward(dy: Array) -> tuple[Array, Array, Array | None]:
        dy = batch_last(dy)
        seen = windows.gather(dy, small).reshape(G, w.shape[2], -1)  # (G, O/G kh kw, H W N)
        dweight = xp.matmul(rows, seen.swapaxes(1, 2)).reshape(weight.shape)
        dx = xp.matmul(w, seen).reshape(C, *small, N)
        return batch_first(dx), dweight, None if bias is None else dy.sum(axis=(1, 2, 3))

    return batch_first(y), backward


def _painted_size(windows: Windows, small: Pair, extra: Pair) -> Pair:
    """The size of the large grid for that of the small one."""
    size = []
    for axis in range(2):
        k, s, p, d = (part[axis] for part in windows)
        if not 0 <= extra[axis] < max(s, d):
            raise ValueError(
                f"conv_transpose2d: output_padding is {extra[axis]}, expected less than stride or dilation"
            )
        size.append((small[axis] - 1) * s - 2 * p + d * (k - 1) + 1 + extra[axis])
    if min(size) < 1:
        raise ValueError(f"conv_transpose2d: y would be {size[0]} x {size[1]}; padding is too large")
    return tuple(size)  # type: ignore[return-value]


def _check_groups(name: str, channels: int, expected: int, outputs: int, groups: int) -> None:
    if channels != expected:
        raise ValueError(f"{name}: x has {channels} channels, weight with groups={groups} expects {expected}")
    if channels % groups or outputs % groups:
        raise ValueError(f"{name}: groups is {groups}, which divides not both {channels} and {outputs} channels")
