"""Hypotheses that ask what the right gradient would be elsewhere: with another mask, or of another loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minis2s.gradcheck.diagnosis.candidate import DROPPED, Candidate, residual
from minis2s.gradcheck.diagnosis.evidence import Evidence
from minis2s.gradcheck.diagnosis.tape import Tape

LARGEST = 150
"""Without a record a gradient costs some forward passes an entry: of larger arrays it is not asked for."""


class Elsewhere:
    """Right gradients of other losses and at other inputs, from a record if there is one."""

    def __init__(self, evidence: Evidence, tape: Tape | None) -> None:
        self.evidence, self.tape = evidence, tape

    def with_upstream(self, upstream: Sequence[Any]) -> dict[int, np.ndarray]:
        """Gradients of the wrong inputs for another upstream gradient."""
        wrong = self.evidence.wrong
        if self.tape is not None:
            gradients = self.tape.backward(upstream)
            return {k: gradients[k] for k in wrong if gradients[k] is not None}
        small = [k for k in wrong if self.evidence.right[k].size <= LARGEST]
        return {k: self.evidence.gradient(k, upstream=tuple(upstream)) for k in small}

    def at(self, inputs: tuple, upstream: Sequence[Any] | None = None) -> dict[int, np.ndarray]:
        """Gradients of the wrong inputs at other inputs."""
        wrong = [k for k in self.evidence.wrong if self.evidence.right[k].size <= 2 * LARGEST]
        given = None if upstream is None else tuple(upstream)
        return {k: self.evidence.gradient(k, inputs, given) for k in wrong}


def experiments(evidence: Evidence, tapes: Sequence[Tape]) -> Iterator[Candidate]:
    """All of them."""
    elsewhere = Elsewhere(evidence, tapes[0] if tapes else None)
    yield from one_part_of_the_output(evidence, elsewhere)
    yield from an_output_ignored(evidence, elsewhere)
    yield from upstream_ignored(evidence, elsewhere)
    yield from other_mask(evidence, elsewhere)
    yield from new_draw(evidence)


def judged(
    evidence: Evidence, predicted: dict[int, np.ndarray], cause: str, cost: float, where: str, finding: str, hint: str
) -> Iterator[Candidate]:
    """A candidate of what was predicted."""
    residuals = {k: residual(evidence.yours[k], dx, evidence.right[k]) for k, dx in predicted.items()}
    residuals = {k: left for k, left in residuals.items() if left <= DROPPED}
    if residuals:
        yield Candidate(cause, residuals, cost, where, finding, hint)


def is_array(y: Any) -> bool:
    """An output with a gradient."""
    return isinstance(y, np.ndarray) and y.dtype.kind == "f"


def one_part_of_the_output(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """Only one step, item or place of the output sends gradient back."""
    first = evidence.upstream[0]
    if not is_array(first):
        return
    for axis in range(min(first.ndim, 4)):
        n = first.shape[axis]
        if not 2 <= n <= 12:
            continue
        time = first.ndim == 3 and axis == 0
        cause = "one-step-only" if time else "sum-missing"
        what = "time step" if time else "item" if axis == 0 else f"place along axis {axis}"
        for pick, spelt in ((n - 1, "last"), (0, "first")):
            upstream = [_only(dy, axis, pick, n) if is_array(dy) and dy.ndim == first.ndim else dy for dy in evidence.upstream]  # fmt: skip
            yield from judged(
                evidence, elsewhere.with_upstream(upstream), cause, 1.0 if time else 1.1, "",
                f"only the {spelt} {what} of the output sends gradient back",
                "Was a sum assigned in a loop, `=` instead of `+=`, or only one output used?",
            )  # fmt: skip


def _only(dy: np.ndarray, axis: int, pick: int, n: int) -> np.ndarray:
    if dy.shape[axis] != n:
        return dy
    kept = np.zeros_like(dy)
    place = (slice(None),) * axis + (pick,)
    kept[place] = dy[place]
    return kept


def an_output_ignored(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """One of several outputs sends no gradient back."""
    count = sum(is_array(dy) for dy in evidence.upstream)
    if count < 2:
        return
    for j, dy in enumerate(evidence.upstream):
        if is_array(dy) and dy.ndim:
            upstream = list(evidence.upstream)
            upstream[j] = np.zeros_like(dy)
            yield from judged(
                evidence, elsewhere.with_upstream(upstream), "branch-missing", 1.1, "",
                f"the gradient of output {j} is not used", "backward takes one gradient an output: does each count?",
            )  # fmt: skip


def upstream_ignored(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """The gradient of a loss that is simply the sum of the outputs."""
    upstream = [np.ones_like(dy) if is_array(dy) or isinstance(dy, np.floating) else dy for dy in evidence.upstream]
    yield from judged(
        evidence, elsewhere.with_upstream(upstream), "missing-factor", 0.7, "",
        "the gradient does not depend on the one that comes in: dy is taken for 1", "Is everything multiplied by dy?",
    )  # fmt: skip


def other_mask(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """A mask that is all True, inverted, or applied to the output alone."""
    for j, mask in enumerate(evidence.inputs):
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.all():
            continue
        hint = "What the forward pass hides must receive no gradient: is the mask applied on the way back?"
        name = evidence.names[j].removeprefix("d")
        whole = _with(evidence.inputs, j, np.ones_like(mask))
        yield from judged(
            evidence, elsewhere.at(whole), "mask-not-applied", 0.9, "",
            f"the gradient is that without {name}", hint,
        )  # fmt: skip
        inverted = _with(evidence.inputs, j, ~mask)
        yield from judged(
            evidence, elsewhere.at(inverted), "mask-inverted", 0.9, "",
            f"the gradient is that with {name} inverted", "True is a real token here: which polarity is yours?",
        )  # fmt: skip
        upstream = [
            np.where(mask.reshape(mask.shape + (1,) * (dy.ndim - mask.ndim)), dy, 0)
            if is_array(dy) and dy.shape[: mask.ndim] == mask.shape
            else dy
            for dy in evidence.upstream
        ]
        if any(a is not b for a, b in zip(upstream, evidence.upstream, strict=True)):
            yield from judged(
                evidence, elsewhere.at(whole, upstream), "mask-only-in-loss", 0.9, "",
                f"{name} is applied to the output alone, not within", hint,
            )  # fmt: skip


def _with(inputs: tuple, j: int, value: np.ndarray) -> tuple:
    return (*inputs[:j], value, *inputs[j + 1 :])


def new_draw(evidence: Evidence) -> Iterator[Candidate]:
    """Of an elementwise mask the right values, at other places."""
    for k in evidence.wrong:
        dy, yours, right = evidence.upstream[0], evidence.yours[k], evidence.right[k]
        if not is_array(dy) or dy.shape != right.shape or not np.all(np.isfinite(right)) or np.any(dy == 0):
            continue
        a, b = yours / dy, right / dy
        scale = b.max()
        off = np.abs(b) < 1e-6 * abs(scale)
        two_valued = scale > 0 and off.any() and np.all(off | (np.abs(b - scale) < 1e-5 * scale))
        mine = np.all((np.abs(a) < 1e-5) | (np.abs(a - scale) < 1e-5 * scale))
        if two_valued and mine and (np.abs(a) < 1e-5).any() and (off & (np.abs(a) > 1e-5)).any() and (~off & (np.abs(a) < 1e-5)).any():  # fmt: skip
            yield Candidate(
                "dropout-new-mask", {k: 0.0}, 0.8, "",
                "the gradient is that of another mask of the same kind than the one of the forward pass",
                "Was a new mask drawn in backward? Keep the one that was drawn in the forward pass.",
            )  # fmt: skip
