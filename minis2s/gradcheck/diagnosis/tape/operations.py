"""What is done with recorded arrays: each operation makes a value, and an edge to each operand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minis2s.gradcheck.diagnosis.tape import rules
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Rule, Tape, Untraceable
from minis2s.gradcheck.diagnosis.tape.tracked import UFUNCS, Tracked, Turned, plain


def new(tape: Tape, op: str, value: Any, edges: Sequence[Edge]) -> Tracked:
    """A new value."""
    return Tracked(tape, Entry(tape, op, np.asarray(value), list(edges)))


def tape_of(*xs: Any) -> Tape:
    """The record that the first recorded one of some values belongs to."""
    return next(x.tape for x in xs if isinstance(x, Tracked))


def _edges(kind: str, rule: Rule, operands: Sequence[Any], parts: Sequence[dict[str, Any]]) -> list[Edge]:
    return [
        Edge(x.entry, slot, kind, rule, **part)
        for slot, (x, part) in enumerate(zip(operands, parts, strict=True))
        if isinstance(x, Tracked)
    ]


# ------------------------------------------------------------------------------------------- elementwise, of one value

SLOPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "tanh": lambda x, y: 1 - y * y,
    "sigmoid": lambda x, y: y * (1 - y),
    "exp": lambda x, y: y,
    "log": lambda x, y: 1 / x,
    "sqrt": lambda x, y: 0.5 / y,
    "square": lambda x, y: 2 * x,
    "expm1": lambda x, y: y + 1,
    "log1p": lambda x, y: 1 / (1 + x),
    "absolute": lambda x, y: np.sign(x),
    "fabs": lambda x, y: np.sign(x),
    "reciprocal": lambda x, y: -y * y,
    "relu": lambda x, y: (x > 0) * 1.0,
    "cosh": lambda x, y: np.sinh(x),
    "sinh": lambda x, y: np.cosh(x),
    "arctan": lambda x, y: 1 / (1 + x * x),
    "log2": lambda x, y: 1 / (x * np.log(2)),
    "log10": lambda x, y: 1 / (x * np.log(10)),
    "exp2": lambda x, y: y * np.log(2),
    "cbrt": lambda x, y: 1 / (3 * y * y),
    "sin": lambda x, y: np.cos(x),
    "cos": lambda x, y: -np.sin(x),
    "normal_cdf": lambda x, y: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
}
"""Derivatives of elementwise functions, of their argument and value."""


def unary(op: str, x: Tracked, value: np.ndarray) -> Tracked:
    """An elementwise function whose derivative is known."""
    slope = SLOPES[op](x.value, value)
    return new(x.tape, op, value, [Edge(x.entry, 0, "slope", rules.slope, slope=slope)])


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), as one operation."""
    return unary("sigmoid", x, 1 / (1 + np.exp(-x.value)))


def relu(x: Any) -> Any:
    """max(x, 0), as one operation."""
    return unary("relu", x, np.maximum(x.value, 0))


def normal_cdf(x: Any) -> Any:
    """The share of a normal distribution below x, as one operation."""
    return unary("normal_cdf", x, np.vectorize(lambda z: math.erfc(-z / math.sqrt(2)) / 2)(x.value))


def power(x: Any, exponent: Any) -> Any:
    """x^n for a number n; any other power by its logarithm."""
    if isinstance(exponent, Tracked):
        return np.exp(exponent * np.log(x))
    n = np.asarray(exponent, dtype=float)
    slope = n * x.value ** (n - 1)
    edge = Edge(x.entry, 0, "slope", rules.slope, slope=slope, exponent=float(n.flat[0]))
    return new(x.tape, "power", x.value**n, [edge])


# ----------------------------------------------------------------------------------------- elementwise, of two values


def _binary(op: str, value: Any, a: Any, b: Any, factor_a: Any, factor_b: Any) -> Tracked:
    parts = ({"factor": factor_a}, {"factor": factor_b})
    return new(tape_of(a, b), op, value, _edges("factor", rules.factor, (a, b), parts))


def add(a: Any, b: Any) -> Tracked:
    """a + b."""
    return _binary("add", plain(a) + plain(b), a, b, 1.0, 1.0)


def subtract(a: Any, b: Any) -> Tracked:
    """a - b."""
    return _binary("subtract", plain(a) - plain(b), a, b, 1.0, -1.0)


def multiply(a: Any, b: Any) -> Tracked:
    """a b."""
    p, q = np.asarray(plain(a)), np.asarray(plain(b))
    return _binary("multiply", p * q, a, b, q, p)


def divide(a: Any, b: Any) -> Tracked:
    """a / b."""
    p, q = np.asarray(plain(a)), np.asarray(plain(b))
    return _binary("divide", p / q, a, b, 1 / q, -p / (q * q))


def negative(a: Any) -> Tracked:
    """-a."""
    return new(a.tape, "negative", -a.value, _edges("factor", rules.factor, (a,), ({"factor": -1.0},)))


def maximum(a: Any, b: Any) -> Tracked:
    """The larger of two; max(x, 0) is a ReLU."""
    for x, other in ((a, b), (b, a)):
        if not isinstance(other, Tracked) and np.ndim(other) == 0 and other == 0:
            return relu(x)
    return _one_of("maximum", a, b, np.asarray(plain(a)) > plain(b))


def minimum(a: Any, b: Any) -> Tracked:
    """The smaller of two."""
    return _one_of("minimum", a, b, np.asarray(plain(a)) < plain(b))


def _one_of(op: str, a: Any, b: Any, first: np.ndarray) -> Tracked:
    return _binary(op, np.where(first, plain(a), plain(b)), a, b, first * 1.0, 1.0 - first)


def where(mask: Any, a: Any, b: Any) -> Tracked:
    """One of two, entry by entry."""
    mask = np.asarray(plain(mask)).astype(bool)
    value = np.where(mask, plain(a), plain(b))
    parts = (
        {"factor": np.broadcast_to(mask, value.shape) * 1.0},
        {"factor": np.broadcast_to(~mask, value.shape) * 1.0},
    )
    return new(tape_of(a, b), "where", value, _edges("choice", rules.factor, (a, b), parts))


# ----------------------------------------------------------------------------------------------------------- products


def matmul(a: Any, b: Any) -> Tracked:
    """A matrix product, or many."""
    p, q = plain(a), plain(b)
    edges = []
    if isinstance(a, Tracked):
        edges.append(Edge(a.entry, 0, "left", rules.left, other=q))
    if isinstance(b, Tracked):
        edges.append(Edge(b.entry, 1, "right", rules.right, other=p))
    return new(tape_of(a, b), "matmul", p @ q, edges)


def einsum(subscripts: str, *xs: Any, **_: Any) -> Tracked:
    """A sum over letters."""
    if "." in subscripts:
        raise Untraceable("einsum")
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    if not arrow:
        result = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    letters, values = left.split(","), [np.asarray(plain(x)) for x in xs]
    edges = []
    for slot, x in enumerate(xs):
        if isinstance(x, Tracked):
            others, arrays = letters[:slot] + letters[slot + 1 :], values[:slot] + values[slot + 1 :]
            parts = {"own": letters[slot], "others": others, "arrays": arrays, "result": result, "before": x.shape}
            edges.append(Edge(x.entry, slot, "einsum", rules.einsum, **parts))
    return new(tape_of(*xs), "einsum", np.einsum(left + "->" + result, *values), edges)


# ------------------------------------------------------------------------------------------------------- over an axis


def axes_of(x: Tracked, axis: Any) -> tuple[int, ...]:
    """The axes that an argument names, all if it is None."""
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple | list) else (axis,)))


def _reduce(op: str, x: Tracked, axis: Any, keepdims: bool, value: Any, scale: Any) -> Tracked:
    parts = {"axes": axes_of(x, axis), "keepdims": bool(keepdims), "scale": scale}
    return new(x.tape, op, value, [Edge(x.entry, 0, "spread", rules.spread, **parts)])


def total(x: Tracked, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
    """A sum."""
    return _reduce("sum", x, axis, keepdims, x.value.sum(axis=axis, keepdims=keepdims), 1.0)


def mean(x: Tracked, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
    """A mean."""
    value = x.value.mean(axis=axis, keepdims=keepdims)
    return _reduce("mean", x, axis, keepdims, value, value.size / x.size)


def variance(x: Tracked, axis: Any = None, keepdims: bool = False, ddof: int = 0, **_: Any) -> Tracked:
    """A variance, as one operation: its path through the mean is zero."""
    axes = axes_of(x, axis)
    centred = x.value - x.value.mean(axis=axes, keepdims=True)
    value = x.value.var(axis=axis, keepdims=keepdims, ddof=ddof)
    count = x.size / value.size - ddof
    return _reduce("var", x, axis, keepdims, value, 2 * centred / count)


def largest(x: Tracked, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
    """A maximum."""
    axes = axes_of(x, axis)
    full = x.value.max(axis=axes, keepdims=True)
    hit = (x.value == full) * 1.0
    value = full if keepdims else full.reshape([n for a, n in enumerate(x.shape) if a not in axes])
    edge = Edge(x.entry, 0, "largest", rules.spread, axes=axes, keepdims=bool(keepdims), scale=hit)
    return new(x.tape, "max", value, [edge])


def softmax(x: Any, mask: Any = None) -> Any:
    """Over the last axis, as one operation; what the mask excludes is 0."""
    value = x.value if mask is None else np.where(mask, x.value, -1e300)
    y = np.exp(value - value.max(axis=-1, keepdims=True))
    y = y if mask is None else y * mask
    y /= np.maximum(y.sum(axis=-1, keepdims=True), 1e-300)
    return new(x.tape, "softmax", y, [Edge(x.entry, 0, "softmax", rules.softmax)])


def log_sum_exp(x: Any) -> Any:
    """Over the last axis, as one operation."""
    top = x.value.max(axis=-1, keepdims=True)
    value = (np.log(np.exp(x.value - top).sum(axis=-1, keepdims=True)) + top)[..., 0]
    share = np.exp(x.value - value[..., None])
    return new(x.tape, "logsumexp", value, [Edge(x.entry, 0, "logsumexp", rules.shared, share=share)])


# ----------------------------------------------------------------------------------------------------- places and axes


def reshape(x: Any, shape: Any, **_: Any) -> Tracked:
    """The same numbers in another shape."""
    edge = Edge(x.entry, 0, "reshape", rules.reshaped)
    return new(x.tape, "reshape", x.value.reshape(plain(shape)).copy(), [edge])


def transpose(x: Any, axes: Any = None) -> Tracked:
    """Axes in another order."""
    axes = tuple(range(x.ndim))[::-1] if axes is None else tuple(a % x.ndim for a in axes)
    view = Turned(axes)
    made = Tracked(x.tape, view.read(x.entry), x, view)
    made.entry.label = x.entry.label
    return made


def gathered(x: Tracked, function: Callable[[np.ndarray], np.ndarray]) -> Tracked:
    """What only moves or repeats numbers, by the places that they come from."""
    places = function(np.arange(x.size).reshape(x.shape))
    return x[np.unravel_index(places, x.shape)]


def concatenate(xs: Sequence[Any], axis: int | None = 0, **_: Any) -> Tracked:
    """Arrays side by side."""
    if axis is None:
        return concatenate([np.ravel(x) for x in xs])
    values = [np.asarray(plain(x)) for x in xs]
    axis = axis % values[0].ndim
    edges, start = [], 0
    for slot, (x, value) in enumerate(zip(xs, values, strict=True)):
        stop = start + value.shape[axis]
        if isinstance(x, Tracked):
            index = (slice(None),) * axis + (slice(start, stop),)
            edges.append(Edge(x.entry, slot, "joined", rules.written, index=index))
        start = stop
    return new(tape_of(*xs), "concatenate", np.concatenate(values, axis), edges)


def stack(xs: Sequence[Any], axis: int = 0, **_: Any) -> Tracked:
    """Arrays on top of each other."""
    values = [np.asarray(plain(x)) for x in xs]
    axis = axis % (values[0].ndim + 1)
    edges = [
        Edge(x.entry, slot, "stacked", rules.written, index=(slice(None),) * axis + (slot,))
        for slot, x in enumerate(xs)
        if isinstance(x, Tracked)
    ]
    return new(tape_of(*xs), "stack", np.stack(values, axis), edges)


def pad(x: Tracked, width: Any, mode: str = "constant", **_: Any) -> Tracked:
    """Zeros around."""
    if mode != "constant":
        raise Untraceable("pad")
    value = np.pad(x.value, width)
    pairs = np.broadcast_to(width, (x.ndim, 2))
    index = tuple(slice(int(a), int(a) + n) for (a, _), n in zip(pairs, x.shape, strict=True))
    return new(x.tape, "pad", value, [Edge(x.entry, 0, "joined", rules.written, index=index)])


# ----------------------------------------------------------------------------------------------------- for our forms


def carry(x: Any, cause: str, label: str = "") -> Any:
    """The state that one step hands to the next: an edge that a hypothesis may cut, and its cause."""
    if not isinstance(x, Tracked):
        return x
    entry = new(x.tape, "carry", x.value, [Edge(x.entry, 0, "carry", rules.reshaped, cause=cause)])
    entry.entry.label = label
    return entry


def name(**named: Any) -> None:
    """Give values the names by which the text speaks of them."""
    for label, x in named.items():
        x.entry.label = label


# ------------------------------------------------------------------------------------------------------ NumPy's ufuncs


def _elementwise(ufunc: Any) -> Callable[[Tracked], Tracked]:
    return lambda x: unary(ufunc.__name__, x, ufunc(x.value))


def _not_recorded(ufunc: Any) -> Callable[..., Any]:
    """Of what has no derivative, or none but 0, the plain value."""
    return lambda *xs: ufunc(*map(plain, xs))


FLAT = (
    "greater greater_equal less less_equal equal not_equal sign isfinite isnan isinf floor ceil trunc rint heaviside"
    " floor_divide signbit logical_and logical_or logical_not logical_xor"
)

UFUNCS |= {name: _not_recorded(getattr(np, name)) for name in FLAT.split()}
UFUNCS |= {name: _elementwise(getattr(np, name)) for name in SLOPES if hasattr(np, name)}
UFUNCS |= {
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "true_divide": divide,
    "negative": negative,
    "positive": lambda x: reshape(x, x.shape),
    "maximum": maximum,
    "minimum": minimum,
    "fmax": maximum,
    "fmin": minimum,
    "power": power,
    "float_power": power,
    "hypot": lambda a, b: np.sqrt(a * a + b * b),
    "logaddexp": lambda a, b: np.log(np.exp(a) + np.exp(b)),
    "matmul": matmul,
    "add.reduce": total,
    "maximum.reduce": largest,
    "add.outer": lambda a, b: np.reshape(a, (*np.shape(a), *[1] * np.ndim(b))) + b,
    "subtract.outer": lambda a, b: np.reshape(a, (*np.shape(a), *[1] * np.ndim(b))) - b,
    "multiply.outer": lambda a, b: np.reshape(a, (*np.shape(a), *[1] * np.ndim(b))) * b,
    "logaddexp.reduce": lambda x, axis=0, **o: np.log(np.sum(np.exp(x), axis, **o)),
}
