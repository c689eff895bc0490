"""Gradients that come back to the wrong places: of rows, windows, copies, means and maxima."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, named, only_place, rule_for, scaled
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Rule


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
            return only_place(to_all(e, dy, axis), axis, pick)

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
        gradient = only_place(gradient, axis, pick)
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
