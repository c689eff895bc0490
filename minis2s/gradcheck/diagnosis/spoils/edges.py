"""What can be wrong with any edge: cut, doubled, halved, negative, or not carried from step to step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, named, rule_for, scaled
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Rule
from minis2s.gradcheck.diagnosis.tape.rules import unbroadcast


def of_edges(group: Group, words: str) -> Iterator[Spoil]:
    """Cut off, sign, 2 and 1/2."""
    edge = group[0]
    extra = 1.0 if words else 0.0
    source, target = named(edge.child), named(edge.parent)
    cause, cost, finding, hint = _of_cut(edge)
    yield Spoil(cause, cost + extra, finding + words, hint, rule_for(group, None))
    within = edge.kind in ("slope", "factor") and edge.child.value.shape == edge.parent.value.shape
    if within and cause == "branch-missing":  # of the derivative of one function, a sum, a term is missing
        yield Spoil("missing-factor", cost + 0.3 + extra, finding + words, hint, rule_for(group, None))
    if edge.kind in ("factor", "slope", "spread", "left", "right", "softmax", "choice", "einsum"):
        finding = f"what flows from {source} back to {target} has the wrong sign"
        cost = 1.4 if np.any(np.asarray(edge.parts.get("factor", 1)) == -1) else 1.8
        yield Spoil("wrong-sign", cost + extra, finding + words, "Which minus was lost?", rule_for(group, scaled(-1)))
        for factor, spelt in ((2.0, "2"), (0.5, "1/2")):
            finding = f"what flows from {source} back to {target} is off by the factor {spelt}"
            hint = "Which constant of the derivative is missing, or too many?"
            yield Spoil("constant-factor", 2.0 + extra, finding + words, hint, rule_for(group, scaled(factor)))
    if edge.kind in ("factor", "slope") and edge.child.value.ndim:
        finding = f"the gradient that arrives at {source} is left out on the way back to {target}"
        alone: Rule = lambda e, dy: e.rule(e, np.ones_like(dy))  # noqa: E731
        yield Spoil(
            "missing-factor", 1.7 + extra, finding + words, "The chain rule multiplies.", rule_for(group, alone)
        )


def _of_cut(edge: Edge) -> tuple[str, float, str, str]:
    """Cause, cost and words if no gradient passes an edge."""
    source, target = named(edge.child), named(edge.parent)
    if edge.kind == "carry":
        return (
            edge.parts["cause"], 1.0, f"the gradient of {target} does not go from one step to the one before",
            "Is what comes back from the next step added?",
        )  # fmt: skip
    if is_mean_path(edge):
        return (
            "norm-mean-term-missing", 1.0, "the path through the mean is missing",
            "Every x changes the mean: was - mean(dn) left out?",
        )  # fmt: skip
    if is_deviation_path(edge):
        return (
            "norm-variance-term-missing", 1.0, "the path through the standard deviation is missing",
            "Every x changes the variance: was - n mean(dn n) left out?",
        )  # fmt: skip
    if is_partition_path(edge):
        return (
            "softmax-second-term-missing", 1.0, "the path through the softmax's sum is missing",
            "Was - y sum(y dy) left out?",
        )  # fmt: skip
    if sum(e.parent is edge.parent for e in edge.child.edges) == 2:
        return "constant-factor", 1.0, f"of {target} squared the 2 is missing", "x^2 gives 2 x dy."
    uses = {user.child.place for user in edge.parent.users}
    if len(uses) > 1 and edge.parent.op == "input" and edge.kind in ("right", "gather", "transpose", "reshape"):
        return (
            "tied-counted-once", 1.2, f"only one of the uses of {target} counts: {source} is left out",
            "A weight that is used twice receives the sum of both gradients: was one overwritten?",
        )  # fmt: skip
    if len(uses) > 1:
        return (
            "branch-missing", 1.2, f"the path from {source} back to {target} is missing",
            f"{target} is used {len(uses)} times: does the gradient of each use arrive?",
        )  # fmt: skip
    return "zero-gradient", 2.0, f"no gradient flows from {source} back to {target}", "Is this path complete?"


def is_mean_path(edge: Edge) -> bool:
    """From x - mean(x) to the mean."""
    return edge.child.op == "subtract" and edge.slot == 1 and edge.parent.op in ("mean",)


def is_deviation_path(edge: Edge) -> bool:
    """From (x - mean) / s, or (x - mean) * (1 / s), to s."""
    if edge.kind != "factor" or edge.child.op not in ("divide", "multiply"):
        return False
    if edge.child.value.size == edge.parent.value.size == 1:
        return False
    above = list(_above(edge.parent, 5))
    return any(e.op in ("sqrt", "power") for e in above) and any(e.op in ("mean", "var", "sum") for e in above)


def _above(entry: Entry, depth: int) -> Iterator[Entry]:
    """An entry and what it was made of, through operations of one operand."""
    yield entry
    if depth:
        edges = [e for e in entry.edges if e.kind in ("slope", "factor", "reshape", "spread")]
        for edge in edges[:1]:
            yield from _above(edge.parent, depth - 1)


def is_partition_path(edge: Edge) -> bool:
    """From exp(x) / sum(exp(x)) to the sum."""
    other = next((e.parent for e in edge.child.edges if e is not edge), None)
    return (
        edge.child.op == "divide" and edge.slot == 1 and edge.parent.op == "sum" and other is not None
        and any(e.parent is other for e in edge.parent.edges)
    )  # fmt: skip


def of_recurrence(group: Group, classes: list[list[Entry]]) -> Iterator[Spoil]:
    """The way back from one step of a loop to the state that the step before left."""
    if len(group) < 2 or group[0].kind == "carry":
        return
    carried = carried_over(group, classes)
    if not carried:
        return
    edge = carried[0]
    gate = edge.kind == "factor" and np.ndim(edge.parts["factor"]) > 0
    cause = "missing-dc-carry" if gate else "missing-dh-carry"
    state = named(edge.parent)
    hint = "Is what comes back from the next step added?"
    yield Spoil(
        cause,
        0.9,
        f"the gradient of {state} does not go from one step to the one before",
        hint,
        rule_for(carried, None),
    )
    if gate:
        finding = f"the gradient of {state} goes from one step to the one before without its factor"
        rule: Rule = lambda e, dy: unbroadcast(dy, e.parent.value.shape)  # noqa: E731
        yield Spoil("forget-gate-not-in-carry", 0.9, finding, "c' = f c + i g gives dc = dc' f.", rule_for(group, rule))


def carried_over(group: Group, classes: list[list[Entry]]) -> Group:
    """The edges of a loop that lead to a value of the step before."""
    children = next((c for c in classes if group[0].child in c), [])
    if len(children) == len(group):  # the first step has another state to start from
        starts = _kind(group[0].parent) != _kind(group[1].parent)
        carried: Group = group[1:] if starts else []
    else:
        carried = group if len(children) == len(group) + 1 else []
    pairs = zip(carried[1:], carried, strict=False)
    return carried if all(descends(later.parent, earlier.child, 30) for later, earlier in pairs) else []


def goes_to_the_next(way: Group) -> bool:
    """Do the edges of a loop lead, by an addition at most, to the value of the next step, and through no gate?"""
    return len(way) > 1 and all(descends(later.parent, edge.child, 3) for edge, later in pairwise(way))


def _kind(entry: Entry) -> tuple:
    return entry.op, entry.place, entry.label


def descends(entry: Entry, ancestor: Entry, depth: int) -> bool:
    """Was a value made of another?"""
    level, seen = [entry], {entry.number}
    for _ in range(depth):
        if any(e is ancestor for e in level):
            return True
        above = [edge.parent for e in level for edge in e.edges if edge.parent.number >= ancestor.number]
        level = [e for e in above if e.number not in seen and not seen.add(e.number)]  # type: ignore[func-returns-value]
    return False
