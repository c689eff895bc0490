"""The record itself: values, the edges between them, and the backward pass along these."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 6000
"""Operations in a record. A loop over pixels would have too many to spoil each."""

LARGEST_REMEMBERED = 1500
"""Operations in a record whose right backward pass is remembered in all its states."""

HERE = {*map(str, Path(__file__).parent.glob("*.py")), str(Path(np.lib.mixins.__file__))}
"""Frames of these files are not those of the recorded code."""

Rule = Callable[..., Any]

Jump = Callable[[np.ndarray], np.ndarray]


class Untraceable(Exception):  # noqa: N818
    """An operation that the record does not know, or too many of them."""


class Entry:
    """One value of the forward pass, and the edges to what it was made of; text calls it by `label` or `line`."""

    __slots__ = ("edges", "label", "line", "number", "op", "place", "tape", "users", "value")

    def __init__(self, tape: Tape, op: str, value: np.ndarray, edges: Sequence[Edge]) -> None:
        self.tape, self.op, self.value, self.edges = tape, op, value, edges
        self.number = len(tape.entries)
        self.place = tape.place()
        self.label, self.line = "", self.place[0][2] if self.place else 0
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
        detours: dict[int, int] | None = None,
    ) -> list[np.ndarray | None]:
        """Gradients of the leaves.

        `rules` replaces the rules of edges (by id); `keep` says of entries (by number) that of several gradients that
        arrive only the "first" or the "last" counts, in the order of the backward pass, or that they are painted over
        each other, the earliest or the latest on top; `jumps` hands the gradient of an entry to another, as it is or by
        a formula, past all that is between them; `scales` multiplies that of an entry before it goes on; `detours`
        sends what an edge (by id) leads back to another entry than its own.
        """
        rules, keep, jumps, scales, detours = rules or {}, keep or {}, jumps or {}, scales or {}, detours or {}
        start = self._first_change(upstream, rules | detours, keep, jumps, scales)
        arrived = self.injected(upstream) if start is None else list(self.states[start])
        arrived = self.run(arrived, rules, keep, jumps, scales, start, detours=detours)
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

    def arriving(self, upstream: Sequence[np.ndarray], entry: Entry) -> np.ndarray:
        """The right gradient of a value."""
        remembered = self.states[entry.number] if upstream is self.upstream else None
        arrived = (remembered or self.run(self.injected(upstream), {}, {}, {}, {}))[entry.number]
        return np.zeros_like(entry.value) if arrived is None else arrived

    def prepare(self, upstream: Sequence[np.ndarray]) -> None:
        """Remember how far the right backward pass had come at each entry: a mistake changes only what is after it."""
        if len(self.entries) > LARGEST_REMEMBERED:
            return
        self.upstream, self.states = upstream, [[] for _ in self.entries]
        self.children = {id(edge): entry.number for entry in self.entries for edge in entry.edges}
        self.run(self.injected(upstream), {}, {}, {}, {}, remember=True)

    def _first_change(self, upstream: Any, rules: dict[int, Any], keep: dict, jumps: dict, scales: dict) -> int | None:
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
        detours: dict[int, int] | None = None,
    ) -> list[np.ndarray | None]:
        """Send on what came in: the gradients of all entries."""
        painted: dict[int, np.ndarray] = {}
        detours = detours or {}
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
                number = detours.get(id(edge), edge.parent.number)
                held = arrived[number]
                if number in keep and keep[number].startswith("painted") and "index" in edge.parts:
                    arrived[number] = _paint(held, gradient, edge, painted, keep[number])
                elif held is None or keep.get(number) == "last":
                    arrived[number] = gradient
                elif keep.get(number) != "first":
                    arrived[number] = held + gradient
        return arrived


def _paint(
    held: np.ndarray | None, gradient: np.ndarray, edge: Edge, painted: dict[int, np.ndarray], order: str
) -> np.ndarray:
    """Gradients of parts, assigned where they should be added: what was read later in the forward pass comes first.

    Whole parts are painted, or, as the places of largest values are, only what is not zero.
    """
    if "winners" in order:
        touched = gradient != 0
    else:
        touched = np.zeros(gradient.shape, bool)
        touched[edge.parts["index"]] = True
    before = painted.setdefault(edge.parent.number, np.zeros(gradient.shape, bool))
    covers = touched & ~before if order.endswith("last on top") else touched
    before |= touched
    return np.where(covers, gradient, 0.0 if held is None else held)
