"""Hypotheses that look at one wrong gradient and the right one, and ask for nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, permutations

import numpy as np

from minis2s.gradcheck.diagnosis.candidate import (
    EXACT,
    Candidate,
    gate_names,
    gates_of,
    rows_in_words,
    same,
)
from minis2s.gradcheck.diagnosis.evidence import Evidence

Hypothesis = Callable[[Evidence, int], Iterator[Candidate]]

SIMPLE = {
    2.0: "2",
    0.5: "1/2",
    4.0: "4",
    0.25: "1/4",
    3.0: "3",
    1 / 3: "1/3",
    1.5: "3/2",
    10.0: "10",
    0.1: "1/10",
    8.0: "8",
    0.125: "1/8",
    6.0: "6",
    np.log(2): "log 2",
    1 / np.log(2): "1/log 2",
    np.sqrt(2): "sqrt(2)",
    np.sqrt(0.5): "1/sqrt(2)",
    np.pi: "pi",
}


def candidate(
    evidence: Evidence,
    k: int,
    cause: str,
    predicted: np.ndarray,
    cost: float,
    where: str,
    finding: str,
    hint: str,
) -> Iterator[Candidate]:
    """The candidate of a prediction, if it explains anything worth telling."""
    left = evidence.residual(k, predicted)
    if left < 0.3:
        yield Candidate(cause, {k: left}, cost, where, finding, hint)


def numbers(evidence: Evidence) -> Iterator[Candidate]:
    """All of them, over all wrong gradients."""
    for k in evidence.wrong:
        for hypothesis in HYPOTHESES:
            yield from hypothesis(evidence, k)


def zero(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """All zeros."""
    if not np.any(evidence.yours[k]):
        yield from candidate(
            evidence, k, "zero-gradient", np.zeros_like(evidence.yours[k]), 0.5, "everywhere",
            "all entries are zero", "Was the result written into what is returned?",
        )  # fmt: skip


def sign(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """The right size, the wrong sign."""
    yield from candidate(
        evidence, k, "wrong-sign", -evidence.right[k], 0.5, "everywhere",
        "all entries have the right size and the wrong sign", "Which minus was lost on the way back?",
    )  # fmt: skip


def factor(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """One factor for all entries: a simple number, or one made of sizes."""
    ratio = _common_ratio(evidence.yours[k], evidence.right[k])
    if ratio is None or abs(ratio + 1) < 1e-6 or ratio == 0:
        return
    yield from _factors(evidence, k, ratio, np.ones(np.shape(evidence.yours[k]), bool), "everywhere")


def _factors(evidence: Evidence, k: int, ratio: float, rows: np.ndarray, where: str) -> Iterator[Candidate]:
    predicted = np.where(rows, ratio * evidence.right[k], evidence.right[k])
    whom = "all entries are" if where == "everywhere" else f"{where} {_are(where)}"
    extra = 0.0 if where == "everywhere" else 1.0
    minus, size = ("-" if ratio < 0 else ""), abs(ratio)
    simple = next((words for value, words in SIMPLE.items() if abs(size / value - 1) < 1e-6), None)
    counted = [words for value, words in size_factors(evidence) if abs(size / value - 1) < 1e-6]
    if counted:
        finding = f"{whom} off by the factor {minus}{counted[0]} = {ratio:.6g}"
        hint = "What does the forward pass divide by, and what does the backward?"
        cost = 1.5 if simple in ("2", "1/2") else 0.9
        yield from candidate(evidence, k, "wrong-count", predicted, cost + extra, where, finding, hint)
    if simple or (not counted and np.sum(rows) > 1):  # of a single entry any number is some factor
        finding = f"{whom} off by the factor {minus}{simple or f'{size:.6g}'}"
        hint = "Which constant of the derivative is missing, or too many?"
        cost = 1.0 if simple in ("2", "1/2") else (1.3 if simple else 2.5)
        yield from candidate(evidence, k, "constant-factor", predicted, cost + extra, where, finding, hint)


def size_factors(evidence: Evidence) -> Iterator[tuple[float, str]]:
    """Factors made of sizes, and how they are written; the simple ones first."""
    counts: dict[int, str] = {}
    for x in (*evidence.inputs, *evidence.outputs):
        if isinstance(x, np.ndarray) and x.dtype == bool and 1 < x.sum() < x.size:
            counts.setdefault(int(x.sum()), f"{int(x.sum())} (the True entries of the mask)")
    arrays = [
        (name[1:], x) for name, x in zip(evidence.names, evidence.inputs, strict=False) if isinstance(x, np.ndarray)
    ]
    arrays += [("the output", y) for y in evidence.outputs if isinstance(y, np.ndarray)]
    for name, x in arrays:
        for axis, n in enumerate(x.shape):
            counts.setdefault(n, f"{n} (axis {axis} of {name})")
    for name, x in arrays:
        for axis in range(x.ndim - 1):
            n = x.shape[axis] * x.shape[axis + 1]
            counts.setdefault(n, f"{n} (axes {axis} and {axis + 1} of {name})")
        counts.setdefault(x.size, f"{x.size} (the size of {name})")
        if x.ndim > 2:
            counts.setdefault(x.size // x.shape[1], f"{x.size // x.shape[1]} (the size of a channel of {name})")
    counts = {n: words for n, words in counts.items() if n > 1}
    for n, words in counts.items():
        yield n, words
        yield 1 / n, f"1/{words}"
    for n, words in counts.items():
        yield n / (n - 1), f"n/(n - 1), n = {words}"
        yield (n - 1) / n, f"(n - 1)/n, n = {words}"
        yield n**0.5, f"sqrt(n), n = {words}"
        yield n**-0.5, f"1/sqrt(n), n = {words}"
        yield n**2, f"n^2, n = {words}"
        yield n**-2, f"1/n^2, n = {words}"
    for n, words in counts.items():
        for m, others in counts.items():
            if n != m:
                yield n / m, f"n/m, n = {words}, m = {others}"
        yield 2 * n, f"2 n, n = {words}"
        yield 2 / n, f"2/n, n = {words}"
        yield n / 2, f"n/2, n = {words}"


def _common_ratio(yours: np.ndarray, right: np.ndarray) -> float | None:
    """The number that all of `right` must be multiplied by to give `yours`, if there is one."""
    measured = np.isfinite(right) & np.isfinite(yours)
    y, r = yours[measured], right[measured]
    square = float(r @ r)
    if square == 0:
        return None
    ratio = float(y @ r) / square
    return ratio if np.linalg.norm(y - ratio * r) <= EXACT * np.linalg.norm(y - r) else None


def transposed(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """A square matrix, or a stack of them, transposed."""
    right = evidence.right[k]
    if right.ndim >= 2 and right.shape[-1] == right.shape[-2] > 1:
        yield from candidate(
            evidence, k, "transposed", right.swapaxes(-1, -2), 1.0, "everywhere",
            "the transpose of the right gradient was returned",
            "y = x W^T gives dW = dy^T x and dx = dy W: which side does W stand on?",
        )  # fmt: skip


def permuted_axes(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """Axes in another order, or a reshape where a transpose is due."""
    right = evidence.right[k]
    if not 2 <= right.ndim <= 5:
        return
    for order in list(permutations(range(right.ndim)))[1:]:
        moved = right.transpose(order)
        mere = order == (*range(right.ndim - 2), right.ndim - 1, right.ndim - 2)
        if moved.shape == right.shape and not mere:
            yield from candidate(
                evidence, k, "permuted-axes", moved, 1.2, "everywhere",
                f"the axes stand in the order {order}", "Which order did the forward pass put them in?",
            )  # fmt: skip
        yield from candidate(
            evidence, k, "permuted-axes", moved.reshape(right.shape), 1.4, "everywhere",
            f"the numbers are right but stand in the order of transpose{order}, reshaped",
            "Reshape keeps the order in memory: was it used where a transpose is due?",
        )  # fmt: skip
        unmoved = right.reshape(moved.shape).transpose(np.argsort(order))
        yield from candidate(
            evidence, k, "permuted-axes", unmoved, 1.5, "everywhere",
            f"the numbers are right but were reshaped to {moved.shape} and then transposed",
            "Reshape keeps the order in memory: was it used where a transpose is due?",
        )  # fmt: skip


def reversed_axes(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """The last two axes, or the first, run backwards."""
    right = evidence.right[k]
    if right.ndim == 4 and right.shape[2] * right.shape[3] > 1:
        flips: list[tuple[int, ...]] = [(2, 3), (2,), (3,)]
    elif right.ndim == 3:
        flips = [(2,)]
    elif right.ndim == 2 and right.size > 2:
        flips = [(0, 1)]
    else:
        flips = []
    for axes in flips:
        yield from candidate(
            evidence, k, "kernel-not-flipped", np.flip(right, axes), 1.0, "everywhere",
            f"the numbers are right but run backwards along axis {' and '.join(map(str, axes))}",
            "Was the kernel turned by 180 degrees once too often, or not at all?",
        )  # fmt: skip
    if right.ndim == 3 and len(right) > 1:
        yield from candidate(
            evidence, k, "permuted-axes", right[::-1], 1.6, "everywhere",
            "the numbers are right but run backwards along axis 0",
            "The loop backwards runs from the last step to the first: were the steps joined in that order?",
        )  # fmt: skip


def permuted_blocks(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """Blocks along the first or last axis in another order: gates, or heads."""
    right = evidence.right[k]
    gates = gates_of(evidence, k)
    for axis in {0, right.ndim - 1}:
        size = right.shape[axis] if right.ndim else 0
        for count in (n for n in range(2, 9) if size % n == 0 and size):
            yield from _reordered(evidence, k, axis, count, gates)
            if 1 < count < size:
                yield from _interleaved(evidence, k, axis, count)


def _reordered(evidence: Evidence, k: int, axis: int, count: int, gates: int) -> Iterator[Candidate]:
    right, yours = evidence.right[k], evidence.yours[k]
    blocks, mine = np.split(right, count, axis), np.split(yours, count, axis)
    scale = np.nanmax(np.abs(right), initial=1e-4)
    order = []
    for block in mine:
        distance = [np.nanmax(np.abs(block - other), initial=0) for other in blocks]
        order.append(int(np.argmin(distance)))
        if distance[order[-1]] > 1e-6 * scale:
            return
    if sorted(order) != list(range(count)) or order == list(range(count)):
        return
    if axis == 0 and right.ndim > 2:
        yield from _steps_moved(evidence, k, order, np.concatenate([blocks[p] for p in order], axis))
        return
    is_gates = axis == 0 and right.ndim <= 2 and count in (2, 3, 4)
    letters = gate_names(gates, evidence.inputs) if count == gates else ""
    named = " ".join(letters[p] for p in order) if letters else " ".join(str(p) for p in order)
    wanted = " ".join(letters) if letters else " ".join(str(p) for p in range(count))
    what = "gates" if is_gates else "heads"
    predicted = np.concatenate([blocks[p] for p in order], axis)
    cost = 0.8 if letters or not is_gates else 1.2
    yield from candidate(
        evidence, k, f"permuted-{what}", predicted, cost + 0.01 * count, f"axis {axis} in {count} blocks",
        f"the blocks along axis {axis} are right but stand in the order {named} instead of {wanted}",
        "In which order does the forward pass split, and in which does the backward join?",
    )  # fmt: skip


def _steps_moved(evidence: Evidence, k: int, order: list[int], predicted: np.ndarray) -> Iterator[Candidate]:
    """Steps, or items, put together otherwise than they were taken apart."""
    count = len(order)
    turned = order == list(range(count))[::-1]
    around = all((b - a) % count == 1 for a, b in pairwise(order))
    words = "from the other end" if turned else "shifted around" if around else f"in the order {order}"
    yield from candidate(
        evidence, k, "off-by-one" if around and not turned else "permuted-axes", predicted, 0.8 if count < 9 else 1.0,
        "axis 0", f"the numbers along axis 0 are right but stand {words}", "Which index belongs to which step?",
    )  # fmt: skip


def _interleaved(evidence: Evidence, k: int, axis: int, count: int) -> Iterator[Candidate]:
    right = evidence.right[k]
    moved = np.moveaxis(right, axis, 0)
    rest = moved.shape[1:]
    swapped = moved.reshape(count, -1, *rest).swapaxes(0, 1).reshape(moved.shape)
    gates = axis == 0 and right.ndim <= 2 and gates_of(evidence, k) == count
    yield from candidate(
        evidence, k, "permuted-gates" if gates else "permuted-heads", np.moveaxis(swapped, 0, axis), 1.3,
        f"axis {axis} in {count} blocks",
        f"the {count} blocks along axis {axis} are interleaved",
        "Split as (heads, size of a head), join as (heads, size of a head): was one of them written the other way?",
    )  # fmt: skip


def swapped(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """The right gradient of another input."""
    for j, other in enumerate(evidence.right):
        if j == k or other is None or other.shape != evidence.yours[k].shape or same(other, evidence.right[k]):
            continue
        mutual = evidence.yours[j] is not None and same(evidence.yours[j], evidence.right[k])
        yield from candidate(
            evidence, k, "swapped-gradients", other, 0.6 if mutual else 1.7, "everywhere",
            f"{evidence.names[k]} is the gradient of {evidence.names[j][1:]}",
            "One gradient an input, in the order of the inputs: was the order of what is returned changed?",
        )  # fmt: skip


def shifted(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """One place further along an axis, around the edge or over it."""
    right = evidence.right[k]
    for axis in range(right.ndim):
        if right.shape[axis] < 3:
            continue
        for step in (1, -1):
            around = np.roll(right, step, axis)
            over = around.copy()
            over[(slice(None),) * axis + (0 if step == 1 else -1,)] = 0
            for predicted in (over, around):
                yield from candidate(
                    evidence, k, "off-by-one", predicted, 1.3, f"axis {axis}",
                    f"the numbers belong one place {'earlier' if step == 1 else 'later'} along axis {axis}",
                    "Which step, or which place, does the index stand for?",
                )  # fmt: skip


def summed_or_running(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """Summed along an axis and spread over it again; or a running sum."""
    right = evidence.right[k]
    for axis in range(right.ndim):
        n = right.shape[axis]
        if n < 2:
            continue
        total = right.sum(axis, keepdims=True)
        for share, words in ((1.0, "the sum"), (1 / n, "the mean")):
            yield from candidate(
                evidence, k, "wrong-sum-axis", np.broadcast_to(total * share, right.shape), 1.5, f"axis {axis}",
                f"all entries along axis {axis} are {words} of the right ones",
                "A sum was taken along an axis that was not broadcast: which axis does the forward pass repeat?",
            )  # fmt: skip
        for flip in (False, True):
            running = np.flip(np.cumsum(np.flip(right, axis), axis), axis) if flip else np.cumsum(right, axis)
            yield from candidate(
                evidence, k, "sum-missing", running, 1.6, f"axis {axis}",
                f"the entries along axis {axis} are running sums of the right ones",
                "Is an array added to that should start from zero for each?",
            )  # fmt: skip


def block(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """Only some rows, columns or entries are wrong: by one factor, zero, or otherwise."""
    yours, right = evidence.yours[k], evidence.right[k]
    if yours.size < 2:
        return
    scale = np.nanmax(np.abs(right), initial=1e-4)
    wrong = np.abs(yours - right) > 10 * evidence.tolerance * scale
    if wrong.all() or not wrong.any() or not right.ndim:
        return
    for axis in range(right.ndim):
        others = tuple(a for a in range(right.ndim) if a != axis)
        lines = wrong.any(axis=others) if others else wrong
        if lines.all():
            continue
        shape = [-1 if a == axis else 1 for a in range(right.ndim)]
        where = rows_in_words(evidence, k, lines) if axis == 0 else _along(axis, lines)
        yield from _one_line_left(evidence, k, axis, ~lines)
        edge = lines.sum() == 1 and (lines[0] or lines[-1]) and len(lines) > 2 and not gates_of(evidence, k)
        if edge and axis == right.ndim - 1:
            yield Candidate(
                "one-entry", {k: 1e-7}, 1.1, where, f"only {where} at the edge {_are(where)} wrong; all others agree",
                "Does the loop reach the edge?",
            )  # fmt: skip
        if axis == 0 and lines.sum() == 1:
            yield from _padding_row(evidence, k, int(lines.argmax()), where)
        yield from _block_causes(evidence, k, np.broadcast_to(lines.reshape(shape), right.shape), where)
    share = wrong.mean()
    if share < 0.2 or wrong.sum() == 1:
        index = np.argwhere(wrong)[:3].tolist()
        more = " ..." if wrong.sum() > 3 else ""
        yield Candidate(
            "one-entry", {k: 1e-7}, 4.0, f"entries {', '.join(map(str, index))}{more}",
            f"only {int(wrong.sum())} of {wrong.size} entries are wrong, at {', '.join(map(str, index))}{more}",
            "What is special about this place: an edge, a tie, a boundary?",
        )  # fmt: skip


def _one_line_left(evidence: Evidence, k: int, axis: int, kept: np.ndarray) -> Iterator[Candidate]:
    """Only the first or the last step, item or place of a gradient is not zero."""
    right = evidence.right[k]
    if kept.sum() != 1 or not (kept[0] or kept[-1]) or len(kept) < 3:
        return
    predicted = np.where(kept.reshape([-1 if a == axis else 1 for a in range(right.ndim)]), right, 0)
    time = right.ndim == 3 and axis < 2
    what = "time step" if time else "item" if axis == 0 else f"place along axis {axis}"
    yield from candidate(
        evidence, k, "one-step-only" if time else "sum-missing", predicted, 1.0, "everywhere",
        f"only the {'first' if kept[0] else 'last'} {what} receives its gradient, all others are zero",
        "Does the loop go over all of them?",
    )  # fmt: skip


def _are(where: str) -> str:
    return "is" if where.startswith(("row ", "column ")) else "are"


def _padding_row(evidence: Evidence, k: int, row: int, where: str) -> Iterator[Candidate]:
    """Of a table of vectors the row of one id."""
    yours, right = evidence.yours[k], evidence.right[k]
    looked_up = any(isinstance(x, np.ndarray) and x.dtype.kind in "iu" and row in x for x in evidence.inputs)
    if right.ndim != 2 or not looked_up or not (np.any(yours[row]) ^ np.any(np.abs(right[row]) > 1e-9)):
        return
    received = "receives a gradient" if np.any(yours[row]) else "receives none"
    predicted = right.copy()
    predicted[row] = yours[row]
    yield from candidate(
        evidence, k, "padding-id-gradient", predicted, 0.9, where,
        f"the row of id {row} {received}; all others agree", "Is its output used, or set to zero?",
    )  # fmt: skip


def _along(axis: int, lines: np.ndarray) -> str:
    places = np.flatnonzero(lines)
    first, last = int(places[0]), int(places[-1]) + 1
    one = last - first == 1
    name = "column" if axis == 1 and lines.ndim == 1 else f"axis {axis},"
    return f"{name} {first}" if one else f"{name}{'s' if name == 'column' else ''} {first}:{last}"


def _block_causes(evidence: Evidence, k: int, rows: np.ndarray, where: str) -> Iterator[Candidate]:
    yours, right = evidence.yours[k], evidence.right[k]
    part = rows & np.isfinite(right)
    if not np.any(yours[part]):
        yield from candidate(
            evidence, k, "zero-gradient", np.where(rows, 0, right), 1.2, where,
            f"{where} {_are(where)} zero; all others agree", "Is this part written, and is the path to it complete?",
        )  # fmt: skip
        return
    ratio = _common_ratio(yours[part], right[part])
    if ratio is None:
        return
    if abs(ratio + 1) < 1e-6:
        yield from candidate(
            evidence, k, "wrong-sign", np.where(rows, -right, right), 1.0, where,
            f"the sign of {where} is wrong; all others agree", "Which minus was lost on the way back?",
        )  # fmt: skip
    else:
        yield from _factors(evidence, k, ratio, rows, where)


def single_precision(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """Right to seven digits."""
    yours, right = evidence.yours[k], evidence.right[k]
    measured = np.isfinite(right) & np.isfinite(yours)
    scale = np.abs(right[measured]).max(initial=1e-30)
    error = np.abs(yours - right)[measured].max(initial=0) / scale
    rounded = np.array_equal(yours, yours.astype(np.float32))
    if error < (1e-5 if rounded else 3e-6) and np.any(yours):
        yield Candidate(
            "float32-inside", {k: 1e-7 if rounded else 5e-7}, 0.4 if rounded else 0.6, "everywhere",
            f"the gradient is right to a relative error of {error:.0e}, about as far as single precision reaches",
            "Which array was made without the inputs' dtype?",
        )  # fmt: skip


HYPOTHESES: tuple[Hypothesis, ...] = (
    zero,
    sign,
    factor,
    transposed,
    permuted_axes,
    reversed_axes,
    permuted_blocks,
    swapped,
    shifted,
    summed_or_running,
    block,
    single_precision,
)
