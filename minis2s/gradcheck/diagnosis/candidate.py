"""A hypothesis that has been held against the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minis2s.gradcheck.diagnosis.evidence import Evidence

EXACT = 1e-6
"""A residual below this explains the gradient fully."""

GUESS, DROPPED = 1e-3, 0.3
"""A residual above the first is called a guess, one above the second is not told."""


@dataclass(frozen=True)
class Candidate:
    """A cause, and how much of which wrong gradients it explains.

    Attributes
    ----------
    cause : str
    residuals : dict from the place of a wrong gradient to what is left of its error
        |yours - predicted| / |yours - right|: 0 explains the error fully, 1 not at all.
    cost : float
        Of two that explain the same, the simpler one, with the lower cost, is told first.
    where : str
        In words: which rows, which gate, which step.
    finding : str
        What was found, as the first sentences of the text.
    hint : str
        A question or an advice.
    contradictions : int
        How many gradients are right that the hypothesis holds to be wrong.
    """

    cause: str
    residuals: Mapping[int, float]
    cost: float
    where: str
    finding: str
    hint: str
    contradictions: int = 0

    @property
    def explained(self) -> tuple[int, ...]:
        """The gradients that it explains fully."""
        return tuple(k for k, residual in self.residuals.items() if residual <= EXACT)

    @property
    def residual(self) -> float:
        """What is left, at the gradient that it explains best."""
        return min(self.residuals.values())


def same(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-7) -> bool:
    """Are two gradients equal but for rounding, where both are measured?"""
    measured = np.isfinite(a) & np.isfinite(b)
    scale = max(np.abs(b[measured]).max(initial=0), np.abs(a[measured]).max(initial=0), 1e-4)
    return bool(np.all(np.abs(a - b)[measured] <= tolerance * scale))


def merge(found: Sequence[Candidate]) -> list[Candidate]:
    """One for those that say the same, in equal words, of several gradients."""
    groups: dict[tuple, list[Candidate]] = {}
    for candidate in found:
        groups.setdefault((candidate.cause, candidate.finding, candidate.hint, candidate.where), []).append(candidate)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[Candidate]) -> Candidate:
    first = group[0]
    residuals = {k: r for candidate in group for k, r in candidate.residuals.items()}
    cost = min(c.cost for c in group)
    return Candidate(first.cause, residuals, cost, first.where, first.finding, first.hint, first.contradictions)


def gate_names(count: int, inputs: Sequence) -> str:
    """The letters of the gates: of an LSTM's four, a GRU's three."""
    return {4: "ifgo", 3: "rzn"}.get(count, "")


def rows_in_words(evidence: Evidence, k: int, rows: np.ndarray) -> str:
    """Name the rows of a gradient that are True in `rows`: a range, and the gate if it is one."""
    size = len(rows)
    places = np.flatnonzero(rows)
    if len(places) == 0 or len(places) == size:
        return "all rows"
    first, last = int(places[0]), int(places[-1]) + 1
    if last - first != len(places):
        return "rows " + ", ".join(str(p) for p in places[:6]) + (" ..." if len(places) > 6 else "")
    words = f"row {first}" if last - first == 1 else f"rows {first}:{last}"
    gates = gates_of(evidence, k)
    letters = gate_names(gates, evidence.inputs)
    if letters:
        H = size // gates
        if first % H == 0 and last % H == 0:
            named = letters[first // H : last // H]
            words += f" (gate{'s' if len(named) > 1 else ''} {' '.join(named)})"
    return words


def gates_of(evidence: Evidence, k: int) -> int:
    """How many gates' rows lie in gradient `k`: 4 or 3 if there are so many rows for each unit of the output."""
    size = np.shape(evidence.inputs[k])[0] if np.ndim(evidence.inputs[k]) else 0
    units = np.shape(evidence.outputs[0])[-1] if np.ndim(evidence.outputs[0]) > 1 else 0
    recurrent = any(np.shape(x) in ((size, units), (units, size)) for x in evidence.inputs)
    return next((count for count in (4, 3) if recurrent and size == count * units), 0)
