"""The check: is this backward the derivative of its forward, and does it keep the contract?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minis2s.backend import one_core
from minis2s.gradcheck.contract import Trial, examine
from minis2s.gradcheck.diagnosis import Evidence, diagnose
from minis2s.gradcheck.numeric import Line, Probe, Slope, is_float
from minis2s.gradcheck.report import INCONCLUSIVE, RIGHT, WRONG, Diagnosis, Gradient, Problem, Report
from minis2s.gradcheck.targets import Target, as_function, make_target
from minis2s.gradcheck.weaknesses import find_weaknesses

TOLERANCE = 1e-9
"""Relative to a gradient's largest entry: where arithmetic is in float32 somewhere, errors are above 1e-8."""

ENOUGH = 1e-6
"""If rounding leaves no better, gradients that agree to so much, and as well as the measurement, are called right."""

FLOOR = 1e-4
"""A gradient that is smaller everywhere is held against this: its numeric value is little more than rounding."""

SURE = 10
"""A gradient is wrong if it is off by so many times the error of the numeric one."""

ALL_ENTRIES, SAMPLE = 600, 60
"""Arrays of up to so many entries are compared entirely, of larger ones so many entries and a direction."""

MANY_PARAMETERS, SMALL_SAMPLE = 20_000, 10
"""Of a model with so many parameters, so many entries of each array and a direction."""

MEASURED_IF_WRONG = 4_000
"""Arrays of up to so many entries are measured entirely where the sample is wrong, for the diagnosis."""

CONFIRMED = 8
"""So many wrong entries are measured once more, with an error estimate. If all are confirmed, so are the others."""


STREAM = 4
"""Beside the seed, so that the upstream gradient is not an input that was drawn from the same seed."""


def check(function: Callable[..., Any], *inputs: Any, wrt: Iterable[int | str] | None = None, seed: int = 0) -> Report:
    """Compare the gradients of `function` with numeric ones, and its backward with the contract.

    The upstream gradient dy is random: ones would hide every error that sums to zero, and all of a softmax. Give biases
    and states that are not zero, at least three time steps, and masks that mask something, for the same reason; the
    report's `weaknesses` name what was forgotten.

    Parameters
    ----------
    function : callable
        Returns `(output, backward)`; several outputs are a tuple. An `nn` module is checked for its inputs and all its
        parameters; a model's method that runs its own backward, as `Seq2Seq.loss_and_backward`, for all parameters.
    *inputs
        Arrays of floats are made float64, and differentiated; whatever else is passed on, and has the gradient None.
        A `numpy.random.Generator`, here or among the keywords of a `partial`, is turned back before every call.
    wrt : places or names of the inputs to check, or None for all arrays of floats
    seed : int
        Of the upstream gradient and of the sampled entries.
    """
    with _quiet(), one_core():
        return _check(make_target(function, inputs), wrt, seed)


def check_pair(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    wrt: Iterable[int | str] | None = None,
    seed: int = 0,
) -> Report:
    """:func:`check` for a pair in another style: `out, cache = forward(x, w)`, `dx, dw = backward(dout, cache)`.

    Gradients of masks and settings may be left out.
    """
    return check(as_function(forward, backward), *inputs, wrt=wrt, seed=seed)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warning of NumPy's on stderr: what overflows is told in the report."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Comparison:
    """A gradient, held against the numeric one; `right` is NaN where it was not measured."""

    gradient: Gradient
    right: np.ndarray


def _check(target: Target, wrt: Iterable[int | str] | None, seed: int) -> Report:
    rng = np.random.default_rng([seed, STREAM])
    places = _chosen(target, wrt)
    trial = examine(target, rng)
    target, problems = trial.target, list(trial.problems)
    compared: dict[int, Comparison] = {}
    if trial.gradients:
        try:
            compared = _compare_all(trial, places, rng)
        except Exception as error:
            text = f"the forward pass raises {type(error).__name__} when an input is changed a little: {error}"
            problems.append(Problem("raises", text.partition("\n")[0]))
    right = tuple(compared[k].right if k in compared else None for k in range(len(target.inputs)))
    weaknesses = find_weaknesses(trial, right) if trial.gradients else []
    gradients = [comparison.gradient for comparison in compared.values()]
    return Report(target.label, gradients, problems, _diagnoses(trial, compared, right), weaknesses)


def _chosen(target: Target, wrt: Iterable[int | str] | None) -> list[int]:
    """Places of the inputs to be compared."""
    floats = [k for k, x in enumerate(target.inputs) if is_float(x)]
    if wrt is None:
        return floats
    found = []
    for name in wrt:
        k = target.names.index(name) if name in target.names else name
        if k not in floats:
            known = ", ".join(target.names[k] for k in floats)
            raise ValueError(f"check: wrt names {name!r}, expected the place or name of an array of floats: {known}")
        found.append(int(k))
    return found


def _compare_all(trial: Trial, places: list[int], rng: np.random.Generator) -> dict[int, Comparison]:
    probe = Probe(trial.target.forward, trial.target.inputs, trial.upstream)
    total = sum(trial.target.inputs[k].size for k in places)
    whole, sample = (ALL_ENTRIES, SAMPLE) if total < MANY_PARAMETERS else (SMALL_SAMPLE, SMALL_SAMPLE)
    return {
        k: _Comparing(probe, k, f"d{trial.target.names[k]}", trial.gradients[k], rng).compare(whole, sample)
        for k in places
        if trial.gradients[k] is not None
    }


def _diagnoses(trial: Trial, compared: dict[int, Comparison], right: tuple) -> list[Diagnosis]:
    """Why the wrong gradients are wrong."""
    wrong = tuple(k for k, comparison in compared.items() if comparison.gradient.verdict == WRONG)
    if not wrong:
        return []
    target = trial.target
    names = tuple(f"d{name}" for name in target.names)
    return diagnose(
        Evidence(
            target.run, target.inputs, names, trial.outputs, trial.upstream, trial.gradients, right, wrong, TOLERANCE
        )
    )


class _Comparing:
    """One gradient under comparison."""

    def __init__(self, probe: Probe, k: int, name: str, yours: np.ndarray, rng: np.random.Generator):
        self.probe, self.k, self.name, self.yours, self.rng = probe, k, name, yours, rng
        self.shape, self.flat = yours.shape, yours.reshape(-1)
        direction = rng.standard_normal(self.shape)
        self.direction = direction / max(float(np.linalg.norm(direction)), 1e-300)
        self.line = probe.line(k, self.direction)
        self.noise = probe.noise(self.line)

    def compare(self, whole: int, sample: int) -> Comparison:
        """Compare all entries, or a sample and the derivative along a random direction."""
        size = self.flat.size
        analytic = self.probe.is_analytic(self.k, self.direction)
        places = np.arange(size) if size <= whole else self._sample(sample)
        numeric = self.probe.slopes(self.k, places, analytic=analytic)
        scale = max(float(np.abs(numeric[np.isfinite(numeric)]).max(initial=0)), FLOOR)
        judged = self._judge(places, numeric, scale)
        if len(places) < size:
            judged.append(self._judge_direction(scale))
        comparison = self._conclude(places, numeric, judged)
        if comparison.gradient.verdict == WRONG and len(places) < size <= whole * MEASURED_IF_WRONG // ALL_ENTRIES:
            return self.compare(size, size)
        return comparison

    def _sample(self, count: int) -> np.ndarray:
        """The largest entries, and as many at random."""
        largest = np.argsort(np.abs(np.nan_to_num(self.flat)))[-(count // 2) :]
        others = np.setdiff1d(np.arange(self.flat.size), largest)
        return np.concatenate([largest, self.rng.choice(others, count - len(largest), replace=False)])

    def _judge(self, places: np.ndarray, numeric: np.ndarray, scale: float) -> list[tuple[str, float]]:
        """Verdict and error of each entry. `numeric` is improved in place where it was measured with more care."""
        errors = np.abs(self.flat[places] - numeric)
        doubtful = [int(n) for n in np.flatnonzero(~(errors <= TOLERANCE * scale))]
        doubtful.sort(key=lambda n: -np.nan_to_num(errors[n], nan=np.inf))
        judged = [(RIGHT, float(e) / scale) for e in errors]
        confirmed = 0
        for n in doubtful:
            if confirmed >= CONFIRMED:
                judged[n] = (WRONG, float(errors[n]) / scale)
                continue
            slope = self.probe.careful(self._along(places[n]), TOLERANCE * scale / SURE, self.noise)
            before, judged[n] = numeric[n], judge(float(self.flat[places[n]]), slope, scale)
            numeric[n] = slope.value
            same = judged[n][0] == WRONG and abs(before - slope.value) <= 0.01 * errors[n]
            confirmed = confirmed + 1 if same else -len(places)
        return judged

    def _along(self, place: int) -> Line:
        unit = np.zeros(self.shape)
        unit.flat[place] = 1
        return self.probe.line(self.k, unit)

    def _judge_direction(self, scale: float) -> tuple[str, float]:
        """All entries at once: what a sample misses shows in a random sum of all."""
        slope = self.probe.careful(self.line, TOLERANCE * scale / SURE, self.noise)
        return judge(float(np.sum(self.yours * self.direction)), slope, scale)

    def _conclude(self, places: np.ndarray, numeric: np.ndarray, judged: list[tuple[str, float]]) -> Comparison:
        entries = judged[: len(places)]
        verdicts = {verdict for verdict, _ in judged}
        verdict = next((v for v in (WRONG, INCONCLUSIVE) if v in verdicts), RIGHT)
        kinks = sum(v == KINK for v, _ in entries)
        if verdict == RIGHT and kinks and kinks == len(entries):
            verdict = INCONCLUSIVE
        n = max(range(len(entries)), key=lambda n: (entries[n][0] == verdict, entries[n][1]), default=None)
        index = () if n is None else tuple(int(i) for i in np.unravel_index(places[n], self.shape))
        yours, value = (0.0, 0.0) if n is None else (float(self.flat[places[n]]), float(numeric[n]))
        where, right = np.zeros(self.flat.size, bool), np.full(self.flat.size, np.nan)
        where[places] = [v == WRONG for v, _ in entries]
        right[places] = numeric
        error = max((e for v, e in judged if v != KINK), default=0.0)
        gradient = Gradient(
            self.name,
            verdict,
            index,
            yours,
            value,
            error,
            len(places) - kinks,
            self.flat.size,
            _reason(verdict, kinks, judged, len(places)),
            where.reshape(self.shape),
        )
        return Comparison(gradient, right.reshape(self.shape))


KINK = "kink"
"""The verdict on an entry at a kink: between the derivatives of the two sides, every value is right."""


def judge(yours: float, slope: Slope, scale: float) -> tuple[str, float]:
    """Verdict and relative error of one derivative."""
    error = abs(yours - slope.value)
    low, high = sorted((slope.left, slope.right))
    if not np.isfinite(yours):
        return WRONG, np.inf
    if error <= TOLERANCE * scale or (slope.error <= ENOUGH * scale and error <= SURE * slope.error):
        return RIGHT, error / scale
    if slope.kink:
        slack = ENOUGH * scale
        return (KINK, 0.0) if low - slack <= yours <= high + slack else (WRONG, error / scale)
    return (WRONG if error > SURE * slope.error else INCONCLUSIVE), error / scale


def _reason(verdict: str, kinks: int, judged: list[tuple[str, float]], count: int) -> str:
    """Why nothing can be said, or what was left out."""
    if kinks and kinks == count:
        return "every entry lies on a kink, where no derivative is: move the inputs"
    if kinks:
        return f"{kinks} on a kink, where no derivative is, {'was' if kinks == 1 else 'were'} left out"
    if verdict == INCONCLUSIVE:
        many = sum(v == INCONCLUSIVE for v, _ in judged)
        return (
            f"{many} of the differences {'does' if many == 1 else 'do'} not settle as the step shrinks: the function "
            "is too rough there, or too coarsely rounded (float32 inside?)"
        )
    return ""
