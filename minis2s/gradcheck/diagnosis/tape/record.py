"""Run a forward pass, and record it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minis2s.gradcheck.diagnosis.tape import functions  # noqa: F401 - fills the tables of what is known
from minis2s.gradcheck.diagnosis.tape.entries import Entry, Tape, Untraceable
from minis2s.gradcheck.diagnosis.tape.operations import new, stack
from minis2s.gradcheck.diagnosis.tape.tracked import Tracked, plain


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
        return self._function(*map(_joined, args), **options)


class _Side:
    """`np.r_` and `np.c_` of whole arrays."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, parts: Any) -> Any:
        if not isinstance(parts, tuple) or not any(isinstance(part, Tracked) for part in parts):
            return getattr(np, self._name)[parts]
        if self._name == "c_":
            return np.column_stack(parts)
        return np.concatenate([part if isinstance(part, Tracked) else np.atleast_1d(part) for part in parts])


def _joined(x: Any) -> Any:
    """A list, or a list of lists, of recorded values as one of them; anything else as it is."""
    parts = [_joined(part) for part in x] if isinstance(x, list | tuple) else []
    return stack(parts) if any(isinstance(part, Tracked) for part in parts) else x


class _Recording:
    """NumPy, except that arrays that are made anew are recorded: loops fill them step by step."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if name in ("r_", "c_"):
            return _Side(name)
        return _OfLists(found) if isinstance(found, np.ufunc) or name in ("sum", "mean", "max") else found

    def zeros(self, shape: Any, dtype: Any = float, **options: Any) -> Any:
        value = np.zeros(shape, dtype, **options)
        return new(self._tape, "zeros", value, []) if value.dtype.kind == "f" else value

    empty = zeros

    def ones(self, shape: Any, dtype: Any = float, **options: Any) -> Any:
        return self.zeros(shape, dtype, **options) + 1

    def full(self, shape: Any, value: Any, dtype: Any = None, **options: Any) -> Any:
        made = np.full(shape, plain(value), dtype, **options)
        return new(self._tape, "zeros", made, []) if made.dtype.kind == "f" else made

    def array(self, x: Any, *args: Any, **options: Any) -> Any:
        if isinstance(x, Tracked):
            return x.copy()
        joined = _joined(x)
        return joined if joined is not x else np.array(x, *args, **options)

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
