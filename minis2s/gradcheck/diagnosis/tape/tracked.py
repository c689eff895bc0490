"""An array that writes down what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minis2s.gradcheck.diagnosis.tape import rules
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Tape, Untraceable

UFUNCS: dict[str, Callable[..., Any]] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
"""What the record knows, by NumPy's names: `operations` and `functions` fill these tables."""


@dataclass(frozen=True)
class Slice:
    """The view x[index]."""

    index: Any

    def read(self, base: Entry) -> Entry:
        """The part of the base's value."""
        return part(base, self.index)

    def write(self, base: Tracked, new: Tracked) -> None:
        """Change that part of the base."""
        base[self.index] = new


@dataclass(frozen=True)
class Turned:
    """The view x.transpose(axes)."""

    axes: tuple[int, ...]

    def read(self, base: Entry) -> Entry:
        """The base's value, turned."""
        edge = Edge(base, 0, "transpose", rules.transposed, axes=self.axes)
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
    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.swapaxes(self, -1, -2))  # noqa: N815

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(name)
        return partial(METHODS[name], self)

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
        index = plain(index)
        found = part(self.entry, index)
        return Tracked(self.tape, found) if is_fancy(index) else Tracked(self.tape, found, self, Slice(index))

    def at(self, index: Any) -> bool:
        """Is this the view of that part?"""
        return isinstance(self.view, Slice) and not is_fancy(index) and self.view.index == index

    def __setitem__(self, index: Any, new: Any) -> None:
        if isinstance(new, Tracked) and new.base is self and new.seen is self.entry and new.at(index):
            return  # x[k] += y has written through its view already
        value = self.value.copy()
        value[plain(index)] = plain(new)
        edges = [Edge(self.entry, 0, "overwritten", rules.overwritten, index=plain(index))]
        if isinstance(new, Tracked):
            edges.append(Edge(new.entry, 1, "written", rules.written, index=plain(index)))
        self.entry = Entry(self.tape, "setitem", value, edges)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        known = UFUNCS.get(ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}")
        if known is None:
            raise Untraceable(f"{ufunc.__name__}.{method}")
        result = known(*inputs) if method == "__call__" else known(*inputs, **options)
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


def plain(x: Any) -> Any:
    """Without the record."""
    if isinstance(x, Tracked):
        return x.value
    return tuple(plain(p) for p in x) if isinstance(x, tuple) else x


def is_fancy(index: Any) -> bool:
    """Does it pick entries by their numbers, or by a mask?"""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(p, list) or (isinstance(p, np.ndarray) and p.ndim) for p in parts)


def part(entry: Entry, index: Any) -> Entry:
    """The value x[index]; repeated indices gather."""
    parts = index if isinstance(index, tuple) else (index,)
    picks = any(isinstance(p, np.ndarray) and p.dtype == bool for p in parts)
    kind = "gather" if is_fancy(index) and not picks else "part"
    return Entry(entry.tape, kind, np.array(entry.value[index]), [Edge(entry, 0, kind, rules.picked, index=index)])
