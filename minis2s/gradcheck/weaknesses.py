"""What makes a test blind: inputs on which a wrong backward gives the right numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np

from minis2s.gradcheck.contract import Trial
from minis2s.gradcheck.numeric import is_float
from minis2s.gradcheck.report import Weakness

TINY = 1e-6
"""A derivative below this share of the largest is one that no training would feel."""

Found = Iterator[tuple[str, str]]
"""Kinds and texts."""


def find_weaknesses(trial: Trial, right: tuple) -> list[Weakness]:
    """Look at the inputs, and at the right gradients (None where they were not measured)."""
    found = []
    for name, x in _arrays(trial):
        for look in (_zero, _constant, _symmetric, _mask, _ids):
            found += [Weakness(kind, name, f"{name} {text}") for kind, text in look(name, x)]
    found += [Weakness("one-time-step", name, f"{name} {text}") for name, text in _one_step(trial)]
    found += [Weakness("no-repeated-ids", name, f"{name} {text}") for name, text in _unique_ids(trial)]
    found += _gradients(trial, right)
    return found


def _arrays(trial: Trial) -> Iterator[tuple[str, np.ndarray]]:
    """All arrays among the inputs, those of a batch included."""
    for name, x in zip(trial.target.names, trial.target.inputs, strict=True):
        if isinstance(x, np.ndarray):
            yield name, x
    for x in (*trial.target.inputs, *trial.target.constants):
        if is_dataclass(x):
            for field in fields(x):
                value = getattr(x, field.name)
                if isinstance(value, np.ndarray) and field.name != "indices":
                    yield field.name, value


# --------------------------------------------------------------------------------------------------------------- inputs


def _is_bias(name: str, x: np.ndarray) -> bool:
    return x.ndim == 1 and bool(re.match(r"b\d*$|b_|b[a-z]{1,2}$|beta|bias", name.rpartition(".")[2]))


def _is_state(name: str) -> bool:
    return bool(re.match(r"(prev_?)?[hc](\d|_?0|_?prev)?$|(prev_?|initial_?)?state|(h|c)_?(t|tm1|init)$", name))


def _zero(name: str, x: np.ndarray) -> Found:
    """Zero inputs hide whatever is multiplied by them, and left-out terms."""
    if not is_float(x) or not x.size or np.any(x):
        return
    if _is_bias(name, x):
        yield "zero-bias", "is all zero: a backward that forgets it, or takes another for it, passes; draw it at random"
    elif _is_state(name):
        yield "zero-state", "is all zero: what is multiplied by the state is not tested; draw it at random"
    else:
        yield "zero-input", "is all zero: every product with it vanishes, right or wrong; draw it at random"


def _constant(name: str, x: np.ndarray) -> Found:
    """Equal entries hide permutations, transposes and sums over a wrong axis."""
    if is_float(x) and x.size > 1 and x.flat[0] != 0 and np.all(x == x.flat[0]):
        yield "constant-input", f"is {x.flat[0]:g} everywhere: permuted or transposed entries pass; draw it at random"


def _symmetric(name: str, x: np.ndarray) -> Found:
    """A symmetric matrix hides its transpose."""
    is_square = is_float(x) and x.ndim == 2 and x.shape[0] == x.shape[1] > 1
    if is_square and np.array_equal(x, x.T) and not np.all(x == x.flat[0]):
        yield "symmetric", "is symmetric: a backward that forgets to transpose it passes; draw it at random"


def _mask(name: str, x: np.ndarray) -> Found:
    """A mask is tested where it says both."""
    if x.dtype == bool and x.size > 1 and x.all():
        yield (
            "mask-masks-nothing",
            "is True everywhere: a backward without a mask passes; make sentences of unequal length",
        )
    elif x.dtype == bool and x.size > 1 and not x.any():
        yield "mask-masks-all", "is False everywhere: nothing is left to be tested"


def _ids(name: str, x: np.ndarray) -> Found:
    if x.dtype.kind in "iu" and x.ndim and x.size > 1 and np.all(x == x.flat[0]):
        yield "constant-ids", f"is {x.flat[0]} everywhere: all ids but one are untested; draw them at random"


def _unique_ids(trial: Trial) -> Found:
    """Ids that pick rows of a table: without a repeated one, assigning gradients looks like adding them."""
    tables = [x for x in trial.target.inputs if is_float(x) and x.ndim == 2]
    shapes = {np.shape(y) for y in trial.outputs}
    for name, x in zip(trial.target.names, trial.target.inputs, strict=True):
        is_unique = isinstance(x, np.ndarray) and x.dtype.kind in "iu" and 1 < x.size == len(np.unique(x))
        if is_unique and any((*x.shape, table.shape[1]) in shapes for table in tables):
            yield name, "has no repeated id: a backward that assigns rows instead of adding them passes"


def _one_step(trial: Trial) -> Found:
    """One time step hides everything that is carried from step to step. Time comes first, in a pair often second."""
    for name, x in _arrays(trial):
        is_sequence = (is_float(x) and x.ndim == 3) or (x.dtype.kind in "biu" and x.ndim == 2)
        if is_sequence and x.size and 1 in x.shape[:2] and _is_sequence_name(name):
            yield (
                name,
                f"has shape {x.shape}, one step or one item: carries and sums are not tested; take three at least",
            )


def _is_sequence_name(name: str) -> bool:
    return bool(re.match(r"x|ids|mask|source|target|input|seq|tokens|words|features|emb", name.lower()))


# ------------------------------------------------------------------------------------------------------------ gradients


def _gradients(trial: Trial, right: tuple) -> list[Weakness]:
    """Inputs of which the outputs hardly depend here."""
    found = []
    reach = min(max((float(np.abs(y).max(initial=0)) for y in _floats(trial.outputs)), default=0.0), 1.0)
    for name, dx in zip(trial.target.names, right, strict=True):
        if dx is None or not np.isfinite(dx).any():
            continue
        sizes = np.abs(dx[np.isfinite(dx)])
        small = (sizes > 0) & (sizes < TINY * max(sizes.max(), reach if not trial.target.loss else 0))
        if np.mean(small) > 0.5 or (not sizes.any() and _at_limits(trial)):
            text = f"d{name} is almost zero: units are saturated, so even a wrong derivative passes; use smaller inputs"
            found.append(Weakness("saturated", name, text))
    if trial.target.parameters < len(trial.target.inputs) and (dead := _dead_units(trial)):
        found.append(Weakness("dead-relu", "", f"{dead}: no gradient passes them, right or wrong; draw other weights"))
    return found


def _at_limits(trial: Trial) -> bool:
    """Are all outputs where squashing functions end?"""
    return all(np.all(np.isin(np.round(y, 6), (-1, 0, 1))) and np.any(y) for y in _floats(trial.outputs))


def _dead_units(trial: Trial) -> str:
    """Units of the last axis that are zero for every item, if they are most."""
    for y in _floats(trial.outputs):
        if y.ndim < 2 or y.min(initial=0) < 0 or not y.size:
            continue
        dead = int(np.sum(~y.reshape(-1, y.shape[-1]).any(axis=0)))
        if dead > y.shape[-1] / 2:
            return f"{dead} of {y.shape[-1]} units are zero for every item"
    return ""


def _floats(outputs: tuple) -> list[np.ndarray]:
    return [np.asarray(y) for y in outputs if y is not None and np.asarray(y).dtype.kind == "f"]
