"""What a check found, and how it is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from textwrap import fill
from typing import Any

import numpy as np

RIGHT, WRONG, INCONCLUSIVE, BROKEN = "right", "wrong", "inconclusive", "contract broken"
WIDTH = 100
"""Columns of a terminal that a report may fill."""

MOST_NAMES = 6
"""More gradients that were sampled are counted, not named."""

LISTED = 20
"""So many places of wrong entries go into `to_dict`; their number is told in any case."""


@dataclass(frozen=True)
class Gradient:
    """The verdict on the gradient of one input or parameter.

    Attributes
    ----------
    name : str
        dx for the input x, dencoder.weight for the parameter encoder.weight.
    verdict : str
        `right`, `wrong` or `inconclusive`.
    index : tuple of int
        The worst entry among those compared.
    yours, numeric : float
        The two values there.
    error : float
        The largest error, relative to the largest entry; that of a directional derivative included.
    checked, size : int
        How many entries were compared, of how many.
    reason : str
        Why it is inconclusive, or what was stepped around.
    where : bool array of the gradient's shape, or None
        The wrong entries.
    """

    name: str
    verdict: str
    index: tuple[int, ...]
    yours: float
    numeric: float
    error: float
    checked: int
    size: int
    reason: str = ""
    where: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def worst(self) -> str:
        """The worst entry in words."""
        place = f"worst at {list(self.index)}: " if self.index else ""
        return f"{place}yours {self.yours:.4g}, numeric {self.numeric:.4g}"

    @property
    def share(self) -> str:
        """What was compared, if not all."""
        return "" if self.checked == self.size else f"{self.checked} of {self.size} entries compared"

    def __str__(self) -> str:
        parts = [self.worst if self.verdict != RIGHT else f"relative error {self.error:.1e}", self.share, self.reason]
        return f"{self.name}: {self.verdict}, {'; '.join(p for p in parts if p)}"

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it; of the wrong entries their number and the first places."""
        places = [] if self.where is None else np.argwhere(self.where).tolist()
        plain = {name: value for name, value in vars(self).items() if name != "where"}
        numbers = {
            name: value if np.isfinite(value) else str(value) for name, value in plain.items() if _is_number(value)
        }
        return plain | numbers | {"index": list(self.index), "wrong_entries": len(places), "where": places[:LISTED]}


@dataclass(frozen=True)
class Problem:
    """A clause of the contract that the function breaks."""

    cause: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Diagnosis:
    """A hypothesis that explains a wrong gradient.

    Attributes
    ----------
    cause : str
        Identifier, from `causes.py`.
    gradient : str
        Name of the wrong gradient.
    where : str
        Which part of it, in words: "rows 32:48 (gate g)"; empty for all of it.
    residual : float
        Relative size of what the hypothesis leaves unexplained: 0 explains every number.
    text : str
        One or two sentences.
    """

    cause: str
    gradient: str
    where: str
    residual: float
    text: str


@dataclass(frozen=True)
class Weakness:
    """What makes this test blind: a zero bias, one time step, a mask that masks nothing."""

    kind: str
    input: str
    text: str


@dataclass(frozen=True)
class Report:
    """The verdict on a function, and what led to it."""

    function: str
    gradients: list[Gradient] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    weaknesses: list[Weakness] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`contract broken` if there is a problem, else `wrong` or `inconclusive` if a gradient is, else `right`."""
        if self.problems:
            return BROKEN
        verdicts = {g.verdict for g in self.gradients}
        return next((v for v in (WRONG, INCONCLUSIVE) if v in verdicts), RIGHT)

    @property
    def passed(self) -> bool:
        """Is the verdict `right`?"""
        return self.verdict == RIGHT

    @property
    def error(self) -> float:
        """The largest relative error of all gradients."""
        return max((g.error for g in self.gradients), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return {
            "function": self.function,
            "verdict": self.verdict,
            "gradients": [g.to_dict() for g in self.gradients],
            "problems": [asdict(p) for p in self.problems],
            "diagnoses": [asdict(d) for d in self.diagnoses],
            "weaknesses": [asdict(w) for w in self.weaknesses],
        }

    def explain(self) -> str:
        """The report, and for each cause in it a paragraph with the line of maths that is concerned."""
        from minis2s.gradcheck.causes import explain

        causes = dict.fromkeys([p.cause for p in self.problems] + [d.cause for d in self.diagnoses])
        return "\n\n".join([str(self), *(fill(explain(cause), WIDTH, break_long_words=False) for cause in causes)])

    def __str__(self) -> str:
        return "\n".join([self._headline(), *self._lines()])

    def _headline(self) -> str:
        """One line: how many gradients are right, and which are not."""
        right = [g for g in self.gradients if g.verdict == RIGHT]
        if self.problems:
            counted = f"; {len(right)} of {len(self.gradients)} gradients are right" if self.gradients else ""
            return f"{self.function}: contract broken{counted}."
        if len(right) == len(self.gradients):
            return (
                f"{self.function}: all gradients are right ({len(right)}, relative error at most {_power(self.error)})."
            )
        line = f"{self.function}: {len(right)} of {len(self.gradients)} gradients are right."
        for verdict in (WRONG, INCONCLUSIVE):
            names = [g.name for g in self.gradients if g.verdict == verdict]
            line += f" {verdict.capitalize()}: {', '.join(names)}." if names else ""
        return fill(line, WIDTH, subsequent_indent="  ", break_long_words=False)

    def _lines(self) -> list[str]:
        """A paragraph for each thing to be told, its name in front."""
        told = [("contract", str(problem)) for problem in self.problems]
        told += [(g.name, self._tell(g)) for g in self.gradients if g.verdict != RIGHT or g.reason]
        told += self._sampled()
        named = {g.name for g in self.gradients}
        told += [(d.gradient, d.text) for d in self.diagnoses if d.gradient not in named]
        told += [("weak test", weakness.text) for weakness in self.weaknesses]
        width = min(max((len(name) for name, _ in told), default=0), WIDTH // 3)
        return [_hang(f"{name:{width}}", text) for name, text in told]

    def _sampled(self) -> list[tuple[str, str]]:
        """What share of the gradients was looked at, if not all."""
        parts = [g for g in self.gradients if g.verdict == RIGHT and g.share and not g.reason]
        if not parts:
            return []
        names = ", ".join(g.name for g in parts) if len(parts) <= MOST_NAMES else f"{len(parts)} gradients"
        compared, size = sum(g.checked for g in parts), sum(g.size for g in parts)
        return [("sample", f"{compared:,} of {size:,} entries of {names}, and a derivative along a direction of each.")]

    def _tell(self, gradient: Gradient) -> str:
        """What is wrong with one gradient, and why, or how much of it was looked at."""
        best = next((d.text for d in self.diagnoses if d.gradient == gradient.name), "")
        first = gradient.worst if gradient.verdict != RIGHT else ""
        return " ".join(
            text if text.endswith("?") else f"{text.rstrip('.')}."
            for text in (first, best, gradient.reason, gradient.share)
            if text
        )

    def _repr_html_(self) -> str:
        from minis2s.gradcheck.html import to_html

        return to_html(self)


def _hang(name: str, text: str) -> str:
    """A paragraph whose first word stands out."""
    first = f"  {name}  "
    return fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * min(len(first), 16), break_long_words=False)


def _power(error: float) -> str:
    return f"{error:.0e}" if error else "0"


def _is_number(value: Any) -> bool:
    return isinstance(value, float)
