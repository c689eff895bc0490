"""From text to tokens and back: words, characters, or byte pairs."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from minis2s.errors import CheckpointError, ConfigError

JOIN = "\u203f"
"""The undertie of phoneticians: on a token's side where no space stands in the text."""

_MARKS = "".join(chr(code) for code in range(0x300, 0x3100) if unicodedata.category(chr(code)).startswith("M"))
_LETTER = rf"[\w{_MARKS}\u200c\u200d]"
"""What a word is made of. Python's `\\w` leaves out the vowel signs of Hindi, Thai or Arabic, and their joiners."""

WORDS = re.compile(
    rf"""
    (?: (?<= {_LETTER} ) - )?                                               # -t' in va-t'en
    (?: [cdjlmnst] | qu | jusqu | lorsqu | puisqu | quoiqu ) ['’] (?= {_LETTER} )   # elision: l' in l'eau, qu' in qu'il
    | \d+ (?: [.,:]\d+ )*                                                    # 1,000 or 3.14 or 12:30
    | (?<= {_LETTER} ) - {_LETTER}+ (?: ['’] {_LETTER}+ )*                    # -tu in vas-tu
    | {_LETTER}+ (?: ['’] {_LETTER}+ )*                                      # don't, aujourd'hui
    | \S                                                                     # punctuation, each sign by itself
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What is one word token."""


def normalize(text: str) -> str:
    """One spelling for what looks the same: Unicode's NFC, and a plain space for any other; none at the ends.

    An é has two spellings in Unicode, and the space of French before `!` has three: to a model, these are other words.
    """
    return re.sub(r"\s", " ", unicodedata.normalize("NFC", text)).strip()


class Tokenizer(Protocol):
    """What every tokenizer can do."""

    def tokenize(self, text: str) -> list[str]:
        """Text to tokens."""
        ...

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Tokens to text: the way back."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """All there is to know of it, as JSON holds it; see :func:`tokenizer_from_dict`."""
        ...


class WordTokenizer:
    """Words, numbers and punctuation, for languages that put spaces between words.

    A word is the same token wherever it stands. A sign that touches its neighbour without a space carries a
    :data:`JOIN` on that side (`Yes` `‿!`, `l'‿` `eau`), so that `normalize(text)` comes back exactly, but for the
    number of its spaces.
    """

    def tokenize(self, text: str) -> list[str]:
        """Text to tokens."""
        text = normalize(text.replace(JOIN, " "))
        tokens: list[str] = []
        end = 0
        for match in WORDS.finditer(text):
            token = match.group()
            elides = len(token) > 1 and token[-1] in "'’"
            if 0 < end == match.start() and not tokens[-1].endswith(JOIN):
                if token[0].isalnum():  # a word keeps its plain form: what stands before it takes the mark
                    tokens[-1] += JOIN
                else:
                    token = JOIN + token
            tokens.append(token + JOIN if elides else token)
            end = match.end()
        return tokens

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Tokens to text."""
        return " ".join(tokens).replace(f" {JOIN}", "").replace(f"{JOIN} ", "").replace(JOIN, "")

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Tokenizer`."""
        return {"kind": "word"}


class CharacterTokenizer:
    """Unicode code points (so an emoji may be several), spaces included: for Chinese, dates, sums."""

    def tokenize(self, text: str) -> list[str]:
        """Text to tokens."""
        return list(normalize(text))

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Tokens to text."""
        return "".join(tokens)

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Tokenizer`."""
        return {"kind": "character"}


class BytePairTokenizer:
    """Byte-pair encoding (Sennrich, Haddow & Birch 2016), by the `tokenizers` library.

    Parameters
    ----------
    table : str
        The JSON text of a `tokenizers.Tokenizer`.
    """

    def __init__(self, table: str):
        self._tokenizer = _library().Tokenizer.from_str(table)

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> BytePairTokenizer:
        """Learn merges until there are `size` tokens; every space becomes part of the token after it."""
        library = _library()
        tokenizer = library.Tokenizer(library.models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = library.pre_tokenizers.Metaspace()
        tokenizer.decoder = library.decoders.Metaspace()
        trainer = library.trainers.BpeTrainer(vocab_size=size, special_tokens=["<unk>"], show_progress=False)
        tokenizer.train_from_iterator(map(normalize, texts), trainer)
        return cls(tokenizer.to_str())

    def tokenize(self, text: str) -> list[str]:
        """Text to tokens."""
        return self._tokenizer.encode(normalize(text)).tokens

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Tokens to text."""
        return self._tokenizer.decoder.decode(list(tokens))

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Tokenizer`."""
        return {"kind": "bpe", "table": json.loads(self._tokenizer.to_str())}


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ConfigError(
            "byte-pair tokens need the package tokenizers: run `pip install 'minis2s[bpe]'`, "
            "or choose --set source_tokenizer=word and target_tokenizer=word"
        ) from error
    return tokenizers


def tokenizer_from_dict(table: dict[str, Any]) -> Tokenizer:
    """Make the tokenizer that `to_dict` described.

    Raises
    ------
    CheckpointError
        If it describes none.
    """
    kind = table.get("kind")
    if kind == "word":
        return WordTokenizer()
    if kind == "character":
        return CharacterTokenizer()
    if kind == "bpe":
        return _byte_pairs(table.get("table"))
    raise CheckpointError(f"a tokenizer of the kind {kind!r} is not known here: use the minis2s that trained the model")


def _byte_pairs(table: object) -> BytePairTokenizer:
    _library()
    try:
        return BytePairTokenizer(json.dumps(table))
    except Exception as error:  # the library raises nothing more specific
        raise CheckpointError(f"the table of byte pairs is damaged ({error}): restore it, or train anew") from error
