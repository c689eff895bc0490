"""What a person sees while a model trains: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

logger = logging.getLogger("minis2s.training")

QUIET_SECONDS = 15.0
"""Without a terminal, a line of progress at most this often."""


def clock(seconds: float) -> str:
    """Spell a duration as `1:05` (minutes) or `2:01:05` (hours)."""
    minutes, second = divmod(round(max(seconds, 0.0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def compact(number: float) -> str:
    """Spell a number with three digits: `954`, `12.3k`, `1.20M`."""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * factor:
            scaled = number / factor
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{unit}"
    return f"{number:.0f}"


class Progress:
    """Show how far a run has come.

    Parameters
    ----------
    fraction : float
        The share of the run that was done before (0 for a new one), so that the remaining time is estimated from what
        is done now.
    stream : text file, optional
        Where the bar goes: standard error. A terminal gets a bar, anything else a line every `QUIET_SECONDS`.
    """

    def __init__(self, fraction: float = 0.0, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self._bar: Any = None
        self._first_fraction = fraction
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Progress:
        if self.stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=1.0,
                initial=self._first_fraction,
                file=self.stream,
                leave=False,
                dynamic_ncols=True,
                mininterval=0.2,
                unit="",
                bar_format="{desc} {percentage:3.0f}% |{bar}| {unit}",  # {postfix} would begin with a comma
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, epoch: str, fraction: float, loss: float, rate: str) -> None:
        """Show the epoch, the share of the run that is done (0 to 1), the loss so far, and the rate in words."""
        elapsed = time.monotonic() - self._started
        done = fraction - self._first_fraction
        left = f"{clock(elapsed * (1 - fraction) / done)} left" if done > 0 else "? left"
        numbers = f"loss {loss:.4g}, {rate}, {clock(elapsed)} elapsed, {left}"
        if self._bar is not None:
            self._bar.set_description_str(epoch, refresh=False)
            self._bar.unit = numbers
            self._bar.update(fraction - self._bar.n)
        elif time.monotonic() - self._shown >= QUIET_SECONDS:
            self._shown = time.monotonic()
            logger.info("%s: %.0f %% done, %s", epoch, 100 * fraction, numbers)

    def line(self, text: str) -> None:
        """Log a line that stays, without tearing the bar."""
        self._shown = time.monotonic()
        if self._bar is not None:
            self._bar.clear()
        logger.info("%s", text)
        if self._bar is not None:
            self._bar.refresh()
