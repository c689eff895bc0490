"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

RIGHT, WRONG, BROKEN = "right", "wrong", "contract broken"


@dataclass(frozen=True)
class Gradient:
    """The verdict on the gradient of one input.

    Attributes
    ----------
    name : str
        dx for the input x.
    verdict : str
        `right` or `wrong`.
    index : tuple of int
        The worst entry among those checked.
    yours, numeric : float
        The two values there.
    error : float
        The largest relative error, that of a directional derivative included.
    checked, size : int
        How many entries were compared, of how many.
    """

    name: str
    verdict: str
    index: tuple[int, ...]
    yours: float
    numeric: float
    error: float
    checked: int
    size: int

    def __str__(self) -> str:
        share = "" if self.checked == self.size else f", {self.checked} of {self.size} entries"
        place = f"worst at {list(self.index)}: yours {self.yours:.6g}, numeric {self.numeric:.6g}"
        return f"{self.name}: {self.verdict}, {place}, relative error {self.error:.1e}{share}"


@dataclass(frozen=True)
class Report:
    """The verdict on a function: `right`, `wrong`, or `contract broken`, and what led to it."""

    function: str
    gradients: list[Gradient] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`contract broken` if there is any problem, `wrong` if any gradient is, else `right`."""
        if self.problems:
            return BROKEN
        return WRONG if any(g.verdict == WRONG for g in self.gradients) else RIGHT

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
        return {"verdict": self.verdict, **asdict(self)}

    def __str__(self) -> str:
        lines = [f"{self.function}: {self.verdict}"]
        lines += [f"  the contract: {problem}" for problem in self.problems]
        return "\n".join(lines + [f"  {g}" for g in self.gradients])
