"""Everyday sentences, English to French or Chinese, from the project's own grammar in ``datasets/phrases``."""

from __future__ import annotations

from functools import cache

import numpy as np

from minis2s.data.files import datasets_dir
from minis2s.data.grammar import Grammar, read_grammar
from minis2s.data.pairs import Pair

STANDARD_COUNT = 60_000
FILES = ("spelling.txt", "words.txt", "phrases.txt", "sentences.txt")


@cache
def grammar() -> Grammar:
    """The grammar of the data set, in English (en), French (fr) and Chinese (zh)."""
    return read_grammar(datasets_dir() / "phrases" / name for name in FILES)


def generate(language: str, count: int | None = None, rng: np.random.Generator | None = None) -> list[Pair]:
    """Distinct pairs of an English sentence and its translation; no English sentence has two translations.

    Parameters
    ----------
    language : "fr" or "zh"
    count : int, or None for 60,000
    rng : numpy.random.Generator, or None for the standard set (seed 0)

    Returns
    -------
    list of Pair, in random order
    """
    derived = grammar().sample(
        "en", language, STANDARD_COUNT if count is None else count, rng or np.random.default_rng(0)
    )
    return [Pair(d.source, d.target) for d in derived]
