"""One mistake in the rules of a backward pass, groups of edges that share a rule, and rules to put in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minis2s.gradcheck.diagnosis import forms
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Jump, Rule, Tape
from minis2s.gradcheck.diagnosis.tape.rules import unbroadcast


@dataclass(frozen=True)
class Spoil:
    """One mistake: rules for some edges, and what to say if it explains the numbers.

    `also` are other names that the same numbers have, each with its cost.
    """

    cause: str
    cost: float
    finding: str
    hint: str
    rules: dict[int, Rule] = field(default_factory=dict)
    keep: dict[int, str] = field(default_factory=dict)
    label: str = ""
    jumps: dict[int, tuple[int, Jump | None]] = field(default_factory=dict)
    scales: dict[int, np.ndarray] = field(default_factory=dict)
    detours: dict[int, int] = field(default_factory=dict)
    gradients: Callable[[Sequence[np.ndarray]], list[np.ndarray | None]] | None = None
    also: tuple[tuple[str, float], ...] = ()


Group = Sequence[Edge]


def edge_groups(tape: Tape) -> list[list[Edge]]:
    """Edges of the same operation in the code, such as that of every time step."""
    groups: dict[tuple, list[Edge]] = {}
    for entry in tape.entries:
        for edge in entry.edges:
            groups.setdefault((entry.op, edge.slot, entry.place, entry.label, edge.kind), []).append(edge)
    return list(groups.values())


def products_of_one(tape: Tape) -> Iterator[list[Edge]]:
    """All products of one value at different places in the code, such as those of a state with the matrix of each gate.

    What is done wrong at one gate is done wrong at all.
    """
    groups: dict[tuple, list[Edge]] = {}
    for entry in tape.entries:
        for edge in entry.edges if entry.op == "matmul" else ():
            groups.setdefault((edge.kind, "of", edge.parent.number), []).append(edge)
            for other in (e for e in entry.edges if e is not edge):
                groups.setdefault((edge.kind, "with", other.parent.number), []).append(edge)
    for group in groups.values():
        if len({edge.child.place for edge in group}) > 1:
            yield group


def entry_classes(tape: Tape) -> list[list[Entry]]:
    """Values that the same place in the code made."""
    classes: dict[tuple, list[Entry]] = {}
    for entry in tape.entries:
        if entry.value.size > 1:
            classes.setdefault(
                (entry.op, entry.place, entry.label if entry.op != "input" else entry.number), []
            ).append(entry)
    return list(classes.values())


def parts_of(group: Group) -> Iterator[tuple[Group, str]]:
    """Of a small group each edge by itself."""
    if 1 < len(group) <= 6 and group[0].child.number < 60:
        for number, edge in enumerate(group):
            words = "first" if number == 0 else "last" if number == len(group) - 1 else f"{number + 1}th"
            yield [edge], f" at the {words} of {len(group)} times"


def named(entry: Entry) -> str:
    """The name by which the text speaks of a value."""
    if entry.label:
        return entry.label
    for user in entry.users:
        if user.kind in ("reshape", "transpose", "part") and user.child.label:
            return user.child.label
    if entry.op == "input":
        return "an input"
    code = entry.place[0][0] if entry.place else None
    ours = code is None or Path(code.co_filename) == Path(forms.__file__)  # a form that stands in for theirs
    return f"the {entry.op}" if ours else f"the {entry.op} of line {entry.line}"


def rule_for(edges: Group, rule: Rule | None) -> dict[int, Rule]:
    """The same rule for several edges; None lets no gradient pass."""
    return {id(edge): rule or _cut for edge in edges}


def _cut(edge: Edge, dy: np.ndarray) -> None:
    return None


def scaled(factor: float) -> Rule:
    """The right gradient times a number."""

    def rule(edge: Edge, dy: np.ndarray) -> np.ndarray | None:
        gradient = edge.rule(edge, dy)
        return gradient if gradient is None else factor * gradient

    return rule


def with_operand(by_edge: dict[int, np.ndarray]) -> Rule:
    """The rule of an edge with another value in it."""

    def rule(e: Edge, dy: np.ndarray) -> np.ndarray:
        value = by_edge[id(e)]
        if e.kind == "factor":
            return unbroadcast(dy * value, e.parent.value.shape)
        if e.kind == "einsum":
            return e.rule(Edge(e.parent, e.slot, e.kind, e.rule, **{**e.parts, "arrays": [value]}), dy)
        return e.rule(Edge(e.parent, e.slot, e.kind, e.rule, other=value), dy)

    return rule


def is_binary(factor: np.ndarray) -> bool:
    """A mask of zeros and ones."""
    return factor.ndim > 0 and bool(np.all((factor == 0) | (factor == 1)) and np.any(factor == 0))


def is_two_valued(factor: np.ndarray) -> bool:
    """A mask times a scale."""
    top = factor.max()
    return factor.ndim > 0 and top > 0 and bool(np.all((factor == 0) | (factor == top)) and np.any(factor == 0))


def only_place(value: np.ndarray, axis: int, pick: int) -> np.ndarray:
    """Zeros, but for one place along an axis."""
    kept = np.zeros_like(value)
    at = (slice(None),) * axis + (pick,)
    kept[at] = value[at]
    return kept
