"""Derivatives by numbers: complex steps where a function allows them, else differences with a known error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Outputs = tuple

STEPS = tuple(2.0**-k for k in (6, 10, 14, 18, 22))
"""First steps to try, relative to the inputs' size. Each is halved twice; the next follows where there is a kink."""

SMALLEST = 1e-3
"""Inputs that are smaller are varied as if they had this size."""

JITTER = 2.0**-16
"""So far apart are the points at which the noise of a function is measured."""

COMPLEX_STEP = 1e-30
ROUNDING = 8 * np.finfo(np.float64).eps
VERIFIED = 1e-6
ROUGHLY = 1e-2
"""So well must a complex step agree with a difference, as far as that is sure itself, before it is trusted."""


class Slope(NamedTuple):
    """A derivative along a line.

    Attributes
    ----------
    value, error : float
        The derivative, and a bound on its error.
    left, right : float
        One-sided derivatives, from below and above, where they differ most. At a kink they do, however small the step.
    """

    value: float
    error: float
    left: float
    right: float

    @property
    def kink(self) -> bool:
        """Is there a kink right here? A bend that is merely sharp gets smaller with the step."""
        gap = abs(self.right - self.left)
        return self.error >= gap / 100 > 1e-7 * max(abs(self.left), abs(self.right))


@dataclass(frozen=True)
class Line:
    """A function on a straight line through the inputs: the outputs at x + t u, for a number t.

    `unit` is the t that changes some input by its own size, and none by more: steps are fractions of it.
    """

    outputs: Callable[[float], Outputs]
    unit: float

    def __call__(self, t: float) -> Outputs:
        """The outputs at x + t u."""
        return self.outputs(t)


class Probe:
    """A function, its inputs and the upstream gradient: L = sum of dy * y is what is differentiated.

    The difference of two outputs is taken before it is multiplied by dy and summed: outputs that do not change cancel
    to exactly zero, and so does their rounding.
    """

    def __init__(self, forward: Callable[..., Outputs], inputs: tuple, upstream: tuple):
        self.forward, self.inputs, self.upstream = forward, inputs, upstream
        self.base = forward(*inputs)
        # -inf is the logarithm of what a mask forbids: a constant, which has no difference
        self.constant = [None if np.all(np.isfinite(y)) else ~np.isfinite(y) for y in _numbers(self.base)]

    def line(self, k: int, direction: np.ndarray) -> Line:
        """Vary input k along `direction`."""
        x = self.inputs[k]
        size = np.maximum(np.maximum(np.abs(x), np.sqrt(np.mean(x * x))), SMALLEST)
        unit = 1 / (float(np.max(np.abs(direction) / size, initial=0)) or 1.0)
        return Line(lambda t: self.forward(*self.inputs[:k], x + t * direction, *self.inputs[k + 1 :]), unit)

    def change(self, a: Outputs, b: Outputs) -> float:
        """The change of L between two outputs."""
        total = 0.0
        for y, z, dy, constant in zip(a, b, self.upstream, self.constant, strict=True):
            if dy is not None:
                difference = np.subtract(y, z)
                if constant is not None:
                    difference = np.where(constant, 0, difference)
                total += float(np.sum(difference * dy))
        return total

    def noise(self, line: Line) -> float:
        """What rounding makes of L, from its outputs' size, and from differences of high order along a line.

        Of a smooth function the fourth difference all but vanishes; of independent errors it is sqrt(70) times one of
        them (More & Wild 2011). So float32 inside, or a large number that cancels, is seen. It is measured in three
        places, and the median taken: in one there may be a kink.
        """
        squares = sum(np.sum(np.where(np.isfinite(y), y, 0) ** 2 * dy**2) for y, dy in self._pairs(self.base))
        around = [
            [self.change(line(n * JITTER * line.unit), self.base) for n in range(start, start + 7)]
            for start in (-19, -3, 13)
        ]
        rough = np.median(np.sqrt(np.mean(np.diff(around, 4) ** 2, axis=1) / 70))
        return float(ROUNDING * np.sqrt(squares) + 3 * np.nan_to_num(rough))

    def _pairs(self, outputs: Outputs) -> list[tuple[Any, np.ndarray]]:
        """Outputs that have a gradient, and the gradient."""
        return [(y, dy) for y, dy in zip(outputs, self.upstream, strict=True) if dy is not None]

    def quick(self, line: Line) -> float:
        """Two central differences, the error of order h^2 taken out. It says nothing of what is left."""
        h = STEPS[0] / 2 * line.unit
        far = self.change(line(h), line(-h)) / (2 * h)
        near = self.change(line(h / 2), line(-h / 2)) / h
        return (4 * near - far) / 3

    def careful(self, line: Line, goal: float, noise: float) -> Slope:
        """Smaller and smaller steps, until the error is below `goal`; the best of all if it never is."""
        best = slope = self._extrapolate(line, STEPS[0] * line.unit, noise)
        for h in STEPS[1:]:
            if best.error <= goal:
                break
            slope = self._extrapolate(line, h * line.unit, noise)
            if not slope.error >= best.error:
                best = slope
        return best if best.error <= goal else best._replace(left=slope.left, right=slope.right)

    def _extrapolate(self, line: Line, h: float, noise: float) -> Slope:
        """Richardson: from the steps h, h/2, h/4, the limit of differences on both sides, on the left and on the right.

            D(h) = (L(h) - L(-h)) / 2h = L' + O(h^2),    G(h) = (L(h) - 2 L(0) + L(-h)) / h = O(h)

        D's limit is the derivative, G's is zero: if not, there is a kink between -h and h, and D is worth nothing.
        """
        central, sides = [], []
        for step in (h, h / 2, h / 4):
            above, below = line(step), line(-step)
            sides.append((self.change(self.base, below) / step, self.change(above, self.base) / step))
            central.append(self.change(above, below) / (2 * step))
        fine, finer = (4 * central[1] - central[0]) / 3, (4 * central[2] - central[1]) / 3
        value = (16 * finer - fine) / 15
        gap = [right - left for left, right in sides]
        bend, sharper = 2 * gap[1] - gap[0], 2 * gap[2] - gap[1]
        error = abs(value - finer) + abs(8 * sharper - bend) / 7 + 4 * noise / h
        return Slope(value, error if np.isfinite(value) else np.inf, *max(sides, key=lambda s: abs(s[1] - s[0])))

    def exact(self, k: int, direction: np.ndarray) -> float:
        """The complex step: Im L(x + i h u) / h. No difference, so no rounding, and h may be tiny."""
        inputs = [x.astype(np.complex128) if is_float(x) else x for x in self.inputs]
        inputs[k] = inputs[k] + COMPLEX_STEP * 1j * direction
        outputs = self.forward(*inputs)
        return sum(float(np.sum(np.where(np.isfinite(y), np.imag(y), 0) * dy)) for y, dy in self._pairs(outputs)) / (
            COMPLEX_STEP
        )

    def is_analytic(self, k: int, direction: np.ndarray) -> bool:
        """Does the complex step work for input k? Tried along a direction that moves every entry at once."""
        try:
            exact = self.exact(k, direction)
        except Exception:
            return False
        line = self.line(k, direction)
        slope = self.careful(line, VERIFIED * abs(exact) / 10, self.noise(line))
        size = max(abs(slope.value), VERIFIED)
        return slope.error <= ROUGHLY * size and abs(exact - slope.value) <= max(VERIFIED * size, 4 * slope.error)

    def slopes(self, k: int, places: np.ndarray, *, analytic: bool) -> np.ndarray:
        """Derivatives by some entries of input k, without an error estimate."""
        x = self.inputs[k]
        unit, found = np.zeros(x.shape), np.empty(len(places))
        for n, place in enumerate(places):
            unit.flat[place] = 1
            found[n] = self.exact(k, unit) if analytic else self.quick(self.line(k, unit))
            unit.flat[place] = 0
        return found


def gradient(function: Callable[..., Any], inputs: tuple, upstream: tuple, k: int) -> np.ndarray:
    """The numeric gradient of sum(upstream * outputs) by input k. `function` returns a tuple of outputs first."""
    probe = Probe(lambda *values: function(*values)[0], inputs, upstream)
    x = inputs[k]
    places = np.arange(x.size)
    direction = np.random.default_rng(0).standard_normal(x.shape)
    return probe.slopes(k, places, analytic=probe.is_analytic(k, direction)).reshape(x.shape)


def is_float(x: Any) -> bool:
    """Is it something with a gradient: an array of floats?"""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _numbers(outputs: Outputs) -> list[np.ndarray]:
    """Outputs as arrays of floats; what is none counts as a zero."""
    return [np.asarray(y) if np.asarray(y).dtype.kind in "fc" else np.zeros(()) for y in outputs]
