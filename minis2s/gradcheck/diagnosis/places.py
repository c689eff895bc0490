"""Mistakes about places: parts of an array that are read, or whose gradient is painted back, at wrong indices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, edge_groups, named, with_operand
from minis2s.gradcheck.diagnosis.spoils.values import operand_entries
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Rule, Tape

PAINTED = ("painted", "painted winners")
"""Parts of a gradient that are assigned: whole ones, or only what is not zero, as where each window has its largest."""

Slices = tuple[slice, ...]
Move = Callable[[Sequence[Slices], tuple[int, ...]], list[Slices]]


def of_places(tape: Tape) -> Iterator[Spoil]:
    """Parts that a loop reads, such as windows of a picture."""
    groups = edge_groups(tape)
    yield from of_assigning(groups)
    for group in groups:
        if len(group) > 1 and group[0].kind == "part":
            yield from of_painting(group)
            yield from of_ends(group)
        if len(group) > 1 and group[0].kind in ("factor", "einsum", "left", "right"):
            yield from of_reading(group)
        if len(group) > 1 and group[0].kind == "written":
            yield from of_painted(tape, group)


def of_painted(tape: Tape, group: Group) -> Iterator[Spoil]:
    """Of an array that is painted part by part, +=, the gradient of a part is read at another place."""
    places = _slices([Edge(e.child, 0, "part", e.rule, index=e.parts["index"]) for e in group])
    whole = group[-1].child
    sums = [e.parent for e in group]
    brushes = [[e for e in s.edges if e.parent.op != "part"] for s in sums]
    if places is None or any(s.op != "add" for s in sums) or any(len(b) != 1 for b in brushes):
        return
    hint = "Input i paints the places i s + k: where does its gradient come from?"
    for cause, words, move in moves(len(places[0])):
        moved = _moved(move, places, whole.value.shape)
        if moved is None:
            continue
        to = {id(b[0]): place for b, place in zip(brushes, moved, strict=True)}

        def gradients(upstream: Sequence[np.ndarray], to: dict = to) -> list[np.ndarray | None]:
            painted = tape.arriving(upstream, whole)
            rule: Rule = lambda e, dy: painted[to[id(e)]].reshape(e.parent.value.shape)  # noqa: E731
            return tape.backward(upstream, dict.fromkeys(to, rule))

        yield Spoil(cause, 1.0, f"the gradient of {named(whole)} is read {words}", hint, gradients=gradients)


def of_assigning(groups: Sequence[Group]) -> Iterator[Spoil]:
    """Where parts overlap their gradients are assigned, not added."""
    hint = "Where windows overlap, their gradients add up: was `=` written for `+=`?"
    for group in groups:
        whole, ids = group[0].parent, group[0].kind == "gather"
        parts = [user for user in whole.users if user.kind == group[0].kind]
        if group[0].kind not in ("part", "gather") or group[0] is not parts[0] or len(parts) < 2:
            continue
        for order in ("last", "first"):
            finding = f"where parts of {named(whole)} overlap only the {order} one's gradient stays"
            cause = "repeated-ids-assigned" if ids else "sum-missing"
            for painted in PAINTED:
                cost = 1.0 if len(parts) == len(group) else 1.4  # parts that different lines read
                yield Spoil(cause, cost, finding, hint, keep={whole.number: f"{painted}, {order} on top"})


def of_painting(group: Group) -> Iterator[Spoil]:
    """The gradient of a part is put at another place."""
    places = _slices(group)
    if places is None:
        return
    whole = group[0].parent
    hint = "Output o sees the places o s + i - p: where does its gradient go?"
    for cause, words, move in moves(len(places[0])):
        moved = _moved(move, places, whole.value.shape)
        if moved is None:
            continue
        to = {id(e): place for e, place in zip(group, moved, strict=True)}

        def rule(e: Edge, dy: np.ndarray, to: dict = to) -> np.ndarray:
            dx = np.zeros(e.parent.value.shape)
            dx[to[id(e)]] = dy.reshape(dx[to[id(e)]].shape)
            return dx

        finding = f"the gradient of {named(whole)} is put {words}"
        yield Spoil(cause, 1.0, finding, hint, dict.fromkeys(to, rule))
        if words.startswith("as if") and not any(_apart(moved, axis) for axis in range(len(moved[0]))):
            for order in ("last", "first"):  # assigned, as was right where they did not overlap
                keep = {whole.number: f"painted winners, {order} on top"}
                yield Spoil(cause, 1.1, finding, hint, dict.fromkeys(to, rule), keep)


def of_ends(group: Group) -> Iterator[Spoil]:
    """A loop over windows begins one too late, or ends one too early: of these places nothing counts."""
    places = _slices(group)
    if places is None:
        return
    name = named(group[0].parent)
    hint = "Where does the loop begin, and where does it end?"
    for axis in range(len(places[0])):
        starts = [p[axis].start for p in places]
        for words, end in (("first", min(starts)), ("last", max(starts))):
            left_out = [e.child for e, start in zip(group, starts, strict=True) if start == end]
            used = [user.child for window in left_out for user in window.users]
            if not used or not len(set(starts)) > 1:
                continue
            finding = f"the {words} of the places along axis {axis} at which {name} is read does not count"
            zeros = {entry.number: np.zeros(()) for entry in used}
            yield Spoil("off-by-one", 1.2, finding, hint, scales=zeros, also=(("sum-missing", 1.3),))


def of_reading(group: Group) -> Iterator[Spoil]:
    """The factor of a product is read at another place of its array."""
    sources = operand_entries(group)
    if len({id(s) for s in sources}) < len(sources) or any(s.op != "part" for s in sources):
        return
    edges = [s.edges[0] for s in sources]
    whole = edges[0].parent
    places = _slices(edges)
    if places is None or any(e.parent is not whole for e in edges):
        return
    hint = "Output o sees the places o s + i - p: which entry does the index stand for?"
    for cause, words, move in moves(len(places[0])):
        moved = _moved(move, places, whole.value.shape)
        if moved is None:
            continue
        values = {
            id(e): whole.value[place].reshape(s.value.shape) for e, s, place in zip(group, sources, moved, strict=True)
        }
        rule: Rule = with_operand(values)
        finding = f"in the gradient of {named(group[0].parent)} the entries of {named(whole)} are read {words}"
        yield Spoil(cause, 1.0, finding, hint, dict.fromkeys(values, rule))


# ------------------------------------------------------------------------------------------------------- moves


def _slices(edges: Sequence[Edge]) -> list[Slices] | None:
    """The index of each part as slices of all axes, if it is made of slices and integers."""
    found = []
    for edge in edges:
        index = edge.parts["index"]
        index = index if isinstance(index, tuple) else (index,)
        shape = edge.parent.value.shape
        if any(i is None or isinstance(i, np.ndarray | list | bool) for i in index):
            return None
        if Ellipsis in index:
            at = index.index(Ellipsis)
            index = (*index[:at], *[slice(None)] * (len(shape) - len(index) + 1), *index[at + 1 :])
        full = (*index, *[slice(None)] * (len(shape) - len(index)))
        found.append(tuple(_as_slice(i, n) for i, n in zip(full, shape, strict=True)))
    alike = len({len(place) for place in found}) == 1
    return found if alike and all(s.step > 0 for place in found for s in place) else None


def _as_slice(index: Any, n: int) -> slice:
    if isinstance(index, slice):
        return slice(*index.indices(n))
    return slice(int(index) % n, int(index) % n + 1, 1)


def _apart(places: Sequence[Slices], axis: int) -> bool:
    """Does an axis keep the parts apart?"""
    reached = sorted({(p[axis].start, p[axis].stop) for p in places})
    return len(reached) > 1 and all(a[1] <= b[0] for a, b in pairwise(reached))


def _count(s: slice) -> int:
    return len(range(s.start, s.stop, s.step))


def _at(start: int, count: int, step: int) -> slice:
    return slice(start, start + (count - 1) * step + 1, step)


def _moved(move: Move, places: Sequence[Slices], shape: tuple[int, ...]) -> list[Slices] | None:
    """The places after a move, if they are others, and lie within the array."""
    try:
        moved = move(places, shape)
    except ValueError:
        return None
    if any(len(place) != len(shape) for place in moved):  # whole rows, whose other axes no slice names
        return None
    inside = all(s.start >= 0 and s.stop <= n for place in moved for s, n in zip(place, shape, strict=True))
    same_sizes = all(sorted(map(_count, a)) == sorted(map(_count, b)) for a, b in zip(moved, places, strict=True))
    return moved if inside and same_sizes and list(moved) != list(places) else None


def moves(n: int) -> Iterator[tuple[str, str, Move]]:
    """Cause, words and the move itself."""
    for axes in [(a, a + 1) for a in range(n - 2, max(n - 4, -1), -1)] + [(a,) for a in range(n)]:
        along = f"along axis {' and '.join(map(str, axes))}"
        yield "off-by-one", f"as if the steps were 1 {along}", _on(axes, _dense)
        yield "off-by-one", f"as if the windows lay side by side {along}", _on(axes, _unspaced)
        yield "off-by-one", f"at twice the distance {along}", _on(axes, _doubled)
        yield "off-by-one", f"one place too far {along}", _on(axes, _further)
        yield "off-by-one", f"one place too near {along}", _on(axes, _nearer)
        yield "off-by-one", f"one further {along}, around the edge", _on(axes, _around)
        yield "off-by-one", f"at one and the same place {along}", _on(axes, _fixed)
        kernel = min(axes) >= n - 2
        yield "kernel-not-flipped" if kernel else "permuted-axes", f"from the other end {along}", _on(axes, _turned)
    if n > 1:
        yield "permuted-axes", "with rows and columns exchanged", _exchanged


def _on(axes: tuple[int, ...], change: Callable[[list[slice], int], list[slice]]) -> Move:
    def move(places: Sequence[Slices], shape: tuple[int, ...]) -> list[Slices]:
        columns = [list(c) for c in zip(*places, strict=True)]
        for axis in axes:
            columns[axis] = change(columns[axis], shape[axis])
        return list(zip(*columns, strict=True))

    return move


def _dense(slices: list[slice], n: int) -> list[slice]:
    return [_at(s.start, _count(s), 1) for s in slices]


def _unspaced(slices: list[slice], n: int) -> list[slice]:
    first = min(s.start for s in slices)
    spacing = int(np.gcd.reduce([s.start - first for s in slices]))
    if spacing < 2:
        raise ValueError
    return [_at(first + (s.start - first) // spacing, _count(s), s.step) for s in slices]


def _doubled(slices: list[slice], n: int) -> list[slice]:
    first = min(s.start for s in slices)
    return [_at(first + 2 * (s.start - first), _count(s), s.step) for s in slices]


def _further(slices: list[slice], n: int) -> list[slice]:
    return [_at(s.start + 1, _count(s), s.step) for s in slices]


def _nearer(slices: list[slice], n: int) -> list[slice]:
    return [_at(s.start - 1, _count(s), s.step) for s in slices]


def _around(slices: list[slice], n: int) -> list[slice]:
    if any(_count(s) > 1 for s in slices):
        raise ValueError
    return [_at((s.start - 1) % n, 1, 1) for s in slices]


def _fixed(slices: list[slice], n: int) -> list[slice]:
    starts = sorted({s.start for s in slices})
    return [_at(starts[len(starts) // 2], _count(s), s.step) for s in slices]


def _turned(slices: list[slice], n: int) -> list[slice]:
    starts = [s.start for s in slices]
    return [_at(min(starts) + max(starts) - s.start, _count(s), s.step) for s in slices]


def _exchanged(places: Sequence[Slices], shape: tuple[int, ...]) -> list[Slices]:
    """The starts of the last two axes, each keeping its own count and step."""
    return [
        (*p[:-2], _at(p[-1].start, _count(p[-2]), p[-2].step), _at(p[-2].start, _count(p[-1]), p[-1].step))
        for p in places
    ]
