"""Why is the gradient wrong? Hypotheses that are held against the numbers."""

from minis2s.gradcheck.diagnosis.evidence import Evidence
from minis2s.gradcheck.report import Diagnosis

__all__ = ["Evidence", "diagnose"]


def diagnose(evidence: Evidence) -> list[Diagnosis]:
    """Hypotheses that explain the wrong gradients, best first."""
    return []
