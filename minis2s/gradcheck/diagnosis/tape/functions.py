"""NumPy's functions and methods, made of the operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from minis2s.gradcheck.diagnosis.tape.entries import Untraceable
from minis2s.gradcheck.diagnosis.tape.operations import (
    axes_of,
    concatenate,
    einsum,
    gathered,
    largest,
    matmul,
    mean,
    new,
    pad,
    relu,
    reshape,
    stack,
    total,
    transpose,
    variance,
    where,
)
from minis2s.gradcheck.diagnosis.tape.tracked import FUNCTIONS, METHODS, Tracked, plain

# ----------------------------------------------------------------------------------------------------- places and axes


def swapaxes(x: Any, a: int, b: int) -> Tracked:
    """Two axes exchanged."""
    axes = list(range(x.ndim))
    axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes)


def moveaxis(x: Any, source: int, destination: int) -> Tracked:
    """One axis moved."""
    axes = list(range(x.ndim))
    axes.insert(destination % x.ndim, axes.pop(source))
    return transpose(x, axes)


def split(x: Tracked, sections: Any, axis: int = 0) -> list[Tracked]:
    """Parts of an array."""
    ends = np.cumsum([part.shape[axis] for part in np.array_split(x.value, sections, axis)])
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(int(a), int(b)))] for a, b in zip((0, *ends[:-1]), ends, strict=True)]


def moved(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's that only moves, repeats or leaves out numbers."""
    return lambda x, *args, **options: gathered(x, lambda places: function(places, *args, **options))


def diag(x: Tracked, k: int = 0) -> Any:
    """The diagonal of a matrix, or a matrix that has nothing else."""
    if x.ndim == 1 and k == 0:
        return reshape(x, (-1, 1)) * np.eye(len(x))
    return gathered(x, lambda places: np.diag(places, k))


def insert(x: Tracked, at: int, values: Any, axis: int | None = None) -> Any:
    """Rows or columns put in between."""
    x = x if axis is not None else reshape(x, -1)
    axis = 0 if axis is None else axis % x.ndim
    before, after = split(x, [int(at)], axis)
    shape = [1 if a == axis else n for a, n in enumerate(x.shape)]
    return concatenate([before, np.broadcast_to(plain(values), shape), after], axis)


def take(x: Any, ids: Any, axis: int | None = None, **_: Any) -> Tracked:
    """Rows of a table."""
    if not isinstance(x, Tracked):
        raise Untraceable("take")
    if axis is None:
        return reshape(x, -1)[np.asarray(ids)]
    return x[(*[slice(None)] * (axis % x.ndim), np.asarray(ids))]


def take_along_axis(x: Tracked, indices: Any, axis: int) -> Tracked:
    """One entry of each row."""
    return x[_along(indices, axis, x.ndim)]


def _along(indices: Any, axis: int, ndim: int) -> tuple:
    grid = list(np.indices(np.shape(indices), sparse=True))
    grid[axis % ndim] = np.asarray(indices)
    return tuple(grid)


def fill_diagonal(x: Tracked, value: Any) -> None:
    """In place, of a square matrix."""
    x[np.arange(len(x)), np.arange(len(x))] = value


def copyto(x: Tracked, value: Any, where: Any = True, **_: Any) -> None:
    """In place."""
    x[...] = FUNCTIONS["where"](np.broadcast_to(where, x.shape), value, x)


def put_along_axis(x: Tracked, indices: Any, values: Any, axis: int) -> None:
    """In place."""
    x[_along(indices, axis, x.ndim)] = values


def flip(x: Tracked, axis: Any = None) -> Tracked:
    """From the other end."""
    return x[tuple(slice(None, None, -1) if a in axes_of(x, axis) else slice(None) for a in range(x.ndim))]


# ------------------------------------------------------------------------------------------- choices, sums and products


def clip(x: Tracked, low: Any = None, high: Any = None, out: Any = None, **_: Any) -> Tracked:
    """Limits; from 0 to infinity a ReLU."""
    limited = np.clip(x.value, low, high)
    y = relu(x) if np.array_equal(limited, np.maximum(x.value, 0)) else where(limited == x.value, x, limited)
    if out is None:
        return y
    if not isinstance(out, Tracked):
        raise Untraceable("out")
    out.entry = y.entry
    return out


def select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0.0) -> Any:
    """The first choice whose condition holds."""
    chosen = default
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        chosen = where(condition, choice, chosen)
    return chosen


def average(x: Tracked, axis: Any = None, weights: Any = None, **_: Any) -> Any:
    """A mean, weighted or not; weights of one axis."""
    if weights is None:
        return mean(x, axis)
    if axis is not None and np.ndim(weights) == 1:
        weights = np.expand_dims(weights, [a for a in range(x.ndim) if a != axis % x.ndim])
    return total(x * weights, axis) / np.sum(np.broadcast_to(plain(weights), x.shape), axis)


def product(x: Tracked, axis: int | None = None, keepdims: bool = False, **_: Any) -> Any:
    """All factors of an axis, one after the other."""
    rows = reshape(x, -1) if axis is None else moveaxis(x, axis, 0)
    found = rows[0]
    for row in list(rows)[1:]:
        found = found * row
    shape = [1 if axis is None or a == axis % x.ndim else n for a, n in enumerate(x.shape)]
    return reshape(found, shape) if keepdims else found


def dot(a: Any, b: Any) -> Any:
    """`np.dot` of matrices is their product, of numbers theirs; other uses are not recorded."""
    if np.ndim(plain(a)) == 0 or np.ndim(plain(b)) == 0:
        return a * b
    if np.ndim(plain(b)) > 2:
        raise Untraceable("dot")
    return matmul(a, b)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tracked:
    """A sum over pairs of axes."""
    m, n = np.ndim(plain(a)), np.ndim(plain(b))
    pairs = (list(range(m - axes, m)), list(range(axes))) if isinstance(axes, int) else axes
    over_a, over_b = ([axis] if isinstance(axis, int) else list(axis) for axis in pairs)
    left = [chr(ord("a") + k) for k in range(m)]
    right = [chr(ord("a") + m + k) for k in range(n)]
    for p, q in zip(over_a, over_b, strict=True):
        right[q % n] = left[p % m]
    result = [c for c in left if c not in right] + [c for c in right if c not in left]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(result)}", a, b)


def correlate(a: Any, kernel: Any, mode: str = "valid") -> Any:
    """A kernel slides along a signal, both of one axis."""
    a, kernel = np.ravel(a), np.ravel(kernel)
    n, k = np.size(a), np.size(kernel)
    if n < k:
        return np.flip(correlate(kernel, a, mode))
    around = {"valid": (0, 0), "full": (k - 1, k - 1), "same": (k // 2, k - 1 - k // 2)}[mode]
    padded = np.pad(a, around)
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(np.size(padded)), k)
    return np.matmul(padded[windows], kernel)


def convolve(a: Any, kernel: Any, mode: str = "full") -> Any:
    """The same with a kernel that is turned round."""
    if np.size(a) < np.size(kernel):
        a, kernel = kernel, a
    if mode == "same":  # of an even kernel the other middle
        whole, k = convolve(a, kernel), np.size(kernel)
        return whole[(k - 1) // 2 : (k - 1) // 2 + np.size(a)]
    return correlate(a, np.flip(kernel), mode)


def length(x: Tracked, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The Euclidean norm."""
    if ord not in (None, 2, "fro"):
        raise Untraceable("norm")
    return np.sqrt(total(x * x, axis, keepdims=keepdims))


def running_sum(x: Tracked, axis: Any = None, **_: Any) -> Any:
    """Sums of all up to each."""
    flat = reshape(x, -1) if axis is None else x
    axis = 0 if axis is None else axis % x.ndim
    lower = np.tril(np.ones((flat.shape[axis],) * 2))
    return moveaxis(np.matmul(moveaxis(flat, axis, -1), lower.T), flat.ndim - 1, axis)


def differences(x: Tracked, n: int = 1, axis: int = -1) -> Any:
    """Of each and the one before."""
    before = (slice(None),) * (axis % x.ndim)
    for _ in range(n):
        x = x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]
    return x


def apply_along_axis(function: Callable[..., Any], axis: int, x: Tracked, *args: Any, **options: Any) -> Any:
    """A function of rows."""
    if x.ndim == 1:
        return function(x, *args, **options)
    if x.ndim > 2:
        raise Untraceable("apply_along_axis")
    rows = [function(row, *args, **options) for row in (x if axis % 2 else transpose(x))]
    return stack(rows, 0 if axis % 2 or not np.ndim(rows[0]) else -1)


# ---------------------------------------------------------------------------------------------------------- the tables

FUNCTIONS |= {
    "sum": total,
    "nansum": total,
    "mean": mean,
    "average": average,
    "max": largest,
    "amax": largest,
    "min": lambda x, *a, **o: -largest(-x, *a, **o),
    "amin": lambda x, *a, **o: -largest(-x, *a, **o),
    "ptp": lambda x, *a, **o: np.max(x, *a, **o) - np.min(x, *a, **o),
    "prod": product,
    "var": variance,
    "std": lambda x, *a, **o: np.sqrt(variance(x, *a, **o)),
    "cumsum": running_sum,
    "diff": differences,
    "reshape": lambda x, shape=None, **o: reshape(x, shape if shape is not None else o["newshape"]),
    "transpose": transpose,
    "matrix_transpose": lambda x: x.mT,
    "swapaxes": swapaxes,
    "moveaxis": moveaxis,
    "rollaxis": moved(np.rollaxis),
    "expand_dims": lambda x, axis: reshape(x, np.expand_dims(x.value, axis).shape),
    "squeeze": lambda x, axis=None: reshape(x, x.value.squeeze(axis).shape),
    "ravel": lambda x, *_: reshape(x, -1),
    "atleast_1d": lambda x: reshape(x, np.atleast_1d(x.value).shape),
    "atleast_2d": lambda x: reshape(x, np.atleast_2d(x.value).shape),
    "copy": lambda x: reshape(x, x.shape),
    "concatenate": concatenate,
    "stack": stack,
    "hstack": lambda xs: concatenate(xs, 1 if np.ndim(xs[0]) > 1 else 0),
    "vstack": lambda xs: concatenate([reshape(x, np.atleast_2d(x.value).shape) for x in xs], 0),
    "dstack": lambda xs: concatenate([np.reshape(x, np.atleast_3d(plain(x)).shape) for x in xs], 2),
    "column_stack": lambda xs: concatenate([x if np.ndim(x) > 1 else np.reshape(x, (-1, 1)) for x in xs], 1),
    "append": lambda a, b, axis=None: concatenate([a, b], axis),
    "insert": insert,
    "delete": moved(np.delete),
    "split": split,
    "array_split": split,
    "hsplit": lambda x, sections: split(x, sections, 1 if x.ndim > 1 else 0),
    "vsplit": lambda x, sections: split(x, sections, 0),
    "dsplit": lambda x, sections: split(x, sections, 2),
    "unstack": lambda x, axis=0: tuple(moveaxis(x, axis, 0)),
    "where": where,
    "select": select,
    "choose": lambda which, choices: take_along_axis(stack(choices), np.asarray(which)[None], 0)[0],
    "nan_to_num": lambda x, **_: where(np.isfinite(x.value), x, np.nan_to_num(x.value)),
    "clip": clip,
    "dot": dot,
    "multi_dot": lambda xs, **_: reduce(dot, xs),
    "vdot": lambda a, b: total(a * b),
    "vecdot": lambda a, b: total(a * b, -1),
    "inner": lambda a, b: np.matmul(a, np.moveaxis(b, -1, -2) if np.ndim(plain(b)) > 1 else b),
    "outer": lambda a, b: matmul(np.reshape(a, (-1, 1)), np.reshape(b, (1, -1))),
    "trace": lambda x: total(diag(x)),
    "einsum": einsum,
    "tensordot": tensordot,
    "convolve": convolve,
    "correlate": correlate,
    "norm": length,
    "repeat": moved(np.repeat),
    "tile": moved(np.tile),
    "roll": moved(np.roll),
    "rot90": moved(np.rot90),
    "flip": flip,
    "flipud": moved(np.flipud),
    "fliplr": moved(np.fliplr),
    "diagonal": moved(np.diagonal),
    "diag": diag,
    "tril": lambda x, k=0: x * np.tril(np.ones(x.shape), k),
    "triu": lambda x, k=0: x * np.triu(np.ones(x.shape), k),
    "sliding_window_view": moved(np.lib.stride_tricks.sliding_window_view),
    "compress": lambda which, x, axis=None: gathered(x, lambda places: np.compress(which, places, axis)),
    "take": take,
    "take_along_axis": take_along_axis,
    "put_along_axis": put_along_axis,
    "fill_diagonal": fill_diagonal,
    "copyto": copyto,
    "sort": lambda x, axis=-1: take_along_axis(x, x.value.argsort(axis), axis),
    "pad": pad,
    "broadcast_to": lambda x, shape: x * np.ones(shape),
    "apply_along_axis": apply_along_axis,
    "zeros_like": lambda x, **_: new(x.tape, "zeros", np.zeros_like(x.value), []),
    "empty_like": lambda x, **_: new(x.tape, "zeros", np.zeros_like(x.value), []),
    "ones_like": lambda x, **_: np.ones(x.shape),
    "full_like": lambda x, value, **_: np.full(x.shape, float(value)),
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "size": lambda x, axis=None: x.size if axis is None else x.shape[axis],
    # places and truths, which are not recorded
    "argmax": lambda x, *a, **o: x.value.argmax(*a, **o),
    "argmin": lambda x, *a, **o: x.value.argmin(*a, **o),
    "argsort": lambda x, *a, **o: x.value.argsort(*a, **o),
    "argpartition": lambda x, *a, **o: x.value.argpartition(*a, **o),
    "argwhere": lambda x: np.argwhere(x.value),
    "nonzero": lambda x: x.value.nonzero(),
    "any": lambda x, *a, **o: x.value.any(*a, **o),
    "all": lambda x, *a, **o: x.value.all(*a, **o),
    "round": lambda x, *a, **o: x.value.round(*a, **o),
    "array_equal": lambda a, b: np.array_equal(plain(a), plain(b)),
    "allclose": lambda a, b, **o: np.allclose(plain(a), plain(b), **o),
}

SAME = """
    sum mean max min prod var std cumsum swapaxes squeeze ravel copy clip dot repeat diagonal trace take
    argmax argmin argsort nonzero any all round
"""
METHODS |= {name: FUNCTIONS[name] for name in SAME.split()}
METHODS |= {
    "reshape": lambda x, *shape, **_: reshape(x, shape[0] if len(shape) == 1 else shape),
    "transpose": lambda x, *axes: transpose(x, axes[0] if len(axes) == 1 else (axes or None)),
    "flatten": lambda x, *_: reshape(x, -1),
    "astype": lambda x, *_, **__: reshape(x, x.shape),  # the record is in float64
}
