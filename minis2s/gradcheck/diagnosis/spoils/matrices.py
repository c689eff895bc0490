"""Wrong products of matrices and tensors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, named, only_place, rule_for, scaled, with_operand
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Rule
from minis2s.gradcheck.diagnosis.tape.rules import unbroadcast


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
    if other.ndim == 2 and edge.kind == "right" and edge.parent.op == "concatenate":
        for part in edge.parent.edges:
            where = part.parts["index"]
            if len(other) == len(np.empty(shape)[where]):
                yield Spoil(
                    "transposed", 1.1 + extra,
                    f"the part of the matrix that leads back to {named(part.parent)} is transposed{words}",
                    "y = W x gives dx = W^T dy: is one transpose too many or too few?",
                    rule_for(group, lambda e, dy, w=where: _part_not_turned(e, dy, w)),
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


def _part_not_turned(edge: Edge, dy: np.ndarray, where: tuple) -> np.ndarray:
    """Of W [a; b] the gradient, where the square part of W that meets a is not transposed."""
    dx = edge.rule(edge, dy)
    dx[where] = edge.parts["other"].T[where].T @ dy
    return dx


def _one_row(other: np.ndarray, dy: np.ndarray, pick: int) -> np.ndarray:
    a, b = other[pick], dy[pick]
    return np.outer(a, b) if a.ndim == 1 else a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])


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
                "Which letter is which axis?", dict.fromkeys(by_edge, with_operand(by_edge)),
            )  # fmt: skip
    own, result, letters = edge.parts["own"], edge.parts["result"], edge.parts["others"][0]
    for axis, letter in enumerate(letters):
        if letter in own or letter not in result or other.shape[axis] < 2:
            continue
        for spelt, pick in (("first", 0), ("last", -1)):
            by_edge = {id(e): only_place(e.parts["arrays"][0], axis, pick) for e in group}
            yield Spoil(
                "one-step-only" if axis == 0 and len(result) == 3 else "sum-missing", 1.2 + extra,
                f"only the {spelt} of {other.shape[axis]} terms is in the gradient of {target}{words}",
                "Was it assigned in a loop, `=` instead of `+=`?", dict.fromkeys(by_edge, with_operand(by_edge)),
            )  # fmt: skip
