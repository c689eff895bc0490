"""Scheduled sampling: wean the decoder off the true tokens, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

KINDS = ("none", "linear", "exponential", "inverse_sigmoid")


@dataclass(frozen=True)
class ScheduledSampling:
    """Probability of feeding the true token, by training step i (Bengio et al. 2015, section 2.4).

        linear            eps = max(final, 1 - i / k)
        exponential       eps = max(final, exp(-i / k))
        inverse_sigmoid   eps = max(final, k / (k + exp(i / k)))

    Each token of each sentence draws anew; the paper's coin is per token, and one per sentence teaches less.
    `k` sets the pace, in steps.
    """

    kind: str = "none"
    k: float = 1000.0
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"ScheduledSampling: kind is {self.kind!r}, expected one of {', '.join(KINDS)}")

    def __call__(self, step: int) -> float:
        """Probability of the true token at training step `step`."""
        if self.kind == "none":
            return 1.0
        pace = step / self.k
        curve = {
            "linear": 1 - pace,
            "exponential": exp(-pace),
            "inverse_sigmoid": self.k / (self.k + exp(min(pace, 700))),
        }
        return max(self.final, curve[self.kind])
