"""Dates as people write them in fifteen languages, by Babel, to ISO 8601 or from one language to another."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import Any, Literal

import numpy as np

from minis2s.data.pairs import Pair
from minis2s.data.tokenizers import normalize

STANDARD_COUNT = 50_000
LOCALES = ("de", "el", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "zh")
"""Five scripts (Latin, Greek, Cyrillic, Chinese with Japanese, Korean) and three orders (day, month or year first)."""

Style = Literal["full", "long", "medium"]
FORMATS: tuple[Style, ...] = ("full", "long", "medium")
"""Not `short`: most languages write its years with two digits, and 04/10/2004 is April in some, October in others."""

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
        when = FIRST + timedelta(days=int(rng.integers(DAYS)))
        locale, other = LOCALES[rng.integers(len(LOCALES))], LOCALES[rng.integers(len(LOCALES))]
        style = FORMATS[rng.integers(len(FORMATS))]
        source, iso = write(when, locale, style), when.isoformat()
        if to == "iso":
            pairs[Pair(source, iso)] = iso
        elif locale != other:
            pairs[Pair(f"{other}: {source}", write(when, other, "long"))] = iso
    return pairs


def write(when: date, locale: str, style: Style) -> str:
    """A date as Babel writes it, with plain spaces for the no-break ones."""
    language, pattern = _pattern(locale, style)
    return normalize(pattern.apply(when, language))


@cache
def _pattern(locale: str, style: Style) -> tuple[Any, Any]:
    """Babel's locale and pattern: looking them up takes longer than writing a date."""
    from babel import Locale
    from babel.dates import get_date_format

    language = Locale.parse(locale)
    return language, get_date_format(style, locale=language)
