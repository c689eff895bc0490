"""Hypotheses about single contributions: what each entry of the output sends to each entry of an input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minis2s.gradcheck.diagnosis.candidate import EXACT, Candidate
from minis2s.gradcheck.diagnosis.evidence import Evidence

LARGEST = 400
"""Entries of an input: each costs two forward passes."""

STEP = 2.0**-14


def contributions(evidence: Evidence) -> Iterator[Candidate]:
    """All of them, for functions of one real output, or several."""
    for k in evidence.wrong:
        right, yours = evidence.right[k], evidence.yours[k]
        if right.size > LARGEST or not np.all(np.isfinite(right)) or not np.all(np.isfinite(yours)):
            continue
        yield from slope_alone(evidence, k)
        slopes, dy = jacobian(evidence, k)
        if slopes.size:
            yield from one_of_several(evidence, k, slopes * dy)
            yield from upstream_shifted(evidence, k, slopes, dy)


def jacobian(evidence: Evidence, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives (entries of the input, entries of the outputs), and the upstream gradient as one row."""
    real = [j for j, dy in enumerate(evidence.upstream) if isinstance(dy, np.ndarray) and dy.dtype.kind == "f"]
    dy = np.concatenate([evidence.upstream[j].ravel() for j in real]) if real else np.zeros(0)
    x = evidence.inputs[k]
    rows = []
    for place in np.ndindex(x.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = x.copy()
            moved[place] += step
            outputs, _ = evidence.function(*evidence.inputs[:k], moved, *evidence.inputs[k + 1 :])
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            ends.append(np.concatenate([np.ravel(outputs[j]) for j in real]) if real else np.zeros(0))
        row = (ends[0] - ends[1]) / (2 * STEP)
        rows.append(np.where(np.abs(row) < 1e-9, 0.0, row))
    return np.array(rows), dy


def one_of_several(evidence: Evidence, k: int, sent: np.ndarray) -> Iterator[Candidate]:
    """Where several contributions meet, one is kept and the others are lost: assigned, not added."""
    yours, right = evidence.yours[k].ravel(), evidence.right[k].ravel()
    several = (sent != 0).sum(axis=1) > 1
    nearest = np.abs(sent - yours[:, None]).argmin(axis=1)
    predicted = np.where(several, sent[np.arange(len(sent)), nearest], right)
    if np.sum(several) < 2 or np.median((sent != 0).sum(axis=1)[several]) > 12:
        return
    left = evidence.residual(k, predicted.reshape(evidence.right[k].shape))
    if left > EXACT:
        return
    ids = any(isinstance(x, np.ndarray) and x.dtype.kind in "iu" for x in evidence.inputs)
    counts = (sent != 0).sum(axis=1)
    by_choice = ids or len(set(counts.tolist())) > 1  # how many meet depends on the place: they were picked
    yield Candidate(
        "repeated-ids-assigned" if by_choice else "sum-missing", {k: left}, 0.9, "",
        "where several contributions meet in one entry, one of them is kept and the others are lost",
        "Was `=` written for `+=`, or the sum over them left out?",
    )  # fmt: skip


def upstream_shifted(evidence: Evidence, k: int, slopes: np.ndarray, dy: np.ndarray) -> Iterator[Candidate]:
    """What comes in is read one place too early or too late."""
    for step, words in ((-1, "next"), (1, "previous")):
        predicted = (slopes @ np.roll(dy, step)).reshape(evidence.right[k].shape)
        left = evidence.residual(k, predicted)
        if left <= EXACT:
            yield Candidate(
                "off-by-one", {k: left}, 0.9, "",
                f"the gradient that comes in is read at the {words} place", "Where do the indices start?",
            )  # fmt: skip


def slope_alone(evidence: Evidence, k: int) -> Iterator[Candidate]:
    """Of an elementwise function, in some entries the derivative itself, not multiplied by what comes in."""
    dy, yours, right = evidence.upstream[0], evidence.yours[k], evidence.right[k]
    if len(evidence.upstream) != 1 or np.shape(dy) != right.shape or right.ndim == 0 or np.any(dy == 0):
        return
    wrong = np.abs(yours - right) > 1e-6 * max(np.abs(right).max(), 1e-4)
    left = evidence.residual(k, np.where(wrong, right / dy, right))
    if wrong.any() and not wrong.all() and left <= EXACT:
        yield Candidate(
            "missing-factor", {k: left}, 0.8, "",
            "in some entries the derivative is set, not multiplied by the gradient that comes in",
            "dx = dy f'(x) on both sides: was `=` written for `*=`?",
        )  # fmt: skip
