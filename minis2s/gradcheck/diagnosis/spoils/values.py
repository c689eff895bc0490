"""Another value in the place of the right factor: of another step, another gate, before or after an activation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.slopes import ACTIVATIONS, SLOPE_BY_VALUE
from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, is_binary, named, with_operand
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Rule

OTHERS = 30
"""So many other values are tried in the place of a factor."""

Sequence_ = tuple[list[Entry], list[np.ndarray]]


def other_values(group: Group, known: Sequence[Sequence_]) -> Iterator[Spoil]:
    """Another value of the same shape in the place of the right one."""
    edge = group[0]
    if edge.kind == "slope" and edge.child.op not in ACTIVATIONS:
        return
    if edge.kind == "factor" and edge.child.op == "divide":
        return
    right = [value for e in group if (value := operand(e)) is not None]
    if len(right) < len(group) or not right[-1].ndim or is_binary(right[-1]):
        return
    own = operand_entries(group)
    tried = 0
    for kind, values in near_values(edge, known):
        if values[0].shape != right[0].shape or tried > OTHERS:
            continue
        shifts = (0, 1, -1) if len(values) > 1 else (0,)
        for shift in shifts:
            aligned = _aligned(len(group), values, shift)
            if aligned is None or _equal(aligned, right) or (shift and not _equal(values, right)):
                continue
            tried += 1
            yield from _replaced(group, own, kind[-1], aligned, shift)
        yield from _from_the_end(group, own, values, right)
    if len(group) > 2 and len({r.shape for r in right}) == 1 and edge.kind != "slope":
        yield from _in_other_order(group, own, right)


def operand(edge: Edge) -> np.ndarray | None:
    """The value that an edge's rule uses."""
    if edge.kind == "slope":
        return edge.child.value
    if edge.kind == "einsum":
        return edge.parts["arrays"][0] if len(edge.parts["arrays"]) == 1 else None
    return np.asarray(edge.parts["factor" if edge.kind == "factor" else "other"])


def operand_entries(group: Group) -> list[Entry]:
    """Where the values come from, if they are recorded."""
    if group[0].kind == "slope":
        return [e.child for e in group]
    return [next((o.parent for o in e.child.edges if o is not e), e.child) for e in group]


def near_values(edge: Edge, sequences: Sequence[Sequence_]) -> list[Sequence_]:
    """Values that might be taken for the right ones: first those that a student has a name for, the nearest first."""

    def far(sequence: Sequence_) -> tuple[bool, int]:
        entry = sequence[0][-1]
        prominent = entry.op in ("input", "carry", *ACTIVATIONS) or len(entry.users) > 1
        return not prominent, abs(entry.number - edge.child.number)

    return sorted(sequences, key=far)


def sequences_of(groups: Sequence[Group], classes: Sequence[Sequence[Entry]]) -> list[Sequence_]:
    """Values that the same place in the code made; and those that it used, as are the states before each step."""
    found = [(list(kind), [e.value for e in kind]) for kind in classes]
    for group in groups:
        if len(group) > 1 and group[0].kind in ("right", "left", "factor"):
            used = [np.asarray(v) for v in map(operand, group)]
            if used[0].size > 1 and not any(_equal(used, values) for _, values in found):
                found.append((operand_entries(group), used))
    return found


def _equal(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def _from_the_end(
    group: Group, own: list[Entry], values: list[np.ndarray], right: Sequence[np.ndarray]
) -> Iterator[Spoil]:
    """The value of the step before, and for the first step, by the index -1, that of the last."""
    rolled = [values[-1], *values[:-1]]
    if len(values) > 1 and not _equal(rolled, right) and _equal(rolled[1:], right[1:]):
        by_edge = {id(e): v for e, v in zip(group, rolled, strict=True)}
        finding = f"in the gradient of {named(group[-1].parent)} the last {named(own[-1])} stands before the first step"
        hint = "The index -1 is that of the last step: what was there at the start?"
        yield Spoil("off-by-one", 1.0, finding, hint, dict.fromkeys(by_edge, with_operand(by_edge)))


def _in_other_order(group: Group, own: list[Entry], right: Sequence[np.ndarray]) -> Iterator[Spoil]:
    name = named(own[-1])
    for words, cause, order in (
        ("from the other end", "permuted-axes", range(len(right))[::-1]),
        ("of the first step", "off-by-one", [0] * len(right)),
        ("of the last step", "off-by-one", [len(right) - 1] * len(right)),
    ):
        values = {id(e): right[n] for e, n in zip(group, order, strict=True)}
        finding = f"in the gradient of {named(group[-1].parent)} {name} is read {words}"
        rules, hint = dict.fromkeys(values, with_operand(values)), "Which step does the index stand for?"
        yield Spoil(cause, 1.5, finding, hint, rules, also=(("missing-factor", 1.7),))


def _aligned(count: int, values: list[np.ndarray], shift: int) -> list[np.ndarray] | None:
    """For each edge the value that belongs to its time step, or to the one before or after."""
    if len(values) == 1:
        return values * count
    if len(values) != count:
        return None
    return [values[min(max(n + shift, 0), count - 1)] for n in range(count)]


def _replaced(group: Group, own: list[Entry], kind: Entry, values: list[np.ndarray], shift: int) -> Iterator[Spoil]:
    edge = group[0]
    by_edge = {id(e): v for e, v in zip(group, values, strict=True)}
    rightful = own[-1]
    source, target, right, wrong = named(edge.child), named(edge.parent), named(rightful), named(kind)
    cause, cost = _cause_of_replacing(edge, rightful, kind, shift)
    operands = [operand(e) for e in group]
    if len(group) > 1 and (kind in own or follows(values, [v for v in operands if v is not None])):
        cause, cost = "off-by-one", 1.0
    if edge.kind == "slope":
        slope = SLOPE_BY_VALUE[edge.child.op]
        rule: Rule = lambda e, dy: dy * slope(by_edge[id(e)])  # noqa: E731
        finding = f"the derivative of {edge.child.op} at {right} is computed from {wrong}"
    else:
        rule = with_operand(by_edge)
        finding = (
            f"on the way from {source} back to {target} {wrong} stands where {right} belongs"
            if edge.kind == "factor"
            else f"in the gradient of {target} {wrong} stands where {right} belongs"
        )
    when = {0: "", 1: " of the step after", -1: " of the step before"}[shift]
    finding = finding.replace(wrong, wrong + when, 1) if when else finding
    also = {"derivative-at-preactivation" if edge.kind == "slope" else "missing-factor": cost + 0.2}
    if is_gate(kind) and edge.kind == "factor":
        also["wrong-gate"] = cost + 0.3
    also.pop(cause, None)
    hint, rules = f"{right} or {wrong}{when}?", dict.fromkeys(by_edge, rule)
    yield Spoil(cause, cost, finding, hint, rules, label=right, also=tuple(also.items()))


def _cause_of_replacing(edge: Edge, right: Entry, wrong: Entry, shift: int) -> tuple[str, float]:
    activated = any(e.parent is wrong for e in right.edges) and right.op in ACTIVATIONS
    if activated or (any(e.parent is right for e in wrong.edges) and wrong.op in ACTIVATIONS):
        return "derivative-at-preactivation", 1.2
    if is_gate(right) and is_gate(wrong) and not shift:
        return "wrong-gate", 1.1
    if shift or before_and_after(right, wrong):
        return "off-by-one", 1.1
    if edge.kind == "slope":
        return ("derivative-at-preactivation", 1.5) if wrong.op not in ACTIVATIONS else ("wrong-gate", 1.1)
    if edge.kind == "left":
        return "wrong-gate", 1.6
    if wrong is edge.parent or wrong in [e.parent for e in edge.child.edges]:
        return "missing-factor", 1.4
    return "wrong-gate" if right.op in ACTIVATIONS else "missing-factor", 1.6


def follows(values: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> bool:
    """Are the values of one sequence those of the other, a step later or earlier?"""
    if len(values) != len(right) or len(values) < 2:
        return False
    later = all(np.array_equal(a, b) for a, b in zip(values[1:], right[:-1], strict=True))
    return later or all(np.array_equal(a, b) for a, b in zip(values[:-1], right[1:], strict=True))


def is_gate(entry: Entry) -> bool:
    """The value of an activation, or one minus it."""
    from_gate = (
        entry.op == "subtract" and any(e.parent.op in ACTIVATIONS for e in entry.edges) and len(entry.edges) == 1
    )
    return entry.op in ACTIVATIONS or from_gate


STATES = {"h": "h'", "c": "c'", "h0": "h'", "c0": "c'"}


def before_and_after(right: Entry, wrong: Entry) -> bool:
    """The state before a step and that after it: what is handed in, and in the same shape handed on."""
    a, b = named(right), named(wrong)
    if STATES.get(a) == b or STATES.get(b) == a:
        return True
    handed_on = not wrong.users or all(user.kind in ("joined", "stacked", "written", "reshape") for user in wrong.users)
    others = [e for e in wrong.tape.leaves if e is not None and e is not right and len(e.value.shape) == 2]
    fits = any(len(e.value) == len(right.value) for e in others)  # x, of as many items
    return right.op == "input" and wrong.op != "input" and handed_on and right.value.ndim == 2 and fits
