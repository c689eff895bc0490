"""From a user's or a task's pairs of texts to what a model is trained on: tokenizers, vocabularies, ids."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minis2s.data.pairs import Pair, read_parallel, read_tsv
from minis2s.data.splitting import Key, Split, source_key, split_pairs
from minis2s.data.tokenizers import BytePairTokenizer, CharacterTokenizer, Tokenizer, WordTokenizer
from minis2s.data.vocabulary import Vocabulary
from minis2s.errors import DataError
from minis2s.metrics import bleu_tokenizer
from minis2s.tasks.translator import Side
from minis2s.training import write_text

if TYPE_CHECKING:
    from minis2s.tasks.sequence import SequenceSettings

logger = logging.getLogger("minis2s.tasks")


def own_pairs(settings: SequenceSettings) -> tuple[Split, Key]:
    """The user's file, or two parallel ones, split by a stable hash of the source."""
    pairs = read_pairs(settings.data or "", settings.bad_lines, settings.swap, settings.data_target)
    if settings.limit is not None:
        pairs = pairs[: settings.limit]
    return split_pairs(pairs, settings.validation, settings.test), source_key


def read_pairs(path: str, bad_lines: str = "skip", swap: bool = False, targets: str | None = None) -> list[Pair]:
    """The pairs of a tab-separated file, or of two files, line by line.

    Raises
    ------
    DataError
        If a file is missing, empty, not UTF-8, has no two columns, or the two differ in length.
    """
    pairs = read_parallel(path, targets, on_error=bad_lines) if targets else read_tsv(path, on_error=bad_lines)
    return [Pair(p.target, p.source) for p in pairs] if swap else pairs


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs as :func:`read_pairs` reads them."""
    write_text(path, "".join(f"{p.source}\t{p.target}\n" for p in pairs))


# ----------------------------------------------------------------------------------------------------- from text to ids


def make_tokenizer(kind: str, texts: Sequence[str], vocabulary: int | None) -> Tokenizer:
    """The tokenizer of one side; `texts` are the training texts of that side."""
    if kind == "auto":
        kind = "character" if bleu_tokenizer(texts) == "zh" else "word"
    if kind == "bpe":
        return BytePairTokenizer.train(texts, vocabulary or 8000)
    return CharacterTokenizer() if kind == "character" else WordTokenizer()


def make_side(name: str, texts: Sequence[str], settings: SequenceSettings) -> Side:
    """Tokenizer and vocabulary of the source or the target.

    Raises
    ------
    DataError
        If no token is frequent enough to be known.
    """
    tokenizer = make_tokenizer(getattr(settings, f"{name}_tokenizer"), texts, settings.vocabulary)
    vocabulary = Vocabulary.build(
        (tokenizer.tokenize(text) for text in texts),
        min_frequency=settings.min_frequency,
        limit=settings.vocabulary,
    )
    if len(vocabulary) <= 4:
        raise DataError(
            f"the {name} vocabulary has nothing but its 4 special tokens: "
            f"lower --set min_frequency (now {settings.min_frequency}), or bring more text"
        )
    return Side(tokenizer, vocabulary)


@dataclass(frozen=True)
class Corpus:
    """Encoded training pairs, and the held-out pairs as text.

    Attributes
    ----------
    sources, targets : lists of ids
    validation, test : lists of Pair
    digest : str
        Of all pairs: resuming needs the same.
    """

    source: Side
    target: Side
    sources: list[list[int]]
    targets: list[list[int]]
    validation: list[Pair]
    test: list[Pair]
    digest: str

    @cached_property
    def lengths(self) -> np.ndarray:
        """(n, 2): source and target lengths of the training pairs."""
        return np.array([(len(s), len(t)) for s, t in zip(self.sources, self.targets, strict=True)])


def make_corpus(split: Split, sides: tuple[Side, Side], max_length: int) -> Corpus:
    """Encode the training pairs; leave out, and report, what is longer than `max_length`.

    Raises
    ------
    DataError
        If nothing is left.
    """
    source, target = sides

    def encode(part: list[Pair]) -> list[tuple[Pair, list[int], list[int]]]:
        encoded = ((pair, source.encode(pair.source), target.encode(pair.target)) for pair in part)
        return [e for e in encoded if all(0 < len(ids) <= max_length for ids in e[1:])]

    train, validation, test = map(encode, split)
    dropped = sum(map(len, split)) - len(train) - len(validation) - len(test)
    if dropped:
        logger.info("%d pairs are empty or longer than max_length = %d tokens: left out", dropped, max_length)
    if not (train and validation and test):
        raise DataError(
            f"no pair of the training, validation or test part has at most max_length = {max_length} tokens: "
            "raise --set max_length=..."
        )
    return Corpus(
        source,
        target,
        [ids for _, ids, _ in train],
        [ids for _, _, ids in train],
        [pair for pair, _, _ in validation],
        [pair for pair, _, _ in test],
        digest_of(split),
    )


def digest_of(split: Split) -> str:
    """A digest of all pairs, in order."""
    digest = hashlib.sha256()
    for pair in itertools.chain(*split):
        digest.update(f"{pair.source}\t{pair.target}\n".encode())
    return digest.hexdigest()
