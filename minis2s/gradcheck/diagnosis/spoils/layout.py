"""Axes, shapes and borders that are undone otherwise than they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, named, rule_for
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Rule

SO_MANY_ORDERS = 24
"""Permutations of axes that are tried."""


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
    if tuple(axes) != back:
        blocks: Rule = lambda e, dy: dy.transpose(axes).reshape(parent)  # noqa: E731
        finding = f"the axes of {target} are permuted again instead of back{words}"
        yield Spoil("permuted-axes", 1.2, finding, hint, rule_for(group, blocks))
    if len(axes) == 2 and parent[0] == parent[1]:
        yield Spoil("transposed", 1.2, f"{target} is not turned back{words}", hint, rule_for(group, lambda e, dy: dy))
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
