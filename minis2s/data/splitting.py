"""Training, validation and test parts that share no source."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import NamedTuple

from minis2s.data.pairs import Pair

Key = Callable[[Pair], str]


class Split(NamedTuple):
    """The three parts of a data set."""

    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]


def source_key(pair: Pair) -> str:
    """What makes two sources the same: their letters and digits, without case and punctuation.

    "Go." and "Go!" are one source: with one in training and the other in the test, the test would ask what was taught.
    """
    text = unicodedata.normalize("NFKC", pair.source).casefold()
    return re.sub(r"[\W_]+", " ", text).strip() or text


def split_pairs(pairs: Iterable[Pair], validation: float = 0.05, test: float = 0.05, key: Key = source_key) -> Split:
    """Put each pair into a part by a hash of its key.

    All pairs of a key, such as the several translations of a source, stay together; and a key's part depends on nothing
    else, so a file that grows or changes its order keeps its test set.

    Parameters
    ----------
    validation, test : float
        Expected shares of the keys.

    Raises
    ------
    ValueError
        If a share is negative, or both together are more than everything.
    """
    if min(validation, test) < 0 or validation + test > 1:
        raise ValueError(
            f"split_pairs: validation is {validation}, test {test}, expected shares that add up to 1 at most"
        )
    parts = Split([], [], [])
    for pair in pairs:
        digest = blake2b(key(pair).encode(), digest_size=8).digest()
        place = int.from_bytes(digest, "big") / 2**64  # uniform in [0, 1)
        part = parts.test if place < test else parts.validation if place < test + validation else parts.train
        part.append(pair)
    return parts


def leaks(split: Split, key: Key = source_key) -> list[str]:
    """Keys of validation and test pairs that occur in training too: none, if all is well."""
    known = {key(pair) for pair in split.train}
    return sorted({key(pair) for pair in (*split.validation, *split.test)} & known)
