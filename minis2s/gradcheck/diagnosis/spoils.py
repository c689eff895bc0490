"""All the ways in which one rule of a backward pass can be wrong, made from the record of the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise, permutations
from pathlib import Path

import numpy as np

from minis2s.gradcheck.diagnosis.tape import Edge, Entry, Jump, Rule, Tape, unbroadcast

ACTIVATIONS = ("tanh", "sigmoid", "relu")
SLOPE_BY_VALUE: dict[str, Callable] = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "relu": lambda y: y > 0,
}
FORMULA = {"tanh": "1 - {y}^2", "sigmoid": "{y} (1 - {y})", "relu": "({y} > 0)"}
OTHERS = 30
"""So many other values are tried in the place of a factor."""

SO_MANY_ORDERS = 24
"""Permutations of axes that are tried."""


WAYS = 6
"""Ways from a value of which any two are tried."""


@dataclass(frozen=True)
class Spoil:
    """One mistake: rules for some edges, and what to say if it explains the numbers."""

    cause: str
    cost: float
    finding: str
    hint: str
    rules: dict[int, Rule] = field(default_factory=dict)
    keep: dict[int, str] = field(default_factory=dict)
    label: str = ""
    jumps: dict[int, tuple[int, Jump | None]] = field(default_factory=dict)
    scales: dict[int, np.ndarray] = field(default_factory=dict)
    gradients: Callable[[Sequence[np.ndarray]], list[np.ndarray | None]] | None = None


Group = Sequence[Edge]
Sequence_ = tuple[list[Entry], list[np.ndarray]]


def spoils(tape: Tape) -> Iterator[Spoil]:
    """Every single mistake that the record allows for."""
    groups = edge_groups(tape)
    classes = entry_classes(tape)
    known = sequences_of(groups, classes)
    for of_tape in OF_TAPE:
        yield from of_tape(tape)
    for group in groups:
        yield from of_recurrence(group, classes)
        for part, words in parts_of(group):
            yield from of_edges(part, words)
        for make in MAKERS.get(group[0].kind, ()):
            for part, words in parts_of(group):
                yield from make(part, words)
        if group[0].kind in ("factor", "right", "left", "slope", "einsum"):
            yield from other_values(group, known)
    for products in products_of_one(tape):
        yield from of_product(products, "")


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
    """All edges of a group, and, if it is small, each by itself."""
    yield group, ""
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
    code, _, line = entry.place[0] if entry.place else (None, 0, 0)
    ours = code is None or Path(code.co_filename).parent == Path(__file__).parent  # a form that stands in for theirs
    return f"the {entry.op}" if ours else f"the {entry.op} of line {line}"


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


# ------------------------------------------------------------------------------------------- any edge


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


def _above(entry: Entry, depth: int) -> Iterator[Entry]:
    """An entry and what it was made of, through operations of one operand."""
    yield entry
    if depth:
        edges = [e for e in entry.edges if e.kind in ("slope", "factor", "reshape", "spread")]
        for edge in edges[:1]:
            yield from _above(edge.parent, depth - 1)


def is_mean_path(edge: Edge) -> bool:
    """From x - mean(x) to the mean."""
    return edge.child.op == "subtract" and edge.slot == 1 and edge.parent.op in ("mean",)


def is_deviation_path(edge: Edge) -> bool:
    """From (x - mean) / s, or (x - mean) * (1 / s), to s."""
    if edge.kind != "factor" or edge.child.op not in ("divide", "multiply"):
        return False
    above = list(_above(edge.parent, 5))
    return any(e.op in ("sqrt", "power") for e in above) and any(e.op in ("mean", "var", "sum") for e in above)


def is_partition_path(edge: Edge) -> bool:
    """From exp(x) / sum(exp(x)) to the sum."""
    other = next((e.parent for e in edge.child.edges if e is not edge), None)
    return (
        edge.child.op == "divide" and edge.slot == 1 and edge.parent.op == "sum" and other is not None
        and any(e.parent is other for e in edge.parent.edges)
    )  # fmt: skip


# -------------------------------------------------------------------------------------- elementwise functions


def of_slope(group: Group, words: str) -> Iterator[Spoil]:
    """The derivative of an elementwise function: missing, twice, or of another value."""
    edge = group[0]
    op, name = edge.child.op, named(edge.child)
    extra = 1.0 if words else 0.0
    if op in ACTIVATIONS:
        formula = FORMULA[op].format(y=name if edge.child.label else "y")
        missing, doubled = "activation-derivative-missing", "activation-derivative-doubled"
        yield Spoil(
            missing, 0.8 + extra, f"what flows back through {name} is off by the factor 1/({formula}){words}",
            f"Was {op}'s derivative applied?", rule_for(group, lambda e, dy: dy), label=name,
        )  # fmt: skip
        yield Spoil(
            doubled, 0.9 + extra, f"what flows back through {name} is off by the factor {formula}{words}",
            f"Was {op}'s derivative applied twice?", rule_for(group, lambda e, dy: dy * e.parts["slope"] ** 2),
        )  # fmt: skip
        for cost, spelt, value in wrong_slopes(op):
            yield Spoil(
                "derivative-at-preactivation", cost + extra,
                f"{op}'s derivative at {name} is computed as {spelt}{words}",
                f"With y the output of {op} the derivative is {FORMULA[op].format(y='y')}: what was it fed with?",
                rule_for(group, lambda e, dy, v=value: dy * v(e.parent.value, e.child.value, dy)), label=name,
            )  # fmt: skip
        for spelt, value in of_another(op):
            yield Spoil(
                "missing-factor", 1.6 + extra, f"the derivative at {name} is {spelt}, of another function{words}",
                f"{name} is a {op}.", rule_for(group, lambda e, dy, v=value: dy * v(e.child.value)), label=name,
            )  # fmt: skip
        if op == "sigmoid":
            for spelt, value in (("y", lambda y: y), ("1 - y", lambda y: 1 - y)):
                yield Spoil(
                    "missing-factor", 1.2 + extra, f"sigmoid's derivative at {name} is only {spelt}{words}",
                    "It is y (1 - y).", rule_for(group, lambda e, dy, v=value: dy * v(e.child.value)), label=name,
                )  # fmt: skip
    else:
        causes = ("logvar-as-sigma", "missing-factor") if op == "exp" else ("missing-factor",)
        for number, cause in enumerate(causes):
            yield Spoil(
                cause, 1.3 + 0.1 * number + extra, f"the derivative of {name} is missing{words}",
                "Which function was it, and what is its derivative?", rule_for(group, lambda e, dy: dy),
            )  # fmt: skip
        if op in ("square", "power"):
            yield Spoil(
                "constant-factor", 1.2 + extra, f"the exponent is missing in the derivative of {name}{words}",
                "x^n gives n x^(n - 1) dy.",
                rule_for(group, lambda e, dy: dy * e.parts["slope"] / e.parts.get("exponent", 2.0)),
            )  # fmt: skip
            yield Spoil(
                "missing-factor", 1.4 + extra, f"the exponent in the derivative of {name} is 1 too large{words}",
                "x^n gives n x^(n - 1) dy.", rule_for(group, lambda e, dy: dy * e.parts["slope"] * e.parent.value),
            )  # fmt: skip


def of_another(op: str) -> list[tuple[str, Callable]]:
    """Derivatives of the other activations, of the value y."""
    return [(FORMULA[other].format(y="y"), slope) for other, slope in SLOPE_BY_VALUE.items() if other != op]


def wrong_slopes(op: str) -> list[tuple[float, str, Callable]]:
    """Formulas that students write for a derivative, of the argument x, the value y and the gradient dy."""
    if op == "tanh":
        return [
            (1.0, "1 - x^2 of its argument x", lambda x, y, dy: 1 - x * x),
            (1.1, "1 - tanh(y)^2 of its output y", lambda x, y, dy: 1 - np.tanh(y) ** 2),
            (1.6, "1 - y", lambda x, y, dy: 1 - y),
            (1.6, "1 + y^2", lambda x, y, dy: 1 + y * y),
            (1.5, "sigmoid's y (1 - y)", lambda x, y, dy: y * (1 - y)),
            (1.5, "1 - sigmoid(x)^2", lambda x, y, dy: 1 - (0.5 + 0.5 * np.tanh(x / 2)) ** 2),
        ]
    if op == "sigmoid":
        return [
            (1.0, "x (1 - x) of its argument x", lambda x, y, dy: x * (1 - x)),
            (1.1, "s(y) (1 - s(y)) of its output y", lambda x, y, dy: np.exp(-y) / (1 + np.exp(-y)) ** 2),
            (1.6, "1 - y^2, tanh's", lambda x, y, dy: 1 - y * y),
            (1.6, "y (1 + y)", lambda x, y, dy: y * (1 + y)),
        ]  # fmt: skip
    return [
        (1.0, "(dy > 0)", lambda x, y, dy: dy > 0),
        (1.3, "(x < 0)", lambda x, y, dy: x < 0),
        (1.2, "x, its argument", lambda x, y, dy: x),
        (1.2, "y, its output", lambda x, y, dy: y),
        (1.4, "(x > 1)", lambda x, y, dy: x > 1),
    ]


# ------------------------------------------------------------------------------------------- products


def of_factor(group: Group, words: str) -> Iterator[Spoil]:
    """A factor of a product: left out, or a mask that is not applied or inverted; a sum over what was broadcast."""
    edge = group[0]
    extra = 1.0 if words else 0.0
    factor = np.asarray(edge.parts["factor"])
    source, target = named(edge.child), named(edge.parent)
    shape = edge.parent.value.shape
    other = next((named(e.parent) for e in edge.child.edges if e is not edge), "the other factor")
    if edge.child.op == "where" or is_binary(factor):
        yield from of_mask(group, words)
    elif is_two_valued(factor):
        yield Spoil(
            "dropout-scale-missing", 0.9, f"the scale {factor.max():.4g} of the mask is missing", "y = x m / (1 - p).",
            rule_for(group, lambda e, dy: unbroadcast(dy * (e.parts["factor"] != 0), e.parent.value.shape)),
        )  # fmt: skip
        yield Spoil(
            "mask-not-applied", 1.0, "dropout's mask is not applied", "y = x m / (1 - p) gives dx = dy m / (1 - p).",
            rule_for(group, lambda e, dy: unbroadcast(dy * e.parts["factor"].max(), e.parent.value.shape)),
        )  # fmt: skip
    elif factor.ndim or (edge.child.op == "multiply" and len(edge.child.edges) > 1):  # of mere numbers `fits` tells
        gate = edge.parent.op == "carry"
        yield Spoil(
            "forget-gate-not-in-carry" if gate else "missing-factor", (0.9 if gate else 1.1) + extra,
            f"on the way from {source} back to {target} the factor {other} is missing{words}",
            f"y = a b gives da = dy b: was {other} left out?",
            rule_for(group, lambda e, dy: unbroadcast(np.broadcast_to(dy, e.child.value.shape), e.parent.value.shape)),
        )  # fmt: skip
        if len(edge.child.edges) == 1:
            yield from of_counts(group, words)
        yield Spoil(
            "missing-factor", 2.2 + extra, f"the factor {other} is applied twice on the way to {target}{words}",
            "y = a b gives da = dy b: once.",
            rule_for(group, lambda e, dy: unbroadcast(dy * e.parts["factor"] ** 2, e.parent.value.shape)),
        )  # fmt: skip
    if edge.child.value.shape != shape and edge.child.value.size > edge.parent.value.size > 0:
        yield from of_sum(group, words)


def of_counts(group: Group, words: str) -> Iterator[Spoil]:
    """A factor that is one over counts, such as those of real tokens: missing, or one over the size of an axis."""
    edge = group[0]
    with np.errstate(divide="ignore"):
        counts = 1 / np.asarray(edge.parts["factor"])
    if not np.all(np.isfinite(counts)) or not np.allclose(counts, np.round(counts)) or np.all(counts == counts.flat[0]):
        return
    target, hint = named(edge.parent), "What does the forward pass divide by, and what does the backward?"
    for n in (1, *sorted({n for user in _near(edge) for n in user.value.shape if n > 1})):
        finding = f"what flows back to {target} is divided by {n} instead of the counts"
        rule: Rule = lambda e, dy, n=n: unbroadcast(  # noqa: E731
            np.broadcast_to(dy / n, e.child.value.shape), e.parent.value.shape
        )
        yield Spoil("wrong-count", 0.95 if n == 1 else 1.1, finding + words, hint, rule_for(group, rule))


def _near(edge: Edge) -> list[Entry]:
    """A value and what it was made of, three operations back."""
    found = level = [edge.parent]
    for _ in range(3):
        level = [e.parent for entry in level for e in entry.edges]
        found = found + level
    return found


def is_binary(factor: np.ndarray) -> bool:
    """A mask of zeros and ones."""
    return factor.ndim > 0 and bool(np.all((factor == 0) | (factor == 1)) and np.any(factor == 0))


def is_two_valued(factor: np.ndarray) -> bool:
    """A mask times a scale."""
    top = factor.max()
    return factor.ndim > 0 and top > 0 and bool(np.all((factor == 0) | (factor == top)) and np.any(factor == 0))


def of_mask(group: Group, words: str) -> Iterator[Spoil]:
    """A mask on the way back."""
    extra = 0.8 if words else 0.0
    target = named(group[0].parent)
    if group[0].parent.op == "gather":
        yield Spoil(
            "padding-id-gradient", 0.8 + extra, f"the row of the padding id receives a gradient{words}",
            "Its output is set to zero, so it must receive none.",
            rule_for(group, lambda e, dy: unbroadcast(np.broadcast_to(dy, e.child.value.shape), e.parent.value.shape)),
        )  # fmt: skip
    yield Spoil(
        "mask-not-applied", 1.0 + extra, f"gradient flows back to {target} where the mask excludes{words}",
        "What the forward pass hides must receive no gradient: was the mask applied on the way back?",
        rule_for(group, lambda e, dy: unbroadcast(np.broadcast_to(dy, e.child.value.shape), e.parent.value.shape)),
    )  # fmt: skip
    for user in group[0].child.users if len(group) == 1 else ():
        if (
            user.kind == "factor"
            and np.ndim(user.parts["factor"]) == 0
            and user.child.value.shape == target_shape(group)
        ):
            jumps: dict[int, tuple[int, Jump | None]] = {user.child.number: (group[0].parent.number, None)}
            finding = f"neither mask nor scale is applied on the way back to {target}"
            yield Spoil("mask-not-applied", 1.1, finding, "y = x m / (1 - p) gives dx = dy m / (1 - p).", jumps=jumps)
    yield Spoil(
        "mask-inverted", 1.0 + extra, f"gradient flows back to {target} exactly where the mask excludes{words}",
        "True is a real token here: which polarity does your mask have?",
        rule_for(group, lambda e, dy: unbroadcast(dy * (1 - e.parts["factor"]), e.parent.value.shape)),
    )  # fmt: skip


def of_overwriting(group: Group, words: str) -> Iterator[Spoil]:
    """A mask by which entries are set to a number: x[mask] = 0."""
    index = group[0].parts["index"]
    if not isinstance(index, np.ndarray) or index.dtype != bool or group[0].child.value.shape != index.shape:
        return
    extra, target = 0.8 if words else 0.0, named(group[0].parent)
    finding = f"gradient flows back to {target} where its entries were set to a number"
    hint = "x[mask] = 0 gives dx[mask] = 0."
    yield Spoil("mask-not-applied", 1.0 + extra, finding + words, hint, rule_for(group, lambda e, dy: dy))
    finding = f"gradient flows back to {target} exactly where its entries were set to a number"
    inverted: Rule = lambda e, dy: np.where(e.parts["index"], dy, 0)  # noqa: E731
    yield Spoil("mask-inverted", 1.0 + extra, finding + words, hint, rule_for(group, inverted))


def target_shape(group: Group) -> tuple[int, ...]:
    """Of what the gradient flows back to."""
    return group[0].parent.value.shape


def of_sum(group: Group, words: str) -> Iterator[Spoil]:
    """What was broadcast: not summed, summed in part, averaged."""
    edge = group[0]
    target, large, small = named(edge.parent), edge.child.value.shape, edge.parent.value.shape
    kept = len(large) == len(small)
    for spelt, pick, cost in (("first", 0, 1.2), ("last", -1, 1.1)):
        cause = "broadcast-not-summed" if kept and pick == 0 else "sum-missing"  # the last is left by a loop
        yield Spoil(
            cause, cost, f"only the {spelt} of the terms that {target} was broadcast to is in its gradient{words}",
            "What the forward pass repeats, the backward adds up: is the sum complete?",
            rule_for(group, lambda e, dy, p=pick: _one_term(dy * e.parts["factor"], e.parent.value.shape, p)),
        )  # fmt: skip
    count = int(np.prod(large)) // max(int(np.prod(small)), 1)
    yield Spoil(
        "wrong-count", 0.95, f"the gradient of {target} is the mean of {count} terms, not their sum{words}",
        "What the forward pass repeats, the backward adds up.", rule_for(group, scaled(1 / count)),
    )  # fmt: skip
    reduced = [a for a in range(len(large)) if kept and small[a] == 1 and large[a] > 1]
    for axis in range(len(large)):
        if len(reduced) == 1 and axis != reduced[0] and large[axis] == large[reduced[0]]:
            wrong: Rule = lambda e, dy, a=axis, b=reduced[0]: np.expand_dims(  # noqa: E731
                np.moveaxis(dy * e.parts["factor"], b, a).sum(axis=b), b
            )
            swapped: Rule = lambda e, dy, a=axis, b=reduced[0]: (  # noqa: E731
                (dy * e.parts["factor"]).sum(axis=a, keepdims=True).swapaxes(a, b)
            )
            for rule in (wrong, swapped):
                yield Spoil(
                    "wrong-sum-axis", 1.0, f"the gradient of {target} is summed over axis {axis}{words}",
                    "Sum over the axis that the forward pass repeats it along.", rule_for(group, rule),
                )  # fmt: skip
    for axis, n in enumerate(large):
        if len(small) == 1 and n == small[0] and axis != len(large) - 1:
            others = tuple(a for a in range(len(large)) if a != axis)
            yield Spoil(
                "wrong-sum-axis", 1.0, f"the gradient of {target} is summed over axes {others}{words}",
                "Sum over the axis that the forward pass repeats it along.",
                rule_for(group, lambda e, dy, o=others: (dy * e.parts["factor"]).sum(axis=o)),
            )  # fmt: skip


def _one_term(gradient: np.ndarray, shape: tuple[int, ...], pick: int) -> np.ndarray:
    while gradient.ndim > len(shape):
        gradient = gradient[pick]
    for axis, n in enumerate(shape):
        if n == 1 and gradient.shape[axis] > 1:
            gradient = np.take(gradient, [pick], axis)
    return gradient


# ------------------------------------------------------------------------------------- matrix products


def of_product(group: Group, words: str) -> Iterator[Spoil]:
    """A matrix product: the other matrix transposed, or the result; only some rows; a mean."""
    edge = group[0]
    extra = 1.0 if words else 0.0
    other, shape = edge.parts["other"], edge.parent.value.shape
    target = named(edge.parent)
    if other.ndim >= 2 and other.shape[-1] == other.shape[-2] and edge.kind == "left":
        yield Spoil(
            "transposed", 1.0 + extra, f"the gradient of {target} is multiplied by the transposed matrix{words}",
            "y = x W^T gives dx = dy W: is one transpose too many or too few?",
            rule_for(group, lambda e, dy: unbroadcast(dy @ e.parts["other"], e.parent.value.shape)),
        )  # fmt: skip
        yield Spoil(
            "kernel-not-flipped", 2.6 + extra, f"the matrix that leads back to {target} runs backwards{words}",
            "Was the kernel turned?", rule_for(group, lambda e, dy: dy @ e.parts["other"].T[::-1]),
        )  # fmt: skip
    if other.ndim == 2 and other.shape[0] == other.shape[1] and edge.kind == "right" and len(shape) <= 2:
        yield Spoil(
            "transposed", 1.0 + extra, f"the gradient of {target} is multiplied by the transposed matrix{words}",
            "y = W x gives dx = W^T dy: is one transpose too many or too few?",
            rule_for(group, lambda e, dy: e.parts["other"] @ dy),
        )  # fmt: skip
    if other.ndim == 1 and edge.kind == "left" and len(shape) > 1:
        whom = named(next((e.parent for e in edge.child.edges if e is not edge), edge.child))
        alone: Rule = lambda e, dy: np.broadcast_to(dy[..., None], e.parent.value.shape)  # noqa: E731
        yield Spoil(
            "missing-factor", 1.1 + extra, f"the vector {whom} is missing on the way back to {target}{words}",
            "y = x v gives dx = dy v.", rule_for(group, alone),
        )  # fmt: skip
    if edge.child.value.shape == shape:
        whom = named(next((e.parent for e in edge.child.edges if e is not edge), edge.child))
        yield Spoil(
            "missing-factor", 1.3 + extra, f"the matrix {whom} is missing on the way back to {target}{words}",
            "y = x W^T gives dx = dy W.", rule_for(group, lambda e, dy: dy),
        )  # fmt: skip
    if len(shape) >= 2 and shape[-1] == shape[-2]:
        yield Spoil(
            "transposed", 1.1 + extra, f"the gradient of {target} is transposed{words}",
            "y = x W^T gives dW = dy^T x: which side does x stand on?",
            rule_for(group, lambda e, dy: e.rule(e, dy).swapaxes(-1, -2)),
        )  # fmt: skip
    square = edge.child.value.shape[-2:]
    if edge.child.value.ndim >= 2 and square[0] == square[1] > 1 and len(shape) >= 2 and other.ndim >= 2:
        yield Spoil(
            "transposed", 1.1 + extra, f"the gradient of the product is transposed on its way to {target}{words}",
            "y = a b gives da = dy b^T and db = a^T dy: is one transpose too many or too few?",
            rule_for(group, lambda e, dy: e.rule(e, dy.swapaxes(-1, -2))),
        )  # fmt: skip
    if edge.kind == "right" and len(shape) == 2 and other.ndim >= 2:
        for spelt, pick in (("first", 0), ("last", -1)):
            what = "item" if other.ndim == 2 else "step"
            cause = "sum-missing" if other.ndim == 2 else "one-step-only"
            yield Spoil(
                cause, 1.2 + extra, f"only the {spelt} {what} contributes to the gradient of {target}{words}",
                "Was it assigned in a loop, `=` instead of `+=`?",
                rule_for(group, lambda e, dy, p=pick: _one_row(e.parts["other"], dy, p)),
            )  # fmt: skip
            yield Spoil(
                "off-by-one", 1.4 + extra, f"the {spelt} {what} does not count in the gradient of {target}{words}",
                "Where does the loop begin, and where does it end?",
                rule_for(group, lambda e, dy, p=pick: e.rule(e, dy) - _one_row(e.parts["other"], dy, p)),
            )  # fmt: skip
        count = len(other)
        yield Spoil(
            "wrong-count", 0.95 + extra, f"the gradient of {target} is divided by {count}, the number of rows{words}",
            "y = x W^T gives dW = dy^T x, a sum over all rows.", rule_for(group, scaled(1 / count)),
        )  # fmt: skip


def of_einsum(group: Group, words: str) -> Iterator[Spoil]:
    """A sum over letters: an operand transposed, or the result; only one of the summands; a mean."""
    edge = group[0]
    extra = 1.0 if words else 0.0
    shape, target = edge.parent.value.shape, named(edge.parent)
    for a, b in combinations(range(len(shape)), 2):
        if shape[a] == shape[b] > 1:
            turned: Rule = lambda e, dy, a=a, b=b: e.rule(e, dy).swapaxes(a, b)  # noqa: E731
            yield Spoil(
                "transposed" if len(shape) == 2 else "permuted-axes", 1.1 + extra,
                f"the axes {a} and {b} of the gradient of {target} are exchanged{words}",
                "Which letter is which axis?", rule_for(group, turned),
            )  # fmt: skip
    if len(edge.parts["arrays"]) != 1:
        return
    other = edge.parts["arrays"][0]
    for a, b in combinations(range(other.ndim), 2):
        if other.shape[a] == other.shape[b] > 1:
            by_edge = {id(e): e.parts["arrays"][0].swapaxes(a, b) for e in group}
            yield Spoil(
                "transposed" if other.ndim == 2 else "permuted-axes", 1.2 + extra,
                f"the gradient of {target} is computed with the other operand's axes {a} and {b} exchanged{words}",
                "Which letter is which axis?", dict.fromkeys(by_edge, _with_operand(by_edge)),
            )  # fmt: skip
    own, result, letters = edge.parts["own"], edge.parts["result"], edge.parts["others"][0]
    for axis, letter in enumerate(letters):
        if letter in own or letter not in result or other.shape[axis] < 2:
            continue
        for spelt, pick in (("first", 0), ("last", -1)):
            by_edge = {id(e): _only_place(e.parts["arrays"][0], axis, pick) for e in group}
            yield Spoil(
                "one-step-only" if axis == 0 and len(result) == 3 else "sum-missing", 1.2 + extra,
                f"only the {spelt} of {other.shape[axis]} terms is in the gradient of {target}{words}",
                "Was it assigned in a loop, `=` instead of `+=`?", dict.fromkeys(by_edge, _with_operand(by_edge)),
            )  # fmt: skip


def _only_place(value: np.ndarray, axis: int, pick: int) -> np.ndarray:
    kept = np.zeros_like(value)
    at = (slice(None),) * axis + (pick,)
    kept[at] = value[at]
    return kept


def _one_row(other: np.ndarray, dy: np.ndarray, pick: int) -> np.ndarray:
    a, b = other[pick], dy[pick]
    return np.outer(a, b) if a.ndim == 1 else a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])


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
        yield Spoil("off-by-one", 1.0, finding, hint, dict.fromkeys(by_edge, _with_operand(by_edge)))


def _in_other_order(group: Group, own: list[Entry], right: Sequence[np.ndarray]) -> Iterator[Spoil]:
    name = named(own[-1])
    for words, cause, order in (
        ("from the other end", "permuted-axes", range(len(right))[::-1]),
        ("of the first step", "off-by-one", [0] * len(right)),
        ("of the last step", "off-by-one", [len(right) - 1] * len(right)),
    ):
        values = {id(e): right[n] for e, n in zip(group, order, strict=True)}
        finding = f"in the gradient of {named(group[-1].parent)} {name} is read {words}"
        for name, cost in {"missing-factor": 1.7, cause: 1.5}.items():
            hint = "Which step does the index stand for?"
            yield Spoil(name, cost, finding, hint, dict.fromkeys(values, _with_operand(values)))


def _aligned(count: int, values: list[np.ndarray], shift: int) -> list[np.ndarray] | None:
    """For each edge the value that belongs to its time step, or to the one before or after."""
    if len(values) == 1:
        return values * count
    if len(values) != count:
        return None
    return [values[min(max(n + shift, 0), count - 1)] for n in range(count)]


def _with_operand(by_edge: dict[int, np.ndarray]) -> Rule:
    """The rule of an edge with another value in it."""

    def rule(e: Edge, dy: np.ndarray) -> np.ndarray:
        value = by_edge[id(e)]
        if e.kind == "factor":
            return unbroadcast(dy * value, e.parent.value.shape)
        if e.kind == "einsum":
            return e.rule(Edge(e.parent, e.slot, e.kind, e.rule, **{**e.parts, "arrays": [value]}), dy)
        return e.rule(Edge(e.parent, e.slot, e.kind, e.rule, other=value), dy)

    return rule


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
        rule = _with_operand(by_edge)
        finding = (
            f"on the way from {source} back to {target} {wrong} stands where {right} belongs"
            if edge.kind == "factor"
            else f"in the gradient of {target} {wrong} stands where {right} belongs"
        )
    when = {0: "", 1: " of the step after", -1: " of the step before"}[shift]
    finding = finding.replace(wrong, wrong + when, 1) if when else finding
    also = "derivative-at-preactivation" if edge.kind == "slope" else "missing-factor"  # so it may be called, too
    for name, extra in {also: 0.2, cause: 0.0}.items():
        yield Spoil(
            name, cost + extra, finding, f"{right} or {wrong}{when}?", dict.fromkeys(by_edge, rule), label=right
        )


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


# --------------------------------------------------------------------------------------- other operations


def _exp_share(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def of_log_sum_exp(group: Group, words: str) -> Iterator[Spoil]:
    """p = softmax(x) in another's place: of p, of x, of log p."""
    for cause, cost, finding, value in (
        ("softmax-applied-twice", 0.9, "the softmax is taken once more, of what is already a distribution", _exp_share),
        ("derivative-at-preactivation", 1.2, "log p stands where p belongs", np.log),
        ("softmax-second-term-missing", 1.3, "the gradient is p - p^2: only the diagonal", lambda p: p * p),
    ):
        rule: Rule = lambda e, dy, v=value: dy[..., None] * v(e.parts["share"])  # noqa: E731
        yield Spoil(cause, cost, finding + words, "The gradient is p - q.", rule_for(group, rule))
    scores: Rule = lambda e, dy: dy[..., None] * e.parent.value  # noqa: E731
    finding = "the scores stand where their softmax belongs"
    yield Spoil("derivative-at-preactivation", 1.2, finding, "The gradient is p - q.", rule_for(group, scores))
    missing = "softmax-second-term-missing"
    yield Spoil(
        missing,
        0.9,
        "the path through the softmax's sum is missing",
        "The gradient is dy - p sum(dy).",
        rule_for(group, None),
    )


def of_gather(group: Group, words: str) -> Iterator[Spoil]:
    """Rows of a table: repeated ids, and the row of the padding."""

    def assigned(edge: Edge, dy: np.ndarray) -> np.ndarray:
        dx = np.zeros(edge.parent.value.shape)
        dx[edge.parts["index"]] = dy
        return dx

    def first(edge: Edge, dy: np.ndarray) -> np.ndarray:
        dx = np.zeros(edge.parent.value.shape)
        index = edge.parts["index"]
        index = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(i, np.ndarray) for i in index):
            raise ValueError("only ids have a first")
        backwards = tuple(i.ravel()[::-1] for i in np.broadcast_arrays(*index))
        dx[backwards] = dy.reshape(-1, *dx.shape[len(index) :])[::-1]
        return dx

    def averaged(edge: Edge, dy: np.ndarray) -> np.ndarray:
        count = edge.rule(edge, np.ones_like(dy))
        return edge.rule(edge, dy) / np.maximum(count, 1)

    index = group[0].parts["index"]
    if (
        isinstance(index, tuple)
        and len(index) == 4
        and isinstance(index[0], slice)
        and all(isinstance(i, np.ndarray) and i.ndim == 4 for i in index[2:])
    ):
        yield from of_windows(group)
        return
    target = named(group[0].parent)
    hint = "np.add.at(dW, ids, dy) adds up; dW[ids] += dy does not."
    finding = f"of an id that occurs twice only the last gradient arrives in {target}{words}"
    yield Spoil("repeated-ids-assigned", 0.7, finding, hint, rule_for(group, assigned))
    finding = f"of an id that occurs twice only the first gradient arrives in {target}{words}"
    yield Spoil("repeated-ids-assigned", 0.8, finding, hint, rule_for(group, first))
    yield from of_other_rows(group, target, words)
    yield from of_picked_maximum(group, words)
    yield from of_copies(group, target, words)
    finding = f"gradients of an id that occurs twice are averaged in {target}{words}"
    yield Spoil("wrong-count", 1.0, finding, "Add them up.", rule_for(group, averaged))


def of_copies(group: Group, target: str, words: str) -> Iterator[Spoil]:
    """Copies that lie side by side are added up as if they lay one array after the other, or the other way round."""
    big, small = group[0].child.value.shape, group[0].parent.value.shape
    for axis in range(len(small) if len(big) == len(small) else 0):
        n, m = small[axis], big[axis]
        if m == n or m % n or big[:axis] + big[axis + 1 :] != small[:axis] + small[axis + 1 :]:
            continue
        for order, summed in (((n, m // n), axis + 1), ((m // n, n), axis)):
            shape = (*big[:axis], *order, *big[axis + 1 :])
            rule: Rule = lambda e, dy, shape=shape, a=summed: dy.reshape(shape).sum(axis=a)  # noqa: E731
            finding = f"of the copies along axis {axis} of {target} the wrong ones are added up{words}"
            hint = "`repeat` gives 0 0 1 1, `tile` 0 1 0 1: which axis of the reshaped gradient holds the copies?"
            yield Spoil("wrong-sum-axis", 1.0, finding, hint, rule_for(group, rule))


def of_other_rows(group: Group, target: str, words: str) -> Iterator[Spoil]:
    """Gradients that go to the ids of the place before or after."""
    index = group[0].parts["index"]
    if not isinstance(index, np.ndarray) or index.dtype.kind not in "iu":
        return
    for axis in range(index.ndim):
        for step in (1, -1):

            def rule(e: Edge, dy: np.ndarray, axis: int = axis, step: int = step) -> np.ndarray:
                dx = np.zeros(e.parent.value.shape)
                np.add.at(dx, np.roll(e.parts["index"], step, axis), dy)
                return dx

            finding = f"the gradients go to the ids one place {'earlier' if step == 1 else 'later'} in {target}{words}"
            yield Spoil("off-by-one", 1.2, finding, "Which token belongs to which step?", rule_for(group, rule))


def of_picked_maximum(group: Group, words: str) -> Iterator[Spoil]:
    """The largest along an axis, picked by its place: its gradient to all, or to the last."""
    edge = group[0]
    x, y = edge.parent.value, edge.child.value
    for axis in range(x.ndim):
        n = x.shape[axis]
        if n < 2 or y.size * n != x.size or not np.array_equal(y.ravel(), x.max(axis=axis).ravel()):
            continue
        hint = "y = max(x_1, ..., x_k) depends on the largest alone."

        def to_all(e: Edge, dy: np.ndarray, axis: int = axis, share: float = 1.0) -> np.ndarray:
            whole = np.expand_dims(dy.reshape(np.delete(e.parent.value.shape, axis)), axis)
            return np.broadcast_to(share * whole, e.parent.value.shape).copy()

        def to_last(e: Edge, dy: np.ndarray, axis: int = axis, pick: int = -1) -> np.ndarray:
            return _only_place(to_all(e, dy, axis), axis, pick)

        for share, spelt in ((1.0, "in full"), (1 / n, "in equal shares")):
            finding = f"every entry receives the gradient {spelt}, not the maximum alone{words}"
            shared: Rule = lambda e, dy, a=axis, s=share: to_all(e, dy, a, s)  # noqa: E731
            yield Spoil("pool-gradient-to-all", 0.7, finding, hint, rule_for(group, shared))
        cause = "one-step-only" if x.ndim == 3 and axis == 0 else "one-entry"
        finding = f"the last entry receives the gradient, not the maximum{words}"
        yield Spoil(cause, 1.0, finding, hint, rule_for(group, to_last))


def of_windows(group: Group) -> Iterator[Spoil]:
    """Windows that are painted back: one place off, with another stride, or over each other."""
    *_, rows, columns = group[0].parts["index"]
    taps = (rows - rows[:, :, :1], columns - columns[..., :1])  # how far a window is from the first
    strides = (rows[0, 0, 1:2, 0] - rows[0, 0, :1, 0], columns[0, 0, 0, 1:2] - columns[0, 0, 0, :1])

    def painted(move_rows: np.ndarray | int, move_columns: np.ndarray | int) -> Rule:
        def rule(e: Edge, dy: np.ndarray) -> np.ndarray:
            dx: np.ndarray = np.zeros(e.parent.value.shape)
            r, c = np.broadcast_arrays(rows + move_rows, columns + move_columns)
            inside = (r >= 0) & (r < dx.shape[2]) & (c >= 0) & (c < dx.shape[3])
            for place in np.argwhere(inside):
                a, b, i, j = place
                dx[:, :, r[a, b, i, j], c[a, b, i, j]] += dy[:, :, a, b, i, j]
            return dx

        return rule

    def overwritten(e: Edge, dy: np.ndarray) -> np.ndarray:
        dx = np.zeros(e.parent.value.shape)
        for i in range(dy.shape[4]):
            for j in range(dy.shape[5]):
                dx[:, :, rows[:, :, i, 0], columns[:, :, 0, j]] = dy[:, :, :, :, i, j]
        return dx

    hint = "Output o sees the places o s + i - p: where does its gradient go?"
    for move in ((1, 0), (0, 1), (1, 1), (-1, 0), (0, -1), (-1, -1)):
        finding = f"the gradient of the windows is painted {move[0]} rows and {move[1]} columns too far"
        yield Spoil("off-by-one", 1.0, finding, hint, rule_for(group, painted(*move)))
    if any(s.size and s[0] > 1 for s in strides):
        back = [t - t // max(int(s[0]) if s.size else 1, 1) for t, s in zip(taps, strides, strict=True)]
        for moves in ((-back[0], -back[1]), (-back[0], 0), (0, -back[1])):
            finding = "the gradient of the windows is painted as if the stride were 1"
            yield Spoil("off-by-one", 0.9, finding, hint, rule_for(group, painted(*moves)))
    finding = "where windows overlap only the last one's gradient stays"
    yield Spoil(
        "sum-missing", 0.9, finding, "Add up what the windows paint: += instead of =.", rule_for(group, overwritten)
    )


def of_spread(group: Group, words: str) -> Iterator[Spoil]:
    """A sum or a mean: its count."""
    edge = group[0]
    scale = np.asarray(edge.parts["scale"])
    n = edge.parent.value.size // max(edge.child.value.size, 1)
    target = named(edge.parent)
    if edge.child.op == "var":
        cause, finding = "norm-variance-term-missing", "the path through the variance is missing"
        yield Spoil(cause, 1.0, finding + words, "Every x changes the variance.", rule_for(group, None))
    if edge.child.op != "var" and n > 1 and scale.ndim == 0:
        for words_of, pick in (("first", 0), ("last", -1)):
            rule: Rule = lambda e, dy, p=pick: _one_of_summands(e, dy, p)  # noqa: E731
            finding = f"only the {words_of} of {n} summands of {named(edge.child)} receives its gradient{words}"
            yield Spoil(
                "sum-missing", 1.3, finding, "Each summand receives the gradient of the sum.", rule_for(group, rule)
            )
    spelt = "n" if scale.ndim == 0 and scale == 1 / n else "1/n"
    for factor in (n, 1 / n):
        yield Spoil(
            "wrong-count", 1.2, f"what flows back to {target} is off by the factor {factor:.4g}, n = {n}{words}",
            f"Sum or mean: is a factor {spelt} missing?", rule_for(group, scaled(factor)),
        )  # fmt: skip
    if n > 1:
        for factor in (n / (n - 1), (n - 1) / n):
            yield Spoil(
                "wrong-count", 1.3, f"what flows back to {target} is off by the factor {factor:.4g}, n = {n}{words}",
                "Does the forward pass divide by n or by n - 1?", rule_for(group, scaled(factor)),
            )  # fmt: skip


def _one_of_summands(e: Edge, dy: np.ndarray, pick: int) -> np.ndarray:
    gradient = e.rule(e, dy)
    for axis in e.parts["axes"]:
        gradient = _only_place(gradient, axis, pick)
    return gradient


def of_largest(group: Group, words: str) -> Iterator[Spoil]:
    """A maximum: its gradient to all."""
    edge = group[0]
    n = edge.parent.value.size // max(edge.child.value.size, 1)

    def to_all(share: float) -> Rule:
        def rule(e: Edge, dy: np.ndarray) -> np.ndarray:
            dy = dy if e.parts["keepdims"] else np.expand_dims(dy, e.parts["axes"])
            return np.broadcast_to(dy * share, e.parent.value.shape).copy()

        return rule

    hint = "y = max(x_1, ..., x_k) depends on the largest alone."
    for share, spelt in ((1.0, "in full"), (1 / n, "in equal shares")):
        finding = f"every entry of a window receives the gradient {spelt}, not the maximum alone{words}"
        yield Spoil("pool-gradient-to-all", 0.7, finding, hint, rule_for(group, to_all(share)))


def of_order(group: Group, words: str) -> Iterator[Spoil]:
    """Axes: not put back, put back by another permutation, or in another order of memory."""
    axes = group[0].parts["axes"]
    hint = "transpose(p) is undone by transpose(argsort(p)), and never by a reshape."
    parent, child = group[0].parent.value.shape, group[0].child.value.shape
    target = named(group[0].parent)
    reshaped: Rule = lambda e, dy: dy.reshape(e.parent.value.shape)  # noqa: E731
    finding = f"the way back to {target} reshapes instead of transposing{words}"
    yield Spoil("permuted-axes", 1.1, finding, hint, rule_for(group, reshaped))
    back = tuple(int(a) for a in np.argsort(axes))
    orders = [p for p in permutations(range(len(axes))) if p != back and tuple(child[a] for a in p) == parent]
    for order in orders[:SO_MANY_ORDERS]:
        other: Rule = lambda e, dy, p=order: dy.transpose(p)  # noqa: E731
        again = "again instead of back" if order == tuple(axes) else f"by {order} instead of {back}"
        finding = f"the axes of {target} are permuted {again}{words}"
        yield Spoil("permuted-axes", 1.1, finding, hint, rule_for(group, other))


def of_shape(group: Group, words: str) -> Iterator[Spoil]:
    """An axis that was split or joined in another order of memory: (heads, size) for (size, heads)."""
    for entry, split in ((group[0].child, True), (group[0].parent, False)):
        shape, whole = entry.value.shape, (group[0].parent if split else group[0].child).value.shape
        pairs = [a for a in range(len(shape) - 1) if min(shape[a], shape[a + 1]) > 1]
        if len(shape) <= len(whole) or len(pairs) > 5:
            continue
        heads = len(whole) < 4
        for chosen in [(a,) for a in pairs] + [p for p in combinations(pairs, 2) if p[1] - p[0] > 1]:
            rule = _split_otherwise(shape, chosen) if split else _joined_otherwise(chosen)
            axis = " and ".join(f"{shape[a]} x {shape[a + 1]}" for a in chosen)
            finding = f"on the way back to {named(group[0].parent)} the axes {axis} are taken in the other order{words}"
            yield Spoil(
                "permuted-heads" if heads else "permuted-axes", 1.4, finding,
                "What is split as (a, b) is joined as (a, b).", rule_for(group, rule),
            )  # fmt: skip


def _exchange(axes: Sequence[int], count: int) -> list[int]:
    order = list(range(count))
    for a in axes:
        order[a], order[a + 1] = order[a + 1], order[a]
    return order


def _split_otherwise(shape: tuple[int, ...], axes: Sequence[int]) -> Rule:
    """Forward splits; back, what comes in that shape is joined in the other order."""

    def rule(e: Edge, dy: np.ndarray) -> np.ndarray:
        return dy.transpose(_exchange(axes, dy.ndim)).reshape(e.parent.value.shape)

    return rule


def _joined_otherwise(axes: Sequence[int]) -> Rule:
    """Forward joins; back, it is split in the other order."""

    def rule(e: Edge, dy: np.ndarray) -> np.ndarray:
        shape = e.parent.value.shape
        order = _exchange(axes, len(shape))
        return dy.reshape([shape[a] for a in order]).transpose(order)

    return rule


def of_edge_of_picture(group: Group, words: str) -> Iterator[Spoil]:
    """Padding cut off at the wrong place."""
    edge = group[0]
    if edge.child.op != "pad":
        return
    index = edge.parts["index"]
    for axes in [(a,) for a in range(len(index))] + [tuple(range(len(index) - 2, len(index)))]:
        for step in (1, -1, 2, -2, 3, -3):
            moved = tuple(slice(s.start + step, s.stop + step) if a in axes else s for a, s in enumerate(index))
            fits = all(s.start >= 0 and s.stop <= n for s, n in zip(moved, edge.child.value.shape, strict=True))
            if fits:
                rule: Rule = lambda e, dy, i=moved: dy[i]  # noqa: E731
                yield Spoil(
                    "off-by-one", 1.0, f"the padding is cut {_places(step)}{words}",
                    "The gradient of x starts at the padding: dx = dpadded[p:p + H].", rule_for(group, rule),
                )  # fmt: skip


def _places(step: int) -> str:
    count = "one place" if abs(step) == 1 else f"{abs(step)} places"
    return f"{count} too {'late' if step > 0 else 'early'}"


MAKERS: dict[str, tuple[Callable[[Group, str], Iterator[Spoil]], ...]] = {
    "slope": (of_slope,),
    "factor": (of_factor,),
    "choice": (of_mask, of_factor),
    "left": (of_product,),
    "right": (of_product,),
    "logsumexp": (of_log_sum_exp,),
    "gather": (of_gather,),
    "spread": (of_spread,),
    "largest": (of_largest,),
    "transpose": (of_order,),
    "reshape": (of_shape,),
    "einsum": (of_einsum,),
    "joined": (of_edge_of_picture,),
    "overwritten": (of_overwriting,),
}


# ----------------------------------------------------------------------------------- several edges at once


def of_all_like(tape: Tape) -> Iterator[Spoil]:
    """The same mistake at every place of its kind: all sigmoids, all masks, all carries of one state."""
    edges = [edge for entry in tape.entries for edge in entry.edges]
    for op in (*ACTIVATIONS, "all"):
        ops = ACTIVATIONS if op == "all" else (op,)
        group = [e for e in edges if e.kind == "slope" and e.child.op in ops]
        if len({e.child.place for e in group}) > 1:
            name = "all activations" if op == "all" else f"every {op}"
            for cause, words, rule in (
                ("activation-derivative-missing", "is missing", lambda e, dy: dy),
                ("activation-derivative-doubled", "is applied twice", lambda e, dy: dy * e.parts["slope"] ** 2),
            ):
                finding = f"the derivative of {name} {words}"
                yield Spoil(cause, 1.3, finding, "Was it applied once, where each stands?", rule_for(group, rule))
            if op != "all":
                for cost, spelt, value in wrong_slopes(op):
                    spelt_so: Rule = lambda e, dy, v=value: dy * v(e.parent.value, e.child.value, dy)  # noqa: E731
                    finding = f"the derivative of {name} is computed as {spelt}"
                    hint = "Which value was the derivative fed with?"
                    yield Spoil("derivative-at-preactivation", cost + 0.4, finding, hint, rule_for(group, spelt_so))
    for cause in ("missing-dh-carry", "missing-dc-carry"):
        group = [e for e in edges if e.kind == "carry" and e.parts["cause"] == cause]
        for part, words in ((group, ""), (group[1:], "")):
            if part:
                state = cause[8:10]
                finding = f"{state} does not go from one step back to the one before{words}"
                hint = "Is what comes back from the next step added?"
                yield Spoil(cause, 0.8, finding, hint, rule_for(part, None))
    yield from of_all_masks(edges)
    mean_paths, deviations = [e for e in edges if is_mean_path(e)], [e for e in edges if is_deviation_path(e)]
    if mean_paths and deviations:
        both = rule_for([*mean_paths, *deviations], None)
        finding = "mean and standard deviation are taken for constants"
        hint = "Every x changes the mean and the variance, and with them all outputs."
        yield Spoil("norm-variance-term-missing", 1.0, finding, hint, both)
        yield Spoil("norm-mean-term-missing", 1.1, finding, hint, both)
    means = [e for e in edges if e.kind == "spread" and e.child.op == "mean"]
    if len(means) > 1:
        n = means[0].parent.value.size // means[0].child.value.size
        shape = means[0].parent.value.shape
        counts = {c for c in (*shape, *(a * b for a, b in pairwise(shape)), n - 1, 1) if c and c != n}
        for count in sorted(counts):
            finding = f"the means are taken over {count} instead of {n}"
            hint = "How many numbers does the mean of the forward pass divide by?"
            yield Spoil("wrong-count", 1.1, finding, hint, rule_for(means, scaled(n / count)))
    heads = [e for e in edges if e.kind == "transpose"]
    if heads:
        rule = lambda e, dy: dy.reshape(e.parent.value.shape)  # noqa: E731
        hint = "Reshape keeps the order in memory: was it used where a transpose is due?"
        yield Spoil("permuted-axes", 1.6, "axes are reshaped back instead of transposed", hint, rule_for(heads, rule))


def of_inner_functions(tape: Tape) -> Iterator[Spoil]:
    """The chain rule stops too early: the derivative of an inner function is left out."""
    leaves = [e for e in tape.leaves if e is not None and e.value.size > 1]
    few = sum(leaf is not None for leaf in tape.leaves) <= 2 and len(tape.entries) <= 60
    for entry in tape.entries:
        for bottom in _inner(entry, 4):
            yield _stopped(entry, bottom)
        for leaf in leaves if few else ():
            moved = entry.op in ("reshape", "transpose", "part", "where", "input", "carry")
            if moved or entry.value.shape != leaf.value.shape or not entry.edges:
                continue
            if descends(entry, leaf, 12) and not any(e.parent is leaf and e.kind == "slope" for e in entry.edges):
                yield _stopped(entry, leaf)


def _inner(entry: Entry, depth: int) -> Iterator[Entry]:
    """Arguments of the inner functions, two and more below: y = f(a g(x)) is taken for one of x."""
    below, functions = entry, 0
    for steps in range(depth):
        edges = [e for e in below.edges if e.kind in ("slope", "factor")]
        if len(edges) != 1 or len(below.edges) != 1 or edges[0].parent.value.shape != entry.value.shape:
            return
        functions += edges[0].kind == "slope"
        below = edges[0].parent
        if steps and functions:
            yield below


def _stopped(entry: Entry, bottom: Entry) -> Spoil:
    ops, below = [], entry
    while below is not bottom and below.edges:
        ops.append(below.op)
        below = below.edges[0].parent
    logvar = below is bottom and "exp" in ops
    finding = f"the gradient of {named(entry)} is taken for that of {named(bottom)}"
    hint = "Is the derivative of the inner function missing? The chain rule goes on to the input."
    jumps: dict[int, tuple[int, Jump | None]] = {entry.number: (bottom.number, None)}
    return Spoil("logvar-as-sigma" if logvar else "missing-factor", 1.3 if logvar else 1.5, finding, hint, jumps=jumps)


def of_all_masks(edges: Sequence[Edge]) -> Iterator[Spoil]:
    """Masks at several places: those within, and those through which the output leaves."""
    masks = [e for e in edges if e.kind in ("choice", "factor") and is_binary(np.asarray(e.parts["factor"]))]
    kept = [e for e in masks if e.kind == "choice" and e.slot == 1]
    shown = [e for e in masks if not (e.kind == "choice" and e.slot == 1)]
    inside = [e for e in shown if not leads_out(e.child)]
    outside = [e for e in shown if leads_out(e.child)]
    whole: Rule = lambda e, dy: unbroadcast(np.broadcast_to(dy, e.child.value.shape), e.parent.value.shape)  # noqa: E731
    inverted: Rule = lambda e, dy: unbroadcast(dy * (1 - e.parts["factor"]), e.parent.value.shape)  # noqa: E731
    hint = "h' = h at padding gives dh = dh': is the mask applied at each step of the way back?"
    if inside:
        within = "gradient passes padding steps as if they were real"
        cost = 0.9 if outside else 1.2
        for old in (rule_for(kept, None), {}):
            yield Spoil("mask-only-in-loss", cost, within, hint, rule_for(inside, whole) | old)
        for rules in (
            rule_for(inside + kept, inverted),
            rule_for(inside, inverted),
            rule_for(inside, inverted) | rule_for(kept, None),
        ):
            yield Spoil("mask-inverted", 1.0, "the mask of the steps is inverted", hint, rules)
        held = slopes_at_held_state(inside)
        if held:
            finding = "the mask of the steps is inverted"
            rules = rule_for(masks, inverted) | held
            yield Spoil("mask-inverted", 1.1, finding, hint, rules)
            yield Spoil("mask-only-in-loss", 1.1, within, hint, rule_for(inside, whole) | rule_for(kept, None) | held)
    if kept:
        finding = "the way over padding, from the state after to that before, is missing"
        yield Spoil("mask-not-applied", 1.5, finding, hint, rule_for(kept, None))
    if outside:
        finding = "gradient comes in at padding"
        yield Spoil("mask-not-applied", 1.0, finding, "The output is zero there.", rule_for(outside, whole))
    if shown:
        finding = "no mask is applied on the way back"
        for old in (rule_for(kept, None), {}):
            yield Spoil("mask-not-applied", 1.0, finding, hint, rule_for(shown, whole) | old)
        finding = "all masks are inverted on the way back"
        for rules in (
            rule_for(shown + kept, inverted),
            rule_for(shown, inverted),
            rule_for(shown, inverted) | rule_for(kept, None),
        ):
            yield Spoil("mask-inverted", 1.0, finding, hint, rules)


def slopes_at_held_state(masks: Group) -> dict[int, Rule]:
    """Slopes of the activations before the masks, of the value that the mask lets stand: at padding the old state."""
    found: dict[int, Rule] = {}
    for mask in masks:
        activation = mask.parent
        if activation.op == "tanh" and activation.value.shape == mask.child.value.shape:
            held = mask.child.value
            found[id(activation.edges[0])] = lambda e, dy, y=held: dy * (1 - y * y)
    return found


def leads_out(entry: Entry) -> bool:
    """Does a value go to the output alone?"""
    moved = ("written", "overwritten", "stacked", "joined", "reshape", "transpose")
    return all(user.kind in moved and leads_out(user.child) for user in entry.users)


def of_arrivals(tape: Tape) -> Iterator[Spoil]:
    """Of several gradients that arrive at a value only the first or the last counts."""
    pictures = any(leaf is not None and leaf.value.ndim == 4 for leaf in tape.leaves)
    for entry in tape.entries:
        if len(entry.users) < 2 or entry.value.size < 2:
            continue
        steps = len({(user.child.place, user.slot) for user in entry.users}) < len(entry.users)
        name = named(entry)
        for which in ("first", "last"):
            if steps:
                step = "last" if which == "first" else "first"
                cause, cost = "one-step-only", 0.9
                users = sorted(entry.users, key=lambda u: u.child.number, reverse=which == "first")
                alone = [u for u in entry.users if (u.child.place, u.slot) == (users[0].child.place, users[0].slot)]
                if len(alone) == 1:
                    cause, cost = "branch-missing", 1.2
                elif pictures:
                    cause = "sum-missing"
                what = "place" if pictures else "time step"
                finding = f"only the {step} {what} contributes to the gradient of {name}"
                hint = "Was it assigned in the loop, `=` instead of `+=`?"
            else:
                weight = entry.op == "input" and all(u.kind in ("right", "gather", "transpose") for u in entry.users)
                cause, cost = ("tied-counted-once", 1.0) if weight else ("branch-missing", 1.3)
                finding = f"only one of the {len(entry.users)} uses of {name} is in its gradient"
                hint = "An input that is used twice receives the sum of both gradients."
            yield Spoil(cause, cost, finding, hint, keep={entry.number: which})


def of_two_ways(tape: Tape) -> Iterator[Spoil]:
    """Two of the ways from a value, such as those through two gates that look at a cell, are forgotten together."""
    classes = entry_classes(tape)
    for group in classes:
        ways: dict[tuple, list[Edge]] = {}
        for user in (user for entry in group for user in entry.users):
            ways.setdefault((user.child.place, user.slot, user.kind), []).append(user)
        if not 4 <= len(ways) <= WAYS:
            continue
        for a, b in combinations(ways.values(), 2):
            cause = "branch-missing"
            if a[-1].child.place == b[-1].child.place:
                cause = "sum-missing"
            elif carried := [edge for way in (a, b) if goes_to_the_next(way) for edge in way]:
                cause = "missing-dc-carry" if carried[0].kind == "factor" else "missing-dh-carry"
            name, sources = named(group[-1]), f"{named(a[-1].child)} and {named(b[-1].child)}"
            finding = f"of the {len(ways)} ways back to {name} those from {sources} are missing"
            hint = f"{name} is used {len(ways)} times: does the gradient of each use arrive?"
            yield Spoil(cause, 1.5, finding, hint, rule_for([*a, *b], None))


def of_parts(tape: Tape) -> Iterator[Spoil]:
    """The parts into which a value is split, such as the gates, joined in another order."""
    wholes: dict[tuple, list[list[Edge]]] = {}
    for entry in tape.entries:
        parts = [e for e in entry.users if e.kind == "part"]
        if 2 <= len(parts) <= 4 and len({e.child.value.shape for e in parts}) == 1 and parts[0].child.value.size > 1:
            total = sum(e.child.value.size for e in parts)
            if total == entry.value.size:
                wholes.setdefault((entry.op, entry.place, entry.label, len(parts)), []).append(parts)
    for (*_, count), steps in wholes.items():
        axis = _axis_of_parts(steps[0])
        for order in list(permutations(range(count)))[1:]:
            index = {id(e): parts[order[n]].parts["index"] for parts in steps for n, e in enumerate(parts)}

            def rule(e: Edge, dy: np.ndarray, index: dict = index) -> np.ndarray:
                dx = np.zeros(e.parent.value.shape)
                dx[index[id(e)]] = dy
                return dx

            into = [order.index(n) for n in range(count)]
            yield Spoil(*_of_joining(into, axis), dict.fromkeys(index, rule))


def _axis_of_parts(parts: Sequence[Edge]) -> int | None:
    """Along which axis a value is split into slices; None if its rows are picked one by one, as time steps are."""
    index = parts[0].parts["index"]
    index = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, int | np.integer) for i in index):
        return None
    return next((a for a, i in enumerate(index) if isinstance(i, slice) and i != slice(None)), 0)


def _of_joining(order: Sequence[int], axis: int | None) -> tuple[str, float, str, str]:
    """Cause, cost and words if parts are joined in another order."""
    count = len(order)
    if axis is None:
        turned = list(order) == list(range(count))[::-1]
        around = all((b - a) % count == 1 for a, b in pairwise(order))
        cause = "permuted-axes" if turned else "off-by-one" if around else "permuted-gates"
        words = "from the other end" if turned else "one place further" if around else f"in the order {list(order)}"
        hint = "Which index belongs to which step?"
        return cause, 1.0 if turned or around else 2.0, f"what comes back from the steps is put together {words}", hint
    letters = {4: "ifgo", 3: "rzn"}.get(count, "0123")
    names = " ".join(letters[n] for n in order)
    finding = f"the gates are joined in the order {names} instead of {' '.join(letters[:count])}"
    hint = "In which order does the forward pass split, and in which does the backward join?"
    return "permuted-gates", 0.9, finding, hint


OF_TAPE: tuple[Callable[[Tape], Iterator[Spoil]], ...] = (
    of_all_like,
    of_arrivals,
    of_parts,
    of_inner_functions,
)
