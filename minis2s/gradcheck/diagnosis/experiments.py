"""Hypotheses that ask what the right gradient would be elsewhere: with another mask, or of another loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from minis2s.gradcheck.diagnosis.candidate import DROPPED, Candidate
from minis2s.gradcheck.diagnosis.evidence import Evidence
from minis2s.gradcheck.diagnosis.tape.entries import Tape, Untraceable

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
            return {k: g for k in wrong if (g := gradients[k]) is not None}
        small = [k for k in wrong if self.evidence.right[k].size <= LARGEST]
        return {k: self.evidence.gradient(k, upstream=tuple(upstream)) for k in small}

    def at(self, inputs: tuple, upstream: Sequence[Any] | None = None) -> dict[int, np.ndarray]:
        """Gradients of the wrong inputs at other inputs."""
        if self.tape is not None and self.tape.again is not None:
            try:
                gradients = self.tape.again(inputs).backward(self.evidence.upstream if upstream is None else upstream)
                return {k: g for k in self.evidence.wrong if (g := gradients[k]) is not None}
            except Untraceable:
                pass
        wrong = [k for k in self.evidence.wrong if self.evidence.right[k].size <= 2 * LARGEST]
        given = None if upstream is None else tuple(upstream)
        return {k: self.evidence.gradient(k, inputs, given) for k in wrong}


def experiments(evidence: Evidence, tapes: Sequence[Tape]) -> Iterator[Candidate]:
    """All of them."""
    elsewhere = Elsewhere(evidence, tapes[0] if tapes else None)
    for experiment in EXPERIMENTS:
        yield from experiment(evidence, elsewhere)


def time_axis(evidence: Evidence, elsewhere: Elsewhere) -> int:
    """Along which axis of the output time runs: the second if items do not mix along the first, but steps there do."""
    first = evidence.upstream[0]
    if not is_array(first) or first.ndim != 3:
        return -1
    return 1 if mixes(evidence, elsewhere, 1) and not mixes(evidence, elsewhere, 0) else 0


def mixes(evidence: Evidence, elsewhere: Elsewhere, axis: int) -> bool:
    """Does the last place of the output along an axis depend on other places of an input?"""
    first, n = evidence.upstream[0], evidence.upstream[0].shape[axis]
    if elsewhere.tape is None:
        return False
    upstream = [_only(dy, axis, n - 1, n) if is_array(dy) and dy.ndim == first.ndim else dy for dy in evidence.upstream]
    gradients = elsewhere.tape.backward(
        [np.zeros_like(dy) if is_array(dy) and dy.ndim != first.ndim else dy for dy in upstream]
    )
    same = [g for g in gradients if g is not None and g.ndim > axis and g.shape[: axis + 1] == first.shape[: axis + 1]]
    return any(np.any(np.take(g, range(n - 1), axis)) for g in same)


def judged(
    evidence: Evidence, predicted: dict[int, np.ndarray], cause: str, cost: float, where: str, finding: str, hint: str
) -> Iterator[Candidate]:
    """A candidate of what was predicted."""
    residuals = {k: evidence.residual(k, dx) for k, dx in predicted.items()}
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
        time = axis == time_axis(evidence, elsewhere)
        cause = "one-step-only" if time else "sum-missing"
        what = "time step" if time else "item" if axis == 0 else f"place along axis {axis}"
        for pick, spelt in ((n - 1, "last"), (0, "first")):
            upstream = [
                _only(dy, axis, pick, n) if is_array(dy) and dy.ndim == first.ndim else dy for dy in evidence.upstream
            ]
            cost = 1.0 if time else 1.1 if axis == 0 else 1.5
            yield from judged(
                evidence, elsewhere.with_upstream(upstream), cause, cost, "",
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


def upstream_moved(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """What comes in is read a step too early or too late, from the other end, or in halves that are exchanged."""
    first = evidence.upstream[0]
    if not is_array(first):
        return
    for axis in range(min(first.ndim, 3)):
        n = first.shape[axis]
        if not 2 <= n <= 60:
            continue
        for cost, words, cause, order in _orders(n, axis == first.ndim - 1):
            moved = [
                _reordered(dy, axis, order) if is_array(dy) and dy.shape[: axis + 1] == first.shape[: axis + 1] else dy
                for dy in evidence.upstream
            ]
            yield from judged(
                evidence, elsewhere.with_upstream(moved), cause, cost, "",
                f"the gradient that comes in is read {words} along axis {axis}", "Which index belongs to which step?",
            )  # fmt: skip


def _orders(n: int, last: bool) -> Iterator[tuple[float, str, str, np.ndarray]]:
    """Ways in which indices go wrong, -1 for a place that is read as zero."""
    places = np.arange(n)
    for step, words in ((1, "one place too early"), (-1, "one place too late")):
        moved = places - step
        yield 1.1, words, "off-by-one", np.clip(moved, 0, n - 1)
        yield 1.1, words, "off-by-one", moved % n
        yield 1.1, words, "off-by-one", np.where((moved < 0) | (moved >= n), -1, moved)
    yield 1.3, "from the other end", "permuted-axes", places[::-1]
    if last and n % 2 == 0:
        yield 1.3, "in halves that are exchanged", "permuted-heads", np.roll(places, n // 2)


def _reordered(dy: np.ndarray, axis: int, order: np.ndarray) -> np.ndarray:
    moved = np.take(dy, np.maximum(order, 0), axis)
    moved[(slice(None),) * axis + (order < 0,)] = 0
    return moved


def an_output_ignored(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """One of several outputs sends no gradient back, or sends it with the wrong sign."""
    count = sum(is_array(dy) for dy in evidence.upstream)
    if count < 2:
        return
    for j, dy in enumerate(evidence.upstream):
        if is_array(dy) and dy.ndim:
            for cause, share, words in (("branch-missing", 0, "not used"), ("wrong-sign", -1, "subtracted")):
                upstream = list(evidence.upstream)
                upstream[j] = share * dy
                finding = f"the gradient of output {j} is {words}"
                yield from judged(
                    evidence, elsewhere.with_upstream(upstream), cause, 1.1, "", finding,
                    "backward takes one gradient an output: does each count?",
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


def new_draw(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """Of an elementwise mask that was drawn the right values, at other places."""
    if has_flags(evidence):
        return
    for k in evidence.wrong:
        dy, yours, right = evidence.upstream[0], evidence.yours[k], evidence.right[k]
        if not is_array(dy) or dy.shape != right.shape or not np.all(np.isfinite(right)) or np.any(dy == 0):
            continue
        a, b = yours / dy, right / dy
        scale = b.max()
        off = np.abs(b) < 1e-6 * abs(scale)
        two_valued = scale > 0 and off.any() and np.all(off | (np.abs(b - scale) < 1e-5 * scale))
        mine = np.all((np.abs(a) < 1e-5) | (np.abs(a - scale) < 1e-5 * scale))
        if (
            two_valued
            and mine
            and (np.abs(a) < 1e-5).any()
            and (off & (np.abs(a) > 1e-5)).any()
            and (~off & (np.abs(a) < 1e-5)).any()
        ):
            yield Candidate(
                "dropout-new-mask", {k: 0.0}, 0.8, "",
                "the gradient is that of another mask of the same kind than the one of the forward pass",
                "Was a new mask drawn in backward? Keep the one that was drawn in the forward pass.",
            )  # fmt: skip


def flipped_kernel(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """The gradient for a kernel that is turned, along all its axes or along one, or lies on its side."""
    for j, weight in enumerate(evidence.inputs):
        if not is_array(weight) or weight.ndim not in (1, 3, 4) or j in evidence.wrong[:1] or weight.shape[-1] < 2:
            continue
        places = {1: (0,), 3: (1, 2), 4: (2, 3)}[weight.ndim]
        for axes in dict.fromkeys((places, places[:1], places[-1:])):
            yield from _for_kernel(
                evidence, elsewhere, j, np.flip(weight, axes), "kernel-not-flipped", 0.8,
                f"the gradient is that of the kernel turned along axis {' and '.join(map(str, axes))}",
                "Was the kernel turned where it should not be, or not turned where it should?",
            )  # fmt: skip
        if weight.ndim > 1 and weight.shape[-1] == weight.shape[-2]:
            yield from _for_kernel(
                evidence, elsewhere, j, weight.swapaxes(-1, -2), "permuted-axes", 1.0,
                "the gradient is that of the kernel with rows and columns exchanged",
                "Which index is that of the rows, which that of the columns?",
            )  # fmt: skip


def _for_kernel(
    evidence: Evidence, elsewhere: Elsewhere, j: int, weight: np.ndarray, cause: str, cost: float, *words: str
) -> Iterator[Candidate]:
    predicted = elsewhere.at(_with(evidence.inputs, j, weight.copy()))
    predicted.pop(j, None)
    yield from judged(evidence, predicted, cause, cost, "", *words)


def _times(scale: float, function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda v: scale * function(v)


SPREADS_OF_KL: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = tuple(
    (f"{factor} ({words})" if factor else words, _times(scale, function))
    for words, function in (
        ("exp(2 v) - 1", lambda v: np.exp(2 * v) - 1),
        ("exp(v / 2) - 1", lambda v: np.exp(v / 2) - 1),
        ("v - 1/v", lambda v: v - 1 / v),
        ("1 - 1/v", lambda v: 1 - 1 / v),
        ("v^2 - 1", lambda v: v * v - 1),
        ("v - 1", lambda v: v - 1),
        ("sigma - 1/sigma", lambda v: np.exp(v / 2) - np.exp(-v / 2)),
        ("1 - 1/exp(v)", lambda v: 1 - np.exp(-v)),
        ("exp(v)", lambda v: 2 * np.exp(v)),
    )
    for factor, scale in (("1/2", 0.5), ("", 1.0), ("2", 2.0))
    if (factor, words) != ("1/2", "exp(v)")
)
"""What students write for dKL/dv, (exp(v) - 1) / 2."""

SPREADS_OF_DRAW: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = tuple(
    (f"{factor} {words}" if factor else words, _times(scale, function))
    for words, function in (
        ("e", np.ones_like),
        ("e exp(v / 2)", lambda v: np.exp(v / 2)),
        ("e exp(v)", np.exp),
        ("e exp(2 v)", lambda v: np.exp(2 * v)),
        ("e v", lambda v: v),
        ("e exp(-v / 2)", lambda v: np.exp(-v / 2)),
    )
    for factor, scale in (("1/2", 0.5), ("", 1.0), ("2", 2.0))
)
"""What students write for dz/dv, e exp(v / 2) / 2."""


def other_spread(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """The log-variance v taken for sigma, log sigma or the variance."""
    form = elsewhere.tape.form if elsewhere.tape else ""
    if "kl" not in form and "draw" not in form:
        return
    k = len(evidence.inputs) - 1
    if k not in evidence.wrong:
        return
    v, right = evidence.inputs[k], evidence.right[k]
    slope = (np.exp(v) - 1) / 2 if "kl" in form else np.exp(v / 2) / 2
    for words, function in SPREADS_OF_KL if "kl" in form else SPREADS_OF_DRAW:
        predicted = {k: right / slope * function(v)}
        yield from judged(
            evidence, predicted, "logvar-as-sigma", 0.7, "",
            f"the derivative with respect to the log-variance v is taken to be {words}",
            "sigma = exp(v / 2): is v taken for sigma, for its logarithm, or for the variance?",
        )  # fmt: skip


def shifted_ids(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """The gradient for ids one place earlier or later."""
    for j, ids in enumerate(evidence.inputs):
        if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu":
            continue
        for axis in range(ids.ndim):
            for step in (1, -1):
                moved = _with(evidence.inputs, j, np.roll(ids, step, axis))
                yield from judged(
                    evidence, elsewhere.at(moved), "off-by-one", 1.0, "",
                    f"the gradient is that for {evidence.names[j].removeprefix('d')} shifted by one along axis {axis}",
                    "Which token belongs to which step?",
                )  # fmt: skip


def at_the_output(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """The derivative of a function, taken at its value."""
    for k in evidence.wrong:
        y = evidence.outputs[0]
        if is_array(y) and y.shape == evidence.inputs[k].shape and len(evidence.outputs) == 1:
            predicted = elsewhere.at(_with(evidence.inputs, k, np.copy(y)))
            yield from judged(
                evidence, {k: predicted[k]} if k in predicted else {}, "derivative-at-preactivation", 1.1, "",
                "the derivative is taken at the output instead of the input", "Which value was it fed with?",
            )  # fmt: skip


def has_flags(evidence: Evidence) -> bool:
    """Is there a mask among the inputs?"""
    return any(isinstance(x, np.ndarray) and x.dtype == bool for x in evidence.inputs)


def summed_otherwise(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """The gradient of a bias is what comes in, summed over the wrong axes: of equal length to those that remain."""
    for k, dy in product(evidence.wrong, filter(is_array, evidence.upstream)):
        right = evidence.right[k]
        if not 1 < right.size == max(right.shape):
            continue
        sums = {a: dy.sum(tuple(b for b in range(dy.ndim) if b != a)) for a in range(dy.ndim)}
        n = right.size
        if not any(s.size == n and np.allclose(s, right.ravel(), rtol=1e-5, atol=1e-7) for s in sums.values()):
            continue
        for a, s in sums.items():
            if s.size >= n:  # of more sums a loop takes the first
                axes = " and ".join(str(b) for b in range(dy.ndim) if b != a)
                yield from judged(
                    evidence, {k: s[:n].reshape(right.shape)}, "wrong-sum-axis", 0.9, "",
                    f"what comes in is summed over the axes {axes}",
                    "Sum over the axes that the forward pass repeats it along.",
                )  # fmt: skip


def passed_on(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """The gradient that comes in goes out as it is."""
    cost = 1.5 if has_flags(evidence) else 1.0
    for k in evidence.wrong:
        dy = evidence.upstream[0]
        if is_array(dy) and len(evidence.upstream) == 1 and dy.shape == evidence.inputs[k].shape:
            yield from judged(
                evidence, {k: dy}, "activation-derivative-missing", cost, "",
                "the gradient that comes in is handed on as it is", "dx = dy f'(x): was the derivative applied?",
            )  # fmt: skip


def log_softmax_without_sum(evidence: Evidence, elsewhere: Elsewhere) -> Iterator[Candidate]:
    """Of dy - p sum(dy) the sum is left out, or all of sum(dy)."""
    if elsewhere.tape is None or "log_softmax" not in elsewhere.tape.form or 0 not in evidence.wrong:
        return
    dy, p = evidence.upstream[0], np.exp(evidence.outputs[0])
    for cause, spelt, wrong in (("sum-missing", "dy - p dy", dy - p * dy), ("missing-factor", "dy - p", dy - p)):
        yield from judged(
            evidence, {0: wrong}, cause, 0.8, "", f"what flows back is {spelt}",
            "It is dy - p sum(dy): was the sum left out?",
        )  # fmt: skip


Experiment = Callable[[Evidence, Elsewhere], Iterator[Candidate]]

EXPERIMENTS: tuple[Experiment, ...] = (
    one_part_of_the_output,
    upstream_moved,
    an_output_ignored,
    upstream_ignored,
    other_mask,
    new_draw,
    flipped_kernel,
    other_spread,
    shifted_ids,
    at_the_output,
    passed_on,
    summed_otherwise,
    log_softmax_without_sum,
)
