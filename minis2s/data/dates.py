"""Dates as people write them in fifteen languages, by Babel, to ISO 8601 or from one language to another."""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np

from minis2s.data.pairs import Pair

STANDARD_COUNT = 50_000
LOCALES = ("de", "el", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "zh")
"""Alphabets: Latin, Greek, Cyrillic, Chinese, Japanese, Korean. Orders: day first, month first, year first."""

FORMATS = ("full", "long", "medium")
"""Babel's `short` writes years with two digits in most languages: which century, nobody knows."""

FIRST, DAYS = date(1950, 1, 1), 36_525
"""1950 to 2049."""

TARGETS = ("iso", "languages")


def generate(count: int = STANDARD_COUNT, rng: np.random.Generator | None = None, to: str = "iso") -> dict[Pair, str]:
    """Distinct pairs, each with its date in ISO 8601: split by the date, not by the text.

    Parameters
    ----------
    count : int
    rng : numpy.random.Generator, or None for the standard set (seed 0)
    to : "iso" or "languages"
        `mercredi 5 mars 2014` to `2014-03-05`, or `de: mercredi 5 mars 2014` to `5. März 2014`: the long form, which
        does not name the day of the week, because only a calendar could tell it.

    Raises
    ------
    ValueError
        For another `to`, or more pairs than there are.
    """
    if to not in TARGETS:
        raise ValueError(f"dates.generate: to is {to!r}, expected one of {', '.join(TARGETS)}")
    if count > DAYS * len(LOCALES):
        raise ValueError(f"dates.generate: count is {count}, expected at most {DAYS * len(LOCALES)}")
    rng = rng or np.random.default_rng(0)
    pairs: dict[Pair, str] = {}
    while len(pairs) < count:
        day, locale, other = rng.integers(DAYS), rng.choice(LOCALES), rng.choice(LOCALES)
        style = rng.choice(FORMATS)
        when = FIRST + timedelta(days=int(day))
        source, iso = write(when, locale, style), when.isoformat()
        if to == "iso":
            pairs[Pair(source, iso)] = iso
        elif locale != other:
            pairs[Pair(f"{other}: {source}", write(when, other, "long"))] = iso
    return pairs


def write(when: date, locale: str, style: str) -> str:
    """A date as Babel writes it, with plain spaces for the no-break ones."""
    from babel.dates import format_date

    return re.sub(r"[\u00a0\u202f]", " ", format_date(when, style, locale=locale))
