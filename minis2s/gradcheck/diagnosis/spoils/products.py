"""Wrong factors, masks, and sums that undo broadcasting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import (
    Group,
    Spoil,
    is_binary,
    is_two_valued,
    named,
    rule_for,
    scaled,
    with_operand,
)
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Jump, Rule
from minis2s.gradcheck.diagnosis.tape.rules import unbroadcast


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
        yield from of_sign_within(group, words)
        if len(edge.child.edges) == 1:
            yield from of_counts(group, words)
        yield Spoil(
            "missing-factor", 2.2 + extra, f"the factor {other} is applied twice on the way to {target}{words}",
            "y = a b gives da = dy b: once.",
            rule_for(group, lambda e, dy: unbroadcast(dy * e.parts["factor"] ** 2, e.parent.value.shape)),
        )  # fmt: skip
    if edge.child.value.shape != shape and edge.child.value.size > edge.parent.value.size > 0:
        yield from of_sum(group, words)


def of_sign_within(group: Group, words: str) -> Iterator[Spoil]:
    """1 + t in the place of the factor 1 - t, or a - b in that of a + b."""
    values, factor = {}, group[0].parent
    for edge in group:
        others = [e.parent for e in edge.child.edges if e is not edge]
        if edge.child.op != "multiply" or not others or others[0].op not in ("add", "subtract"):
            return
        factor = others[0]
        last = factor.edges[-1] if factor.edges else edge
        if last.slot != 1:
            return
        values[id(edge)] = factor.value - 2 * last.parent.value * last.parts["factor"]
    finding = f"the sign within the factor {named(factor)} is wrong on the way to {named(group[0].parent)}{words}"
    yield Spoil("wrong-sign", 1.4, finding, "Was - written for +?", dict.fromkeys(values, with_operand(values)))


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
    limit = group[0].child.op in ("maximum", "minimum", "where")  # so it may be called, too
    yield Spoil(
        "mask-not-applied", 1.0 + extra, f"gradient flows back to {target} where the mask excludes{words}",
        "What the forward pass hides must receive no gradient: was the mask applied on the way back?",
        rule_for(group, lambda e, dy: unbroadcast(np.broadcast_to(dy, e.child.value.shape), e.parent.value.shape)),
        also=(("activation-derivative-missing", 1.2 + extra),) if limit else (),
    )  # fmt: skip
    for k, triangle in _other_triangles(np.asarray(group[0].parts["factor"])):
        yield Spoil(
            "off-by-one", 1.1 + extra, f"the mask's triangle on the way back to {target} begins at the diagonal {k}",
            "np.triu(x, 1) has no diagonal, np.triu(x) has: which does the forward pass hide?",
            rule_for(group, lambda e, dy, kept=triangle: unbroadcast(dy * kept, e.parent.value.shape)),
        )  # fmt: skip
    yield Spoil(
        "derivative-at-preactivation", 1.1 + extra, f"the mask on the way back to {target} is (dy > 0){words}",
        "What was compared with 0 in the forward pass?",
        rule_for(group, lambda e, dy: unbroadcast(dy * (dy > 0), e.parent.value.shape)),
    )  # fmt: skip
    scales = ([u for u in e.child.users if u.kind == "factor" and np.ndim(u.parts["factor"]) == 0] for e in group)
    for users in zip(*scales, strict=False):
        if all(user.child.value.shape == target_shape(group) for user in users):
            pairs = zip(users, group, strict=True)
            jumps: dict[int, tuple[int, Jump | None]] = {u.child.number: (e.parent.number, None) for u, e in pairs}
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
    for k, triangle in _other_triangles(index):
        finding = f"the triangle of the mask on the way back to {target} begins at the diagonal {k}{words}"
        hint = "np.triu(x, 1) has no diagonal, np.triu(x) has: which does the forward pass hide?"
        shifted: Rule = lambda e, dy, hidden=triangle: np.where(hidden, 0, dy)  # noqa: E731
        yield Spoil("off-by-one", 1.1 + extra, finding, hint, rule_for(group, shifted))


def _other_triangles(mask: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Where a mask is a triangle, those that are one diagonal larger and smaller."""
    mask = np.asarray(mask) != 0
    if mask.ndim < 2 or min(mask.shape[-2:]) < 3:
        return
    for make in (np.triu, np.tril):
        for k in range(-2, 3):
            if np.array_equal(mask, make(np.ones(mask.shape), k) != 0):
                yield from ((n, make(np.ones(mask.shape), n) != 0) for n in (k - 1, k + 1))


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
    long = [a for a, n in enumerate(small) if n > 1]
    own = long[0] + len(large) - len(small) if len(long) == 1 else -1
    for axis, n in enumerate(large):
        if len(long) == 1 and n == small[long[0]] and axis != own:
            others = tuple(a for a in range(len(large)) if a != axis)
            yield Spoil(
                "wrong-sum-axis", 1.0, f"the gradient of {target} is summed over axes {others}{words}",
                "Sum over the axis that the forward pass repeats it along.",
                rule_for(group, lambda e, dy, o=others: (dy * e.parts["factor"]).sum(axis=o).reshape(small)),
            )  # fmt: skip


def _one_term(gradient: np.ndarray, shape: tuple[int, ...], pick: int) -> np.ndarray:
    while gradient.ndim > len(shape):
        gradient = gradient[pick]
    for axis, n in enumerate(shape):
        if n == 1 and gradient.shape[axis] > 1:
            gradient = np.take(gradient, [pick], axis)
    return gradient
