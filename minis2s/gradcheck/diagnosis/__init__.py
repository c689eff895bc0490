"""From wrong numbers to the mistake that made them.

Each hypothesis computes what the gradient would be if one certain mistake had been made, and is held against the
gradient that came. None looks at source text: a loop and an einsum with the same mistake give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from minis2s.gradcheck.diagnosis.evidence import Evidence

if TYPE_CHECKING:
    from minis2s.gradcheck.diagnosis.candidate import Candidate
    from minis2s.gradcheck.diagnosis.tape.entries import Tape
    from minis2s.gradcheck.report import Diagnosis

__all__ = ["Evidence", "diagnose"]

STRICT = False
"""Does a hypothesis that fails stop the check? In our tests; with others' code the report goes on without it."""

T = TypeVar("T")


def diagnose(evidence: Evidence) -> list[Diagnosis]:
    """The causes that explain the wrong gradients, best first."""
    import numpy as np

    from minis2s.gradcheck.diagnosis.contributions import contributions
    from minis2s.gradcheck.diagnosis.experiments import experiments
    from minis2s.gradcheck.diagnosis.numbers import numbers
    from minis2s.gradcheck.diagnosis.ranking import told, unknown
    from minis2s.gradcheck.diagnosis.structure import forgotten_together, records, sharpened, structure

    found: list[Candidate] = []
    with np.errstate(all="ignore"):
        tapes: list[Tape] = _or_else(lambda: records(evidence), [])
        evidence = _or_else(lambda: sharpened(evidence, tapes), evidence)
        for stage in (numbers(evidence), structure(evidence, tapes), experiments(evidence, tapes)):
            _or_else(partial(found.extend, stage), None)
        for last_resort in (contributions(evidence), forgotten_together(evidence, tapes)):  # they are slow
            if not any(candidate.explained for candidate in found):
                _or_else(partial(found.extend, last_resort), None)
        return _or_else(lambda: told(evidence, found), [unknown(evidence)])


def _or_else(work: Callable[[], T], otherwise: T) -> T:
    """What `work` finds, or something else if it fails; what it has added to a list before stays."""
    try:
        return work()
    except Exception:
        if STRICT:
            raise
        return otherwise
