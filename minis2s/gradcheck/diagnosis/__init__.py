"""From wrong numbers to the mistake that made them.

Each hypothesis computes what the gradient would be if one certain mistake had been made, and is held against the
gradient that came. None looks at source text: a loop and an einsum with the same mistake give the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minis2s.gradcheck.diagnosis.evidence import Evidence

if TYPE_CHECKING:
    from minis2s.gradcheck.report import Diagnosis

__all__ = ["Evidence", "diagnose"]


def diagnose(evidence: Evidence) -> list[Diagnosis]:
    """The causes that explain the wrong gradients, best first."""
    import numpy as np

    from minis2s.gradcheck.diagnosis.contributions import contributions
    from minis2s.gradcheck.diagnosis.experiments import experiments
    from minis2s.gradcheck.diagnosis.fits import of_shares
    from minis2s.gradcheck.diagnosis.numbers import numbers
    from minis2s.gradcheck.diagnosis.ranking import told
    from minis2s.gradcheck.diagnosis.structure import records, sharpened, structure

    with np.errstate(all="ignore"):
        tapes = records(evidence)
        evidence = sharpened(evidence, tapes)
        found = [*numbers(evidence), *structure(evidence, tapes), *experiments(evidence, tapes)]
        found.extend(of_shares(evidence, tapes))
        if not any(candidate.explained for candidate in found):  # differences of each entry are slow
            found.extend(contributions(evidence))
        return told(evidence, found)
