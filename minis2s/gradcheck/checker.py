"""The check: five-point numeric derivatives in float64, against a random upstream gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from minis2s.gradcheck.report import RIGHT, WRONG, Gradient, Problem, Report

STEP = 1e-3
TOLERANCE = 1e-7
"""Relative. The five-point rule errs by h^4/30 of the fifth derivative, rounding by 1e-16/h: both far below this."""

FLOOR = 1e-4
"""A gradient that is smaller everywhere is held against this: its numeric value is little more than rounding."""

ALL_ENTRIES, SAMPLE = 400, 60
"""Arrays of up to so many entries are compared entirely, of larger ones so many entries and one direction."""


def check(function: Callable[..., Any], *inputs: Any, wrt: Iterable[int] | None = None, seed: int = 0) -> Report:
    """Compare the gradients of `function` with numeric ones, and its backward with the contract.

        dL/dx_i = (8 (L(x + h e_i) - L(x - h e_i)) - (L(x + 2h e_i) - L(x - 2h e_i))) / 12h,   L = sum of y * dy

    The upstream gradient dy is random: ones would hide every error that sums to zero, and all of a softmax. Give biases
    and states that are not zero, at least three time steps, and masks that mask something, for the same reason.

    Parameters
    ----------
    function : callable
        Returns `(output, backward)`; several outputs are a tuple. Must give the same each time: freeze its generator.
    *inputs
        Arrays of floats are made float64, and differentiated; whatever else is passed on, and has the gradient None.
    wrt : places of the inputs to check, or None for all arrays of floats
    seed : int
        Of the upstream gradient and of the sampled entries.
    """
    rng = np.random.default_rng(seed)
    inputs = tuple(_float64(x) for x in inputs)
    names = _names(function, len(inputs))
    outputs, backward = function(*inputs)
    outputs = _as_tuple(outputs)
    upstream = tuple(np.asarray(rng.standard_normal(np.shape(y))) for y in outputs)
    before = [np.copy(a) for a in (*inputs, *upstream) if isinstance(a, np.ndarray)]
    gradients = _as_tuple(backward(*upstream))
    label = getattr(function, "__name__", type(function).__name__)

    problems = _problems(names, inputs, gradients)
    if problems:
        return Report(label, [], [Problem("unknown", p) for p in problems])
    arrays = [a for a in (*inputs, *upstream) if isinstance(a, np.ndarray)]
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(arrays, before, strict=True)):
        problems.append("backward changed its argument or an input of the forward pass: copy before you write")
    problems += _aliases(names, gradients, upstream)
    again = _as_tuple(backward(*(np.copy(dy) for dy in upstream)))
    if not all(a is b is None or np.array_equal(a, b, equal_nan=True) for a, b in zip(gradients, again, strict=True)):
        problems.append("backward answers differently the second time: it changes what it remembers")

    def loss(k: int, x: np.ndarray) -> float:
        y, _ = function(*inputs[:k], x, *inputs[k + 1 :])
        return sum(float((a * dy).sum()) for a, dy in zip(_as_tuple(y), upstream, strict=True))

    chosen = [k for k, x in enumerate(inputs) if _is_float(x)] if wrt is None else list(wrt)
    compared = [_compare(names[k], inputs[k], gradients[k], partial(loss, k), rng) for k in chosen]
    return Report(label, compared, [Problem("unknown", p) for p in problems])


def _compare(
    name: str, x: np.ndarray, dx: np.ndarray, loss: Callable[[np.ndarray], float], rng: np.random.Generator
) -> Gradient:
    """Compare entries of `dx`, all or a sample, and for a sample the derivative in one random direction too."""
    places = np.arange(x.size) if x.size <= ALL_ENTRIES else rng.choice(x.size, SAMPLE, replace=False)
    unit = np.zeros(x.shape)
    numeric = np.empty(len(places))
    for n, place in enumerate(places):
        unit.flat[place] = 1
        numeric[n] = _derivative(loss, x, unit)
        unit.flat[place] = 0
    yours = dx.reshape(-1)[places]
    # Errors are measured against the size of the whole gradient: an entry that is zero but for rounding is right.
    scale = max(np.abs(numeric).max(initial=0), np.abs(dx).max(initial=0), FLOOR)
    errors = np.where(np.isfinite(yours), np.abs(yours - numeric) / scale, np.inf)
    worst = int(errors.argmax()) if len(errors) else 0
    error = float(errors.max(initial=0))
    if len(places) < x.size:
        direction = rng.standard_normal(x.shape)
        slope = _derivative(loss, x, direction / np.linalg.norm(direction))
        error = max(error, abs(float((dx * direction).sum()) / np.linalg.norm(direction) - slope) / scale)
    index = tuple(int(i) for i in np.unravel_index(places[worst], x.shape)) if len(places) else ()
    verdict = RIGHT if error <= TOLERANCE else WRONG
    return Gradient(name, verdict, index, float(yours[worst]), float(numeric[worst]), error, len(places), x.size)


def _derivative(loss: Callable[[np.ndarray], float], x: np.ndarray, direction: np.ndarray) -> float:
    """The five-point rule."""
    h = STEP
    near = loss(x + h * direction) - loss(x - h * direction)
    far = loss(x + 2 * h * direction) - loss(x - 2 * h * direction)
    return (8 * near - far) / (12 * h)


def _problems(names: list[str], inputs: tuple, gradients: tuple) -> list[str]:
    """What is wrong with the number, type and shape of the gradients."""
    if len(gradients) != len(inputs):
        return [
            f"backward returned {len(gradients)} gradients for {len(inputs)} inputs: one each, None for ids and masks"
        ]
    found = []
    for name, x, dx in zip(names, inputs, gradients, strict=True):
        if not _is_float(x):
            if dx is not None:
                found.append(f"{name} should be None: ids, masks and missing inputs have no gradient")
        elif not isinstance(dx, np.ndarray | np.floating):
            found.append(f"{name} is {type(dx).__name__}, expected an array of shape {x.shape}")
        elif np.shape(dx) != x.shape:
            found.append(f"{name} has shape {np.shape(dx)}, expected that of its input, {x.shape}")
        elif dx.dtype != x.dtype:
            found.append(f"{name} is {dx.dtype}, its input is {x.dtype}: something inside is not computed in float64")
    return found


def _aliases(names: list[str], gradients: tuple, upstream: tuple) -> list[str]:
    """Which gradients share memory with each other or with the upstream gradient."""
    named = [(n, g) for n, g in zip(names, gradients, strict=True) if isinstance(g, np.ndarray)]
    named += [("dy", dy) for dy in upstream]
    return [
        f"{a} and {b} share memory: whoever adds to one changes the other; return a copy"
        for (a, x), (b, y) in combinations(named, 2)
        if np.shares_memory(x, y)
    ]


def _names(function: Callable[..., Any], count: int) -> list[str]:
    """dx for each input x, from the function's signature, or d0, d1, ... where it has none."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    found = [f"d{p.name}" for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [found[k] if k < len(found) else f"d{k}" for k in range(count)]


def _float64(x: Any) -> Any:
    return x.astype(np.float64) if _is_float(x) else x


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _as_tuple(x: Any) -> tuple:
    return x if isinstance(x, tuple) else (x,)
