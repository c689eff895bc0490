"""The contract of a backward: what it must return, and what it must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from minis2s.gradcheck.numeric import is_float
from minis2s.gradcheck.report import Problem
from minis2s.gradcheck.targets import MisfitError, Target

REPEATED = 1e-10
"""Two runs of the same lines differ by no more, relative to the largest number; threads may add in another order."""

GRID = 2.0**10
"""Multiples of 1/GRID are constants, as 0, 1 or a count, rather than numbers rounded to float32."""


@dataclass(frozen=True)
class Trial:
    """One forward and one backward pass. A gradient that cannot be compared is None."""

    target: Target
    outputs: tuple
    upstream: tuple
    gradients: tuple
    problems: list[Problem]


def examine(target: Target, rng: np.random.Generator) -> Trial:
    """Run a target forward and backward, several times, and note every clause that it breaks."""
    inputs = _copies(target.inputs)
    problems: list[Problem] = []

    def failed(cause: str = "", text: str = "") -> Trial:
        return Trial(target, (), (), (), problems + ([Problem(cause, text)] if cause else []))

    try:
        outputs, backward = target.run(*inputs)
    except Exception as error:
        return failed("raises", f"the forward pass raises {_describe(error)}")
    problems += _input_changed("the forward pass", target, inputs)
    if problems:
        target = target.with_copies()
        inputs = _copies(target.inputs)
    upstream = tuple(_upstream(y, rng, target) for y in outputs)
    problems += _bad_outputs(target, outputs)
    if any(p.cause == "not-finite" for p in problems):
        return failed()
    again = target.forward(*_copies(target.inputs))
    if not _same(outputs, again):
        return failed("forward-not-deterministic", NOT_REPEATABLE)

    given = _copies(upstream)
    try:
        gradients = backward(*given)
    except MisfitError as error:
        return failed("gradient-count", str(error))
    except Exception as error:
        return failed("raises", f"backward raises {_describe(error)}")
    problems += _aliases(target, gradients, given, inputs)
    first = _copies(gradients)
    if not _same(given, upstream):
        problems.append(Problem("dy-changed", "backward changes dy, its argument: copy it before you write into it"))
    problems += _input_changed("backward", target, inputs) if not problems else []
    problems += _second_call(target, backward, upstream, gradients, first)
    problems += _other_call(target, upstream, first) if not problems else []
    problems += _overwritten(target, upstream, first)
    problems += _bad_gradients(target, first)
    usable = tuple(_usable(x, dx) for x, dx in zip(target.inputs, first, strict=True))
    return Trial(target, outputs, upstream, usable, problems)


NOT_REPEATABLE = (
    "the forward pass gives other outputs the second time: draw random numbers from a numpy.random.Generator that is "
    "an input or a keyword (it is turned back before every call), and keep nothing between calls"
)


# -------------------------------------------------------------------------------------------------------------- forward


def _upstream(y: Any, rng: np.random.Generator, target: Target) -> np.ndarray | None:
    """A random gradient for each output of floats. Ones would hide every error that sums to zero."""
    if y is None or np.asarray(y).dtype.kind != "f":
        return None
    return np.ones(()) if target.loss else np.asarray(rng.standard_normal(np.shape(y)))


def _bad_outputs(target: Target, outputs: tuple) -> list[Problem]:
    """NaN, inf, and float32 where the inputs are float64."""
    masked = any(isinstance(x, np.ndarray) and x.dtype == bool for x in target.inputs)
    found = []
    for name, y in zip(_output_names(outputs), outputs, strict=True):
        if y is None or np.asarray(y).dtype.kind != "f":
            continue
        bad = np.isnan(y) | ((np.asarray(y) == np.inf) if masked else np.isinf(y))
        if np.any(bad):
            found.append(Problem("not-finite", f"the forward pass gives {_first(np.asarray(y), bad, name)}"))
        elif _is_float32(np.asarray(y)) and not all(_is_float32(x) for x in target.inputs if is_float(x)):
            found.append(
                Problem(
                    "float32-inside",
                    f"{name} has only the digits of float32, its inputs are float64: let arrays be made in their dtype",
                )
            )
    return found


def _is_float32(y: np.ndarray) -> bool:
    """Are all numbers rounded to float32, by their dtype or in fact?"""
    if y.dtype.itemsize < 8:
        return True
    if not y.size:
        return False
    with np.errstate(all="ignore"):
        return bool(np.all(y == y.astype(np.float32))) and not bool(np.all(y * GRID == np.round(y * GRID)))


def _input_changed(who: str, target: Target, inputs: tuple) -> list[Problem]:
    return [
        Problem("input-changed", f"{who} changes its input {name}: copy it before you write into it")
        for name, x, before in zip(target.names, inputs, target.inputs, strict=True)
        if isinstance(x, np.ndarray) and not np.array_equal(x, before, equal_nan=x.dtype.kind == "f")
    ]


# ------------------------------------------------------------------------------------------------------------ gradients


def _bad_gradients(target: Target, gradients: tuple) -> list[Problem]:
    """What is wrong with the type, shape and dtype of the gradients."""
    found = []
    shapes = [np.shape(x) for x in target.inputs if is_float(x)]
    in_order = [np.shape(dx) for dx in gradients if dx is not None]
    hint = ": are they in another order?" if shapes != in_order and sorted(shapes) == sorted(in_order) else ""
    for name, x, dx in zip(target.names, target.inputs, gradients, strict=True):
        if problem := _bad_gradient(f"d{name}", x, dx):
            cause, text = problem
            found.append(Problem(cause, text + (hint if cause == "gradient-shape" else "")))
    return found


def _bad_gradient(name: str, x: Any, dx: Any) -> tuple[str, str] | None:
    """Cause and text of the first thing that is wrong with one gradient."""
    if not is_float(x):
        if dx is None:
            return None
        return "gradient-for-integers", f"{name} should be None: ids, masks and missing inputs have no gradient"
    if dx is None:
        return "gradient-missing", f"{name} is None, expected an array of shape {x.shape}"
    if not isinstance(dx, np.ndarray | np.generic | float | int):
        return "gradient-dtype", f"{name} is {type(dx).__name__}, expected a NumPy array of shape {x.shape}"
    if np.shape(dx) != x.shape:
        turned = ", its transpose's" if x.ndim == 2 and np.shape(dx) == x.shape[::-1] else ""
        return "gradient-shape", f"{name} has shape {np.shape(dx)}{turned}, expected that of its input, {x.shape}"
    if np.asarray(dx).dtype != x.dtype:
        return "gradient-dtype", f"{name} is {np.asarray(dx).dtype}, its input is {x.dtype}: keep the input's dtype"
    if not np.all(np.isfinite(dx)):
        bad = _first(np.asarray(dx), ~np.isfinite(dx), name)
        return "not-finite", f"backward gives {bad}, while all outputs of the forward pass are finite"
    return None


def _usable(x: Any, dx: Any) -> np.ndarray | None:
    """A gradient that can be compared, in float64; a missing one counts as zero."""
    if not is_float(x):
        return None
    if dx is None:
        return np.zeros(x.shape)
    is_numeric = isinstance(dx, np.ndarray | np.generic | float | int) and np.asarray(dx).dtype.kind in "fiu"
    return np.array(dx, dtype=np.float64) if is_numeric and np.shape(dx) == x.shape else None


def _aliases(target: Target, gradients: tuple, upstream: tuple, inputs: tuple) -> list[Problem]:
    """Which gradients share memory with each other, with the upstream gradient or with an input."""
    ours = [(f"d{name}", dx) for name, dx in zip(target.names, gradients, strict=True) if isinstance(dx, np.ndarray)]
    theirs = [("dy", dy) for dy in upstream if dy is not None]
    theirs += [(name, x) for name, x in zip(target.names, inputs, strict=True) if is_float(x)]
    pairs = [*combinations(ours, 2), *((mine, other) for mine in ours for other in theirs)]
    return [
        Problem("view-returned", f"{a} and {b} share memory: whoever adds to one changes the other; return a copy")
        for (a, x), (b, y) in pairs
        if np.shares_memory(x, y)
    ]


# --------------------------------------------------------------------------------------------------------- another call


def _second_call(
    target: Target, backward: Callable[..., tuple], upstream: tuple, gradients: tuple, first: tuple
) -> list[Problem]:
    """Does backward give the same once more, and in arrays of its own?"""
    try:
        second = backward(*_copies(upstream))
    except Exception as error:
        return [Problem("second-call-differs", f"backward raises {_describe(error)} when it is called a second time")]
    if not _same(first, second):
        names = ", ".join(f"d{n}" for n, a, b in zip(target.names, first, second, strict=True) if not _same((a,), (b,)))
        return [
            Problem(
                "second-call-differs", f"{names}: another answer the second time; backward changes what it remembers"
            )
        ]
    return [
        Problem("view-returned", f"d{name} of two calls is the same memory: return an array of its own each time")
        for name, a, b in zip(target.names, gradients, second, strict=True)
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.shares_memory(a, b)
    ]


def _other_call(target: Target, upstream: tuple, first: tuple) -> list[Problem]:
    """Does backward still belong to its own forward pass after the function was called on other inputs?"""
    if target.loss:
        return []
    count = len(target.inputs) - target.parameters
    others = [0.9 * x + 0.01 if is_float(x) and k < count else x for k, x in enumerate(_copies(target.inputs))]
    try:
        _, backward = target.run(*_copies(target.inputs))
        target.run(*others)
        late = backward(*_copies(upstream))
    except Exception:  # other inputs may be out of the function's domain; what fails on its own was seen before
        return []
    if _same(first, late):
        return []
    text = "backward gives another answer after the function was called again: keep what it needs in the closure alone"
    return [Problem("second-call-differs", text)]


def _overwritten(target: Target, upstream: tuple, first: tuple) -> list[Problem]:
    """Are parameters' gradients added to what was there?"""
    if target.add is None or not target.parameters:
        return []
    try:
        before, after = target.add(_copies(target.inputs), _copies(upstream))
    except Exception as error:
        return [Problem("raises", f"backward raises {_describe(error)} where gradients are not zero before")]
    named = zip(target.names[-target.parameters :], first[-target.parameters :], before, after, strict=True)
    return [
        Problem("grad-overwritten", f"the gradient of {name} is overwritten, not added to: write `.grad += ...`")
        for name, gradient, old, new in named
        if np.shape(new) != np.shape(old)
        or not _same((np.subtract(new, old),), (gradient,), slack=np.abs(old).max(initial=0))
    ]


# -------------------------------------------------------------------------------------------------------------- helpers


def _same(a: tuple, b: tuple, slack: float = 0.0) -> bool:
    """Equal but for rounding."""
    return len(a) == len(b) and all(_equal(x, y, slack) for x, y in zip(a, b, strict=True))


def _equal(x: Any, y: Any, slack: float) -> bool:
    if x is None or y is None:
        return x is y
    if np.shape(x) != np.shape(y):
        return False
    if np.asarray(x).dtype.kind not in "fiub":
        return type(x) is type(y)
    with np.errstate(all="ignore"):
        size = np.abs(np.where(np.isfinite(x), x, 0)).max(initial=0) + slack
    return bool(np.allclose(x, y, rtol=0, atol=REPEATED * size, equal_nan=True))


def _copies(values: tuple) -> tuple:
    return tuple(np.copy(x) if isinstance(x, np.ndarray) else x for x in values)


def _output_names(outputs: tuple) -> list[str]:
    return [f"output {k}" for k in range(len(outputs))] if len(outputs) > 1 else ["the output"]


def _first(y: np.ndarray, bad: np.ndarray, name: str) -> str:
    """Where the first NaN or inf is, and how many there are."""
    index = [int(i) for i in np.argwhere(bad)[0]]
    return f"{y[tuple(index)]} in {name}" + (f", first at {index}, {int(bad.sum())} in all" if index else "")


def _describe(error: Exception) -> str:
    """One line."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".rstrip(": ")
