"""A record of the forward pass, as a graph whose every edge can be spoiled.

Each edge leads from an operation back to one of its operands, and holds the rule by which gradient flows along it:

    y = a * b        a <- dy * b,   b <- dy * a

A mistake in a backward pass is a wrong rule on some edge, so the gradients that it leads to can be computed: replace
the rule, and run the graph backwards. The forward pass is any NumPy code: arrays of the class :class:`Tracked` answer
to NumPy's own protocols (`__array_ufunc__`, `__array_function__`), and write down what is done with them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 6000
"""Operations in a record. A loop over pixels would have too many to spoil each."""

LARGEST_REMEMBERED = 1500
"""Operations in a record whose right backward pass is remembered in all its states."""

HERE = (str(Path(__file__)), str(Path(np.lib.mixins.__file__)))

Rule = Callable[..., Any]
Jump = Callable[[np.ndarray], np.ndarray]


class Untraceable(Exception):  # noqa: N818
    """An operation that the record does not know, or too many of them."""


class Entry:
    """One value of the forward pass, and the edges to what it was made of."""

    __slots__ = ("edges", "label", "number", "op", "place", "tape", "users", "value")

    def __init__(self, tape: Tape, op: str, value: np.ndarray, edges: Sequence[Edge]) -> None:
        self.tape, self.op, self.value, self.edges = tape, op, value, edges
        self.number = len(tape.entries)
        self.place = tape.place()
        self.label = ""
        self.users: list[Edge] = []
        for edge in edges:
            edge.child = self
            edge.parent.users.append(edge)
        tape.entries.append(self)
        if self.number > LARGEST:
            raise Untraceable("too many operations")


class Edge:
    """From an operation back to one of its operands.

    `kind` says which rule it has, `parts` the arrays that the rule uses.
    """

    __slots__ = ("child", "kind", "parent", "parts", "rule", "slot")

    def __init__(self, parent: Entry, slot: int, kind: str, rule: Rule, **parts: Any) -> None:
        self.parent, self.slot, self.kind, self.rule, self.parts = parent, slot, kind, rule, parts
        self.child: Entry = parent


class Tape:
    """All entries, in the order in which they were made."""

    def __init__(self, seen: dict[int, dict[str, Any]]) -> None:
        self.seen = seen
        self.form = ""
        self.upstream: Any = None
        self.states: list[list[np.ndarray | None]] = []
        self.children: dict[int, int] = {}
        self.again: Callable[[Sequence[Any]], Tape] | None = None
        self.entries: list[Entry] = []
        self.leaves: list[Entry | None] = []
        self.outputs: list[tuple[Entry | None, Any]] = []

    def place(self) -> tuple:
        """Where in the traced code we are: the same operation in a loop has the same place."""
        found = []
        frame: Any = sys._getframe(2)
        while frame is not None and frame.f_code.co_name != "record":
            if frame.f_code.co_filename not in HERE:
                found.append((frame.f_code, frame.f_lasti, frame.f_lineno))
                self.seen[id(frame.f_globals)] = frame.f_globals
            frame = frame.f_back
        return tuple(found)

    def backward(
        self,
        upstream: Sequence[np.ndarray],
        rules: dict[int, Rule] | None = None,
        keep: dict[int, str] | None = None,
        jumps: dict[int, tuple[int, Jump | None]] | None = None,
        scales: dict[int, np.ndarray] | None = None,
    ) -> list[np.ndarray | None]:
        """Gradients of the leaves.

        `rules` replaces the rules of edges (by id); `keep` says of entries (by number) that of several gradients that
        arrive only the "first" or the "last" counts, in the order of the backward pass, or that they are painted over
        each other, the earliest or the latest on top; `jumps` hands the gradient of an entry to another, as it is or by
        a formula, past all that is between them; `scales` multiplies that of an entry before it goes on.
        """
        rules, keep, jumps, scales = rules or {}, keep or {}, jumps or {}, scales or {}
        start = self._first_change(upstream, rules, keep, jumps, scales)
        arrived = self.injected(upstream) if start is None else list(self.states[start])
        arrived = self.run(arrived, rules, keep, jumps, scales, start)
        found: list[np.ndarray | None] = []
        for leaf in self.leaves:
            gradient = None if leaf is None else arrived[leaf.number]
            found.append(np.zeros_like(leaf.value) if leaf is not None and gradient is None else gradient)
        return found

    def injected(self, upstream: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        """What comes in at each entry from outside."""
        arrived: list[np.ndarray | None] = [None] * len(self.entries)
        for (entry, _), given in zip(self.outputs, upstream, strict=True):
            if entry is not None:
                held = arrived[entry.number]
                arrived[entry.number] = np.array(given, dtype=float) if held is None else held + given
        return arrived

    def prepare(self, upstream: Sequence[np.ndarray]) -> None:
        """Remember how far the right backward pass had come at each entry: a mistake changes only what is after it."""
        if len(self.entries) > LARGEST_REMEMBERED:
            return
        self.upstream, self.states = upstream, [[] for _ in self.entries]
        self.children = {id(edge): entry.number for entry in self.entries for edge in entry.edges}
        self.run(self.injected(upstream), {}, {}, {}, {}, remember=True)

    def _first_change(self, upstream: Any, rules: dict, keep: dict, jumps: dict, scales: dict) -> int | None:
        """The number of the entry at which something is changed first, where the right backward pass is remembered."""
        if upstream is not self.upstream:
            return None
        numbers = [self.children.get(key, 0) for key in rules] + [*jumps, *scales]
        numbers += [user.child.number for number in keep for user in self.entries[number].users]
        return max(numbers, default=0)

    def run(
        self,
        arrived: list[np.ndarray | None],
        rules: dict[int, Rule],
        keep: dict[int, str],
        jumps: dict[int, tuple[int, Jump | None]],
        scales: dict[int, np.ndarray],
        start: int | None = None,
        remember: bool = False,
    ) -> list[np.ndarray | None]:
        """Send on what came in: the gradients of all entries."""
        painted: dict[int, np.ndarray] = {}
        for entry in reversed(self.entries if start is None else self.entries[: start + 1]):
            if remember:
                self.states[entry.number] = list(arrived)
            dy = arrived[entry.number]
            if dy is None:
                continue
            if entry.number in scales:
                dy = arrived[entry.number] = dy * scales[entry.number]
            if entry.number in jumps:
                number, formula = jumps[entry.number]
                handed = dy if formula is None else formula(dy)
                held = arrived[number]
                arrived[number] = handed if held is None else held + handed
                continue
            for edge in entry.edges:
                gradient = rules.get(id(edge), edge.rule)(edge, dy)
                if gradient is None:
                    continue
                number = edge.parent.number
                held = arrived[number]
                if number in keep and keep[number].startswith("painted") and "index" in edge.parts:
                    arrived[number] = _paint(held, gradient, edge, painted, keep[number])
                elif held is None or keep.get(number) == "last":
                    arrived[number] = gradient
                elif keep.get(number) != "first":
                    arrived[number] = held + gradient
        return arrived


@dataclass(frozen=True)
class Slice:
    """The view x[index]."""

    index: Any

    def read(self, base: Entry) -> Entry:
        """The part of the base's value."""
        return _part(base.tape, base, self.index)

    def write(self, base: Tracked, new: Tracked) -> None:
        """Change that part of the base."""
        base[self.index] = new


@dataclass(frozen=True)
class Turned:
    """The view x.transpose(axes)."""

    axes: tuple[int, ...]

    def read(self, base: Entry) -> Entry:
        """The base's value, turned."""
        edge = Edge(base, 0, "transpose", _transposed, axes=self.axes)
        return Entry(base.tape, "transpose", base.value.transpose(self.axes), [edge])

    def write(self, base: Tracked, new: Tracked) -> None:
        """Change the whole base."""
        base.entry = Turned(tuple(np.argsort(self.axes).tolist())).read(new.entry)


class Tracked(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that writes down what is done with it. A view of one sees the changes of its base, and makes them."""

    __array_priority__ = 1000

    def __init__(self, tape: Tape, entry: Entry, base: Tracked | None = None, view: Slice | Turned | None = None):
        self.tape, self.last, self.base, self.view = tape, entry, base, view
        self.seen = None if base is None else base.entry

    @property
    def entry(self) -> Entry:
        """What stands here now."""
        if self.base is not None and self.view is not None and self.base.entry is not self.seen:
            self.seen = self.base.entry
            self.last = self.view.read(self.seen)
        return self.last

    @entry.setter
    def entry(self, new: Entry) -> None:
        if self.base is not None and self.view is not None:
            self.view.write(self.base, Tracked(self.tape, new))
            self.seen = self.base.entry
        self.last = new

    __class__ = property(lambda self: np.ndarray)  # code that asks for an array is content

    value = property(lambda self: self.entry.value)
    shape = property(lambda self: self.entry.value.shape)
    ndim = property(lambda self: self.entry.value.ndim)
    size = property(lambda self: self.entry.value.size)
    dtype = property(lambda self: self.entry.value.dtype)
    T = property(lambda self: transpose(self))
    mT = property(lambda self: transpose(self, (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)))  # noqa: N815

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype)

    def __getitem__(self, index: Any) -> Tracked:
        return getitem(self, index)

    def at(self, index: Any) -> bool:
        """Is this the view of that part?"""
        return isinstance(self.view, Slice) and not _is_fancy(index) and self.view.index == index

    def __setitem__(self, index: Any, new: Any) -> None:
        if isinstance(new, Tracked) and new.base is self and new.seen is self.entry and new.at(index):
            return  # x[k] += y has written through its view already
        value = self.value.copy()
        value[_plain(index)] = _plain(new)
        edges = [Edge(self.entry, 0, "overwritten", _overwritten, index=_plain(index))]
        if isinstance(new, Tracked):
            edges.append(Edge(new.entry, 1, "written", _written, index=_plain(index)))
        self.entry = Entry(self.tape, "setitem", value, edges)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        if method == "reduce" and ufunc in (np.add, np.maximum):
            return (total if ufunc is np.add else largest)(*inputs, **options)
        if method != "__call__":
            raise Untraceable(f"{ufunc.__name__}.{method}")
        result = _call(ufunc, inputs)
        if out is not None and isinstance(out[0], Tracked) and isinstance(result, Tracked):
            out[0].entry = result.entry
            return out[0]
        if out is not None:
            raise Untraceable("out")
        return result

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        found = FUNCTIONS.get(function.__name__)
        if found is None:
            raise Untraceable(function.__name__)
        return found(*args, **options)

    def sum(self, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
        """Sum."""
        return total(self, axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
        """Mean."""
        return mean(self, axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
        """Maximum."""
        return largest(self, axis, keepdims=keepdims)

    def var(self, axis: Any = None, keepdims: bool = False, ddof: int = 0, **_: Any) -> Tracked:
        """Variance."""
        return variance(self, axis, keepdims=keepdims, ddof=ddof)

    def std(self, axis: Any = None, keepdims: bool = False, ddof: int = 0, **_: Any) -> Any:
        """Standard deviation."""
        return np.sqrt(variance(self, axis, keepdims=keepdims, ddof=ddof))

    def reshape(self, *shape: Any, **_: Any) -> Tracked:
        """Another shape."""
        return reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tracked:
        """Another order of axes."""
        return transpose(self, axes[0] if len(axes) == 1 else (axes or None))

    def swapaxes(self, a: int, b: int) -> Tracked:
        """Two axes exchanged."""
        return swapaxes(self, a, b)

    def ravel(self) -> Tracked:
        """One axis."""
        return reshape(self, -1)

    flatten = ravel

    def squeeze(self, axis: Any = None) -> Tracked:
        """Without axes of length 1."""
        return reshape(self, self.value.squeeze(axis).shape)

    def copy(self) -> Tracked:
        """The same."""
        return reshape(self, self.shape)

    def astype(self, dtype: Any, **_: Any) -> Tracked:
        """The same: the record is in float64."""
        return reshape(self, self.shape)

    def dot(self, other: Any) -> Any:
        """Matrix product."""
        return np.matmul(self, other)

    def repeat(self, repeats: Any, axis: Any = None) -> Tracked:
        """Each several times."""
        return gathered(self, lambda places: places.repeat(repeats, axis))

    def cumsum(self, axis: Any = None) -> Any:
        """Sums of all up to each."""
        return running_sum(self, axis)

    def any(self, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
        """Is any other than 0? Not recorded."""
        return self.value.any(axis, keepdims=keepdims)

    def argmax(self, axis: Any = None) -> Any:
        """Places, which are not recorded."""
        return self.value.argmax(axis)

    def argmin(self, axis: Any = None) -> Any:
        """Places, which are not recorded."""
        return self.value.argmin(axis)

    def argsort(self, axis: Any = -1) -> Any:
        """Places, which are not recorded."""
        return self.value.argsort(axis)

    def all(self, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
        """Are all other than 0? Not recorded."""
        return self.value.all(axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Minimum."""
        return -largest(-self, axis, keepdims=keepdims)


def record(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    seen: dict[int, dict[str, Any]] | None = None,
    buffers: Sequence[dict[str, Any]] = (),
) -> Tape:
    """Run the forward pass of `function`, and write down what it does with its arrays of floats.

    `seen` collects the namespaces of the code that ran; in `buffers`, some of these, new arrays are recorded too.

    Raises
    ------
    Untraceable
        If it does something that the record does not know.
    """
    tape = Tape({} if seen is None else seen)
    tracked = []
    for x in inputs:
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            entry = Entry(tape, "input", x.copy(), [])
            tape.leaves.append(entry)
            tracked.append(Tracked(tape, entry))
        else:
            tape.leaves.append(None)
            tracked.append(x)
    try:
        with _recorded_buffers(tape, buffers):
            outputs, _ = function(*tracked)
    except Exception as error:  # a Tracked is no array: whatever the code asks of it may fail
        raise Untraceable(f"{type(error).__name__}: {error}") from error
    for y in outputs if isinstance(outputs, tuple) else (outputs,):
        if isinstance(y, Tracked):
            tape.outputs.append((y.entry, y.value))
        elif np.asarray(y).dtype == object:
            raise Untraceable("an array of objects")
        else:
            tape.outputs.append(_by_value(tape, y))
    return tape


class _OfLists:
    """A function of NumPy's, which makes a plain array of a list, and here a recorded one of recorded ones."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        recorded = (isinstance(a, list) and any(isinstance(part, Tracked) for part in a) for a in args)
        arrays = (stack(a) if lists else a for a, lists in zip(args, recorded, strict=True))
        return self._function(*arrays, **options)


class _Recording:
    """NumPy, except that arrays that are made anew are recorded: loops fill them step by step."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        return _OfLists(found) if isinstance(found, np.ufunc) or name in ("sum", "mean", "max") else found

    def zeros(self, shape: Any, dtype: Any = float, **options: Any) -> Any:
        value = np.zeros(shape, dtype, **options)
        return _new(self._tape, "zeros", value, []) if value.dtype.kind == "f" else value

    empty = zeros

    def ones(self, shape: Any, dtype: Any = float, **options: Any) -> Any:
        return self.zeros(shape, dtype, **options) + 1

    def full(self, shape: Any, value: Any, dtype: Any = None, **options: Any) -> Any:
        made = np.full(shape, _plain(value), dtype, **options)
        return _new(self._tape, "zeros", made, []) if made.dtype.kind == "f" else made

    def array(self, x: Any, *args: Any, **options: Any) -> Any:
        if isinstance(x, Tracked):
            return x.copy()
        if isinstance(x, list | tuple) and any(isinstance(part, Tracked) for part in x):
            return stack(x)
        return np.array(x, *args, **options)

    asarray = array


@contextmanager
def _recorded_buffers(tape: Tape, namespaces: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Within the modules of the traced code, and nowhere else, call the recording one NumPy."""
    found = [(space, name) for space in namespaces for name, value in space.items() if value is np]
    recording = _Recording(tape)
    try:
        for space, name in found:
            space[name] = recording
        yield
    finally:
        for space, name in found:
            space[name] = np


def _by_value(tape: Tape, y: Any) -> tuple[Entry | None, Any]:
    """Find a plain array that was filled step by step among the values of the record, and stack these."""
    if not isinstance(y, np.ndarray) or isinstance(y, Tracked) or y.ndim < 1 or y.dtype.kind != "f" or not len(y):
        return None, y
    steps = []
    for step in y:
        found = next(
            (e for e in reversed(tape.entries) if e.value.shape == step.shape and np.array_equal(e.value, step)), None
        )
        if found is None:
            return None, y
        steps.append(Tracked(tape, found))
    return stack(steps).entry, y


# --------------------------------------------------------------------------------------------- rules


def unbroadcast(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum over the axes along which an array of `shape` was stretched."""
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + a for a, n in enumerate(shape) if n == 1 and gradient.shape[extra + a] != 1
    )
    return gradient.sum(axis=axes, keepdims=True).reshape(shape)


def _factor(edge: Edge, dy: np.ndarray) -> np.ndarray:
    return unbroadcast(dy * edge.parts["factor"], edge.parent.value.shape)


def _slope(edge: Edge, dy: np.ndarray) -> np.ndarray:
    return dy * edge.parts["slope"]


def _written(edge: Edge, dy: np.ndarray) -> np.ndarray:
    return unbroadcast(dy[edge.parts["index"]], edge.parent.value.shape)


def _overwritten(edge: Edge, dy: np.ndarray) -> np.ndarray:
    kept = dy.copy()
    kept[edge.parts["index"]] = 0
    return kept


def _picked(edge: Edge, dy: np.ndarray) -> np.ndarray:
    dx = np.zeros(edge.parent.value.shape)
    if edge.kind == "gather":
        np.add.at(dx, edge.parts["index"], dy)
    else:
        dx[edge.parts["index"]] = dy
    return dx


def _paint(
    held: np.ndarray | None, gradient: np.ndarray, edge: Edge, painted: dict[int, np.ndarray], order: str
) -> np.ndarray:
    """Gradients of parts, assigned where they should be added: what was read later in the forward pass comes first."""
    touched = np.zeros(gradient.shape, bool)
    touched[edge.parts["index"]] = True
    before = painted.setdefault(edge.parent.number, np.zeros(gradient.shape, bool))
    covers = touched & ~before if order == "painted, last on top" else touched
    before |= touched
    return np.where(covers, gradient, 0.0 if held is None else held)


def _left(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of a @ b the gradient of a."""
    b, shape = edge.parts["other"], edge.parent.value.shape
    if b.ndim == 1:
        return unbroadcast(dy[..., None] * b, shape)
    if len(shape) == 1:
        return unbroadcast((dy[..., None, :] * b).sum(-1), shape)
    return unbroadcast(dy @ b.swapaxes(-1, -2), shape)


def _right(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of a @ b the gradient of b."""
    a, shape = edge.parts["other"], edge.parent.value.shape
    if a.ndim == 1:
        return unbroadcast(a[:, None] * dy[..., None, :] if len(shape) > 1 else a * dy, shape)
    if len(shape) == 1:
        return (a * dy[..., None]).reshape(-1, shape[0]).sum(axis=0)
    if len(shape) == 2 and a.ndim > 2:
        return a.reshape(-1, a.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
    return unbroadcast(a.swapaxes(-1, -2) @ dy, shape)


def _spread(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of a sum or a mean: every summand receives the gradient, times `scale`."""
    shape = edge.parent.value.shape
    if not edge.parts["keepdims"]:
        dy = np.expand_dims(dy, edge.parts["axes"])
    return np.broadcast_to(dy * edge.parts["scale"], shape).copy()


def _reshaped(edge: Edge, dy: np.ndarray) -> np.ndarray:
    return dy.reshape(edge.parent.value.shape)


def _transposed(edge: Edge, dy: np.ndarray) -> np.ndarray:
    return dy.transpose(np.argsort(edge.parts["axes"]))


def _softmax(edge: Edge, dy: np.ndarray) -> np.ndarray:
    y = edge.child.value
    return y * (dy - (y * dy).sum(axis=-1, keepdims=True))


def _shared(edge: Edge, dy: np.ndarray) -> np.ndarray:
    return dy[..., None] * edge.parts["share"]


def _einsum(edge: Edge, dy: np.ndarray) -> np.ndarray:
    before, own, others, arrays, result = (edge.parts[p] for p in ("before", "own", "others", "arrays", "result"))
    missing = [c for c in own if c not in result and not any(c in o for o in others)]
    reached = "".join(c for c in own if c not in missing)
    dx = np.einsum(",".join([result, *others]) + "->" + reached, dy, *arrays)
    for axis, letter in enumerate(own):
        if letter in missing:
            dx = np.expand_dims(dx, axis)
    return np.broadcast_to(dx, before).copy()


# ---------------------------------------------------------------------------------------- operations


def _plain(x: Any) -> Any:
    """Without the record."""
    if isinstance(x, Tracked):
        return x.value
    return tuple(_plain(part) for part in x) if isinstance(x, tuple) else x


def _tape(*xs: Any) -> Tape:
    return next(x.tape for x in xs if isinstance(x, Tracked))


def _new(tape: Tape, op: str, value: Any, edges: Sequence[Edge]) -> Tracked:
    return Tracked(tape, Entry(tape, op, np.asarray(value), list(edges)))


def _edges(kind: str, rule: Rule, operands: Sequence[Any], parts: Sequence[dict[str, Any]]) -> list[Edge]:
    return [
        Edge(x.entry, slot, kind, rule, **part)
        for slot, (x, part) in enumerate(zip(operands, parts, strict=True))
        if isinstance(x, Tracked)
    ]


def _binary(op: str, value: Any, a: Any, b: Any, factor_a: Any, factor_b: Any) -> Tracked:
    parts = ({"factor": factor_a}, {"factor": factor_b})
    return _new(_tape(a, b), op, value, _edges("factor", _factor, (a, b), parts))


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
    "reciprocal": lambda x, y: -y * y,
    "relu": lambda x, y: (x > 0) * 1.0,
    "cosh": lambda x, y: np.sinh(x),
    "sinh": lambda x, y: np.cosh(x),
    "arctan": lambda x, y: 1 / (1 + x * x),
    "log2": lambda x, y: 1 / (x * np.log(2)),
    "exp2": lambda x, y: y * np.log(2),
    "sin": lambda x, y: np.cos(x),
    "cos": lambda x, y: -np.sin(x),
    "normal_cdf": lambda x, y: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
}
"""Derivatives of elementwise functions, of their argument and value."""


def _unary(op: str, x: Tracked, value: np.ndarray) -> Tracked:
    slope = SLOPES[op](x.value, value)
    return _new(x.tape, op, value, [Edge(x.entry, 0, "slope", _slope, slope=slope)])


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), as one operation."""
    return _unary("sigmoid", x, 1 / (1 + np.exp(-x.value)))


def relu(x: Any) -> Any:
    """max(x, 0), as one operation."""
    return _unary("relu", x, np.maximum(x.value, 0))


def normal_cdf(x: Any) -> Any:
    """The share of a normal distribution below x, as one operation."""
    return _unary("normal_cdf", x, np.vectorize(lambda z: math.erfc(-z / math.sqrt(2)) / 2)(x.value))


def softmax(x: Any, mask: Any = None) -> Any:
    """Over the last axis, as one operation; what the mask excludes is 0."""
    value = x.value if mask is None else np.where(mask, x.value, -1e300)
    y = np.exp(value - value.max(axis=-1, keepdims=True))
    y = y if mask is None else y * mask
    y /= np.maximum(y.sum(axis=-1, keepdims=True), 1e-300)
    return _new(x.tape, "softmax", y, [Edge(x.entry, 0, "softmax", _softmax)])


def log_sum_exp(x: Any) -> Any:
    """Over the last axis, as one operation."""
    top = x.value.max(axis=-1, keepdims=True)
    value = (np.log(np.exp(x.value - top).sum(axis=-1, keepdims=True)) + top)[..., 0]
    share = np.exp(x.value - value[..., None])
    return _new(x.tape, "logsumexp", value, [Edge(x.entry, 0, "logsumexp", _shared, share=share)])


def carry(x: Any, cause: str, label: str = "") -> Any:
    """The state that one step hands to the next: an edge that a hypothesis may cut, and its cause."""
    if not isinstance(x, Tracked):
        return x
    entry = _new(x.tape, "carry", x.value, [Edge(x.entry, 0, "carry", _reshaped, cause=cause)])
    entry.entry.label = label
    return entry


def name(**named: Any) -> None:
    """Give values the names by which the text speaks of them."""
    for label, x in named.items():
        x.entry.label = label


def _call(ufunc: Any, inputs: Sequence[Any]) -> Any:
    op = ufunc.__name__
    a, b = (*inputs, None)[:2]
    if op in (
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "sign",
        "isfinite",
        "floor",
        "isnan",
    ):
        return ufunc(*(_plain(x) for x in inputs))
    p, q = np.asarray(_plain(a)), np.asarray(0.0 if b is None else _plain(b))
    value = ufunc(*(_plain(x) for x in inputs))
    if op == "add":
        return _binary(op, value, a, b, 1.0, 1.0)
    if op == "subtract":
        return _binary(op, value, a, b, 1.0, -1.0)
    if op == "multiply":
        return _binary(op, value, a, b, q, p)
    if op in ("divide", "true_divide"):
        return _binary("divide", value, a, b, 1 / q, -p / (q * q))
    if op == "negative":
        return _new(a.tape, op, value, _edges("factor", _factor, (a,), ({"factor": -1.0},)))
    if op in ("maximum", "minimum"):
        first = p > q if op == "maximum" else p < q
        for x, other in ((a, b), (b, a)):
            if op == "maximum" and not isinstance(other, Tracked) and np.ndim(other) == 0 and other == 0:
                return _unary("relu", x, value)
        return _binary(op, value, a, b, first * 1.0, 1.0 - first)
    if op == "power" and not isinstance(b, Tracked):
        edges = [Edge(a.entry, 0, "slope", _slope, slope=q * p ** (q - 1), exponent=float(q.flat[0]))]
        return _new(a.tape, op, value, edges)
    if op == "matmul":
        return matmul(a, b)
    if op == "logaddexp":
        return np.log(np.exp(a) + np.exp(b))
    if op in SLOPES:
        return _unary(op, a, value)
    raise Untraceable(op)


def matmul(a: Any, b: Any) -> Tracked:
    """A matrix product, or many."""
    p, q = _plain(a), _plain(b)
    edges = []
    if isinstance(a, Tracked):
        edges.append(Edge(a.entry, 0, "left", _left, other=q))
    if isinstance(b, Tracked):
        edges.append(Edge(b.entry, 1, "right", _right, other=p))
    return _new(_tape(a, b), "matmul", p @ q, edges)


def dot(a: Any, b: Any) -> Tracked:
    """`np.dot` of matrices is their product; other uses are not recorded."""
    if np.ndim(_plain(b)) > 2 or np.ndim(_plain(a)) == 0:
        raise Untraceable("dot")
    return matmul(a, b)


def getitem(x: Tracked, index: Any) -> Tracked:
    """A part of an array; repeated indices gather."""
    index = _plain(index)
    part = _part(x.tape, x.entry, index)
    return Tracked(x.tape, part) if _is_fancy(index) else Tracked(x.tape, part, x, Slice(index))


def _is_fancy(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(p, list) or (isinstance(p, np.ndarray) and p.ndim) for p in parts)


def _part(tape: Tape, entry: Entry, index: Any) -> Entry:
    parts = index if isinstance(index, tuple) else (index,)
    picks = any(isinstance(p, np.ndarray) and p.dtype == bool for p in parts)
    kind = "gather" if _is_fancy(index) and not picks else "part"
    return Entry(tape, kind, np.array(entry.value[index]), [Edge(entry, 0, kind, _picked, index=index)])


def take(x: Any, ids: Any, axis: Any = None, **_: Any) -> Tracked:
    """Rows of a table."""
    if axis != 0 or not isinstance(x, Tracked):
        raise Untraceable("take")
    return getitem(x, np.asarray(ids))


def _axes(x: Tracked, axis: Any) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple | list) else (axis,)))


def _reduce(op: str, x: Tracked, axis: Any, keepdims: bool, value: Any, scale: Any) -> Tracked:
    axes = _axes(x, axis)
    return _new(
        x.tape, op, value, [Edge(x.entry, 0, "spread", _spread, axes=axes, keepdims=bool(keepdims), scale=scale)]
    )


def total(x: Tracked, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
    """A sum."""
    return _reduce("sum", x, axis, keepdims, x.value.sum(axis=axis, keepdims=keepdims), 1.0)


def mean(x: Tracked, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
    """A mean."""
    value = x.value.mean(axis=axis, keepdims=keepdims)
    return _reduce("mean", x, axis, keepdims, value, value.size / x.size)


def largest(x: Tracked, axis: Any = None, keepdims: bool = False, **_: Any) -> Tracked:
    """A maximum; of equals the first."""
    axes = _axes(x, axis)
    full = x.value.max(axis=axes, keepdims=True)
    hit = (x.value == full) * 1.0
    value = full if keepdims else full.reshape([n for a, n in enumerate(x.shape) if a not in axes])
    edge = Edge(x.entry, 0, "largest", _spread, axes=axes, keepdims=bool(keepdims), scale=hit)
    return _new(x.tape, "max", value, [edge])


def variance(x: Tracked, axis: Any = None, keepdims: bool = False, ddof: int = 0, **_: Any) -> Tracked:
    """A variance, as one operation: its path through the mean is zero."""
    axes = _axes(x, axis)
    centred = x.value - x.value.mean(axis=axes, keepdims=True)
    value = x.value.var(axis=axis, keepdims=keepdims, ddof=ddof)
    count = x.size / value.size - ddof
    return _reduce("var", x, axis, keepdims, value, 2 * centred / count)


def reshape(x: Any, shape: Any, **_: Any) -> Tracked:
    """The same numbers in another shape."""
    return _new(x.tape, "reshape", x.value.reshape(_plain(shape)).copy(), [Edge(x.entry, 0, "reshape", _reshaped)])


def transpose(x: Any, axes: Any = None) -> Tracked:
    """Axes in another order."""
    axes = tuple(range(x.ndim))[::-1] if axes is None else tuple(a % x.ndim for a in axes)
    view = Turned(axes)
    made = Tracked(x.tape, view.read(x.entry), x, view)
    made.entry.label = x.entry.label
    return made


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


def concatenate(xs: Sequence[Any], axis: int = 0, **_: Any) -> Tracked:
    """Arrays side by side."""
    values = [np.asarray(_plain(x)) for x in xs]
    axis = axis % values[0].ndim
    edges, start = [], 0
    for slot, (x, value) in enumerate(zip(xs, values, strict=True)):
        stop = start + value.shape[axis]
        if isinstance(x, Tracked):
            index = (slice(None),) * axis + (slice(start, stop),)
            edges.append(Edge(x.entry, slot, "joined", _written, index=index))
        start = stop
    return _new(_tape(*xs), "concatenate", np.concatenate(values, axis), edges)


def stack(xs: Sequence[Any], axis: int = 0, **_: Any) -> Tracked:
    """Arrays on top of each other."""
    values = [np.asarray(_plain(x)) for x in xs]
    axis = axis % (values[0].ndim + 1)
    edges = [
        Edge(x.entry, slot, "stacked", _written, index=(slice(None),) * axis + (slot,))
        for slot, x in enumerate(xs)
        if isinstance(x, Tracked)
    ]
    return _new(_tape(*xs), "stack", np.stack(values, axis), edges)


def split(x: Tracked, sections: Any, axis: int = 0) -> list[Tracked]:
    """Parts of an array."""
    ends = np.cumsum([part.shape[axis] for part in np.split(x.value, sections, axis)])
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(int(a), int(b)))] for a, b in zip((0, *ends[:-1]), ends, strict=True)]


def where(mask: Any, a: Any, b: Any) -> Tracked:
    """One of two, entry by entry."""
    mask = np.asarray(_plain(mask)).astype(bool)
    value = np.where(mask, _plain(a), _plain(b))
    parts = (
        {"factor": np.broadcast_to(mask, value.shape) * 1.0},
        {"factor": np.broadcast_to(~mask, value.shape) * 1.0},
    )
    return _new(_tape(a, b), "where", value, _edges("choice", _factor, (a, b), parts))


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


def einsum(subscripts: str, *xs: Any, **_: Any) -> Tracked:
    """A sum over letters."""
    if "." in subscripts:
        raise Untraceable("einsum")
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    if not arrow:
        result = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    letters, values = left.split(","), [np.asarray(_plain(x)) for x in xs]
    edges = []
    for slot, x in enumerate(xs):
        if isinstance(x, Tracked):
            others, arrays = letters[:slot] + letters[slot + 1 :], values[:slot] + values[slot + 1 :]
            edges.append(
                Edge(
                    x.entry,
                    slot,
                    "einsum",
                    _einsum,
                    before=x.shape,
                    own=letters[slot],
                    others=others,
                    arrays=arrays,
                    result=result,
                )
            )
    return _new(_tape(*xs), "einsum", np.einsum(left + "->" + result, *values), edges)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tracked:
    """A sum over pairs of axes."""
    m, n = np.ndim(_plain(a)), np.ndim(_plain(b))
    pairs = (list(range(m - axes, m)), list(range(axes))) if isinstance(axes, int) else axes
    over_a, over_b = ([axis] if isinstance(axis, int) else list(axis) for axis in pairs)
    left = [chr(ord("a") + k) for k in range(m)]
    right = [chr(ord("a") + m + k) for k in range(n)]
    for p, q in zip(over_a, over_b, strict=True):
        right[q % n] = left[p % m]
    result = [c for c in left if c not in right] + [c for c in right if c not in left]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(result)}", a, b)


def length(x: Tracked, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The Euclidean norm."""
    if ord not in (None, 2):
        raise Untraceable("norm")
    return np.sqrt(total(x * x, axis, keepdims=keepdims))


def gathered(x: Tracked, function: Callable[[np.ndarray], np.ndarray]) -> Tracked:
    """What only moves or repeats numbers, by the places that they come from."""
    places = function(np.arange(x.size).reshape(x.shape))
    return getitem(x, np.unravel_index(places, x.shape))


def moved(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's that only moves or repeats numbers."""
    return lambda x, *args, **options: gathered(x, lambda places: function(places, *args, **options))


def running_sum(x: Tracked, axis: Any = None, **_: Any) -> Any:
    """Sums of all up to each."""
    flat = reshape(x, -1) if axis is None else x
    axis = 0 if axis is None else axis % x.ndim
    lower = np.tril(np.ones((flat.shape[axis],) * 2))
    return moveaxis(np.matmul(moveaxis(flat, axis, -1), lower.T), flat.ndim - 1, axis)


def take_along_axis(x: Tracked, indices: Any, axis: int) -> Tracked:
    """One entry of each row."""
    grid = list(np.indices(np.shape(indices), sparse=True))
    grid[axis % x.ndim] = np.asarray(indices)
    return getitem(x, tuple(grid))


def pad(x: Tracked, width: Any, mode: str = "constant", **_: Any) -> Tracked:
    """Zeros around."""
    if mode != "constant":
        raise Untraceable("pad")
    value = np.pad(x.value, width)
    pairs = np.broadcast_to(width, (x.ndim, 2))
    index = tuple(slice(int(a), int(a) + n) for (a, _), n in zip(pairs, x.shape, strict=True))
    return _new(x.tape, "pad", value, [Edge(x.entry, 0, "joined", _written, index=index)])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": total,
    "mean": mean,
    "max": largest,
    "amax": largest,
    "var": variance,
    "std": lambda x, *a, **o: np.sqrt(variance(x, *a, **o)),
    "reshape": lambda x, shape=None, **o: reshape(x, shape if shape is not None else o["newshape"]),
    "transpose": transpose,
    "matrix_transpose": lambda x: x.mT,
    "swapaxes": swapaxes,
    "moveaxis": moveaxis,
    "expand_dims": lambda x, axis: reshape(x, np.expand_dims(x.value, axis).shape),
    "squeeze": lambda x, axis=None: reshape(x, x.value.squeeze(axis).shape),
    "ravel": lambda x: reshape(x, -1),
    "atleast_2d": lambda x: reshape(x, np.atleast_2d(x.value).shape),
    "concatenate": concatenate,
    "stack": stack,
    "hstack": lambda xs: concatenate(xs, 1 if xs[0].ndim > 1 else 0),
    "vstack": lambda xs: concatenate([reshape(x, np.atleast_2d(x.value).shape) for x in xs], 0),
    "split": split,
    "array_split": split,
    "where": where,
    "dot": dot,
    "einsum": einsum,
    "tensordot": tensordot,
    "inner": lambda a, b: np.matmul(a, np.moveaxis(b, -1, -2) if np.ndim(_plain(b)) > 1 else b),
    "vdot": lambda a, b: total(a * b),
    "norm": length,
    "cumsum": running_sum,
    "min": lambda x, *a, **o: x.min(*a, **o),
    "amin": lambda x, *a, **o: x.min(*a, **o),
    "repeat": moved(np.repeat),
    "tile": moved(np.tile),
    "roll": moved(np.roll),
    "rot90": moved(np.rot90),
    "flipud": moved(np.flipud),
    "fliplr": moved(np.fliplr),
    "diagonal": moved(np.diagonal),
    "sliding_window_view": moved(np.lib.stride_tricks.sliding_window_view),
    "atleast_1d": lambda x: reshape(x, np.atleast_1d(x.value).shape),
    "column_stack": lambda xs: concatenate([x if x.ndim > 1 else reshape(x, (-1, 1)) for x in xs], 1),
    "append": lambda a, b, axis: concatenate([a, b], axis),
    "logaddexp": lambda a, b: np.log(np.exp(a) + np.exp(b)),
    "outer": lambda a, b: matmul(reshape(a, (-1, 1)), reshape(b, (1, -1))),
    "take": take,
    "take_along_axis": take_along_axis,
    "pad": pad,
    "copy": lambda x: reshape(x, x.shape),
    "broadcast_to": lambda x, shape: x * np.ones(shape),
    "clip": clip,
    "flip": lambda x, axis=None: getitem(
        x, tuple(slice(None, None, -1) if a in _axes(x, axis) else slice(None) for a in range(x.ndim))
    ),
    "zeros_like": lambda x, **_: _new(x.tape, "zeros", np.zeros_like(x.value), []),
    "empty_like": lambda x, **_: _new(x.tape, "zeros", np.zeros_like(x.value), []),
    "ones_like": lambda x, **_: np.ones(x.shape),
    "full_like": lambda x, value, **_: np.full(x.shape, float(value)),
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "size": lambda x: x.size,
    "argmax": lambda x, axis=None: x.value.argmax(axis),
    "argmin": lambda x, axis=None: x.value.argmin(axis),
    "any": lambda x, axis=None, **_: x.value.any(axis),
    "all": lambda x, axis=None, **_: x.value.all(axis),
    "argsort": lambda x, axis=-1: x.value.argsort(axis),
    "array_equal": lambda a, b: np.array_equal(_plain(a), _plain(b)),
}
