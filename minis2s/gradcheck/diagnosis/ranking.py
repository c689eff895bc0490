"""Which explanation is told first, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

import numpy as np

from minis2s.gradcheck.diagnosis.candidate import DROPPED, EXACT, GUESS, Candidate, merge, rows_in_words
from minis2s.gradcheck.diagnosis.evidence import Evidence
from minis2s.gradcheck.report import Diagnosis

TOLD = 6
"""Different causes told at most."""

UNEXPLAINED, CONTRADICTED = 4.0, 1.5
"""What an unexplained wrong gradient, and a right one that is held to be wrong, add to the cost, as shares of all."""


def told(evidence: Evidence, found: Sequence[Candidate]) -> list[Diagnosis]:
    """The best candidate of each cause, then what follows from the first of them."""
    usable = [c for c in merge(found) if c.residual <= DROPPED]
    usable.sort(key=lambda c: badness(evidence, c))
    best: dict[str, Candidate] = {}
    for candidate in usable:
        best.setdefault(candidate.cause, candidate)
    chosen = [c for c in best.values() if c.explained]
    known = {k for c in usable for k in c.explained}
    chosen += [c for c in best.values() if not c.explained and not known.issuperset(c.residuals)]
    chosen = chosen[:TOLD]
    if not chosen:
        return [unknown(evidence)]
    diagnoses: list[Diagnosis] = []
    diagnoses.extend(diagnosis(evidence, c, main_gradient(evidence, c)) for c in chosen)
    return diagnoses + followers(evidence, usable, diagnoses)


def badness(evidence: Evidence, candidate: Candidate) -> tuple:
    """Exact before inexact; then what explains more, contradicts less and is simpler."""
    explained = candidate.explained
    count = len(evidence.wrong)
    right = sum(r is not None for r in evidence.right) - count
    cost = candidate.cost
    cost += UNEXPLAINED * (1 - len(explained) / count) if explained else 0
    cost += CONTRADICTED * candidate.contradictions / max(right, 1)
    if candidate.cause.startswith("mask") and not has_mask(evidence):
        cost += 1.5
    if explained:
        return (0, cost)
    left = candidate.residual
    share = 1 - len(candidate.residuals) / count
    return (1, cost + UNEXPLAINED * share + 2 * max(log10(left / EXACT), 0))


def has_mask(evidence: Evidence) -> bool:
    """Is there an input that is a mask?"""
    arrays = [x for x in evidence.inputs if isinstance(x, np.ndarray) and x.size > 1]
    return any(x.dtype.kind in "biu" or np.all((x == 0) | (x == 1)) for x in arrays)


def main_gradient(evidence: Evidence, candidate: Candidate) -> int:
    """The gradient that shows the mistake best: that of a weight, else the first."""
    best = min(candidate.residuals.values())
    fully = [k for k, r in candidate.residuals.items() if r <= max(EXACT, best)]
    return max(fully, key=lambda k: (evidence.right[k].ndim == 2 and _is_weight(evidence, k), -k))


def _is_weight(evidence: Evidence, k: int) -> bool:
    return "weight" in evidence.names[k].lower() or evidence.names[k].lower().startswith("dw")


def diagnosis(evidence: Evidence, candidate: Candidate, k: int) -> Diagnosis:
    """In words."""
    where = candidate.where if candidate.where != "everywhere" else ""
    where = where or wrong_rows(evidence, k)
    left = candidate.residuals[k]
    finding = candidate.finding[:1].upper() + candidate.finding[1:]
    text = f"{finding}."
    if where and where not in candidate.finding:
        text = f"{where[:1].upper()}{where[1:]}: {candidate.finding}."
    text += f" {candidate.hint}"
    if where.startswith("row") and "others agree" not in text:
        text += " All other rows agree."
    if left > GUESS:
        text = f"A guess, which leaves {left:.0%} of the error unexplained: {text[:1].lower()}{text[1:]}"
    return Diagnosis(candidate.cause, evidence.names[k], where, left, text)


def wrong_rows(evidence: Evidence, k: int) -> str:
    """The rows of a gradient that are wrong, if not all are."""
    yours, right = evidence.yours[k], evidence.right[k]
    if right.ndim == 0 or not np.all(np.isfinite(right)):
        return ""
    scale = max(np.abs(right).max(initial=0), np.abs(yours).max(initial=0), 1e-4)
    wrong = np.abs(yours - right) > 10 * evidence.tolerance * scale
    rows = wrong.reshape(len(wrong), -1).any(axis=1)
    if rows.all() or not rows.any():
        return ""
    return rows_in_words(evidence, k, rows)


def followers(evidence: Evidence, usable: Sequence[Candidate], told: Sequence[Diagnosis]) -> list[Diagnosis]:
    """For each wrong gradient that no diagnosis names yet: what it follows from, or its own best cause."""
    found = []
    for k in evidence.wrong:
        name = evidence.names[k]
        if any(d.gradient == name for d in told):
            continue
        candidate = next((c for c in usable if k in c.explained), None)
        candidate = candidate or next((c for c in usable if c.residuals.get(k, 1.0) <= DROPPED), None)
        if candidate is None:
            found.append(unknown(evidence, k))
            continue
        main = main_gradient(evidence, candidate)
        first = next((d for d in told if d.cause == candidate.cause and d.gradient == evidence.names[main]), None)
        if first is None or main == k:
            found.append(diagnosis(evidence, candidate, k))
        else:
            where = wrong_rows(evidence, k)
            same = "the same rows" if first.where.startswith("row") else f"the same mistake as {first.gradient}"
            found.append(Diagnosis(candidate.cause, name, where, candidate.residuals[k], f"Follows from {same}."))
    return found


def unknown(evidence: Evidence, k: int | None = None) -> Diagnosis:
    """Nothing explains it."""
    k = evidence.wrong[0] if k is None else k
    where = wrong_rows(evidence, k)
    text = "No known mistake gives these numbers. Split the function in two, and check each half."
    if where:
        text = f"{where[:1].upper()}{where[1:]} are wrong, all others agree. {text}"
    return Diagnosis("unknown", evidence.names[k], where, 1.0, text)
