"""From text to tokens and back: words, characters, or byte pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from minis2s.errors import CheckpointError, ConfigError

JOIN = "\u203f"
"""The undertie of phoneticians: on a token's side where no space stands in the text."""

WORDS = re.compile(
    r"""
    (?: [cdjlmnst] | qu | jusqu | lorsqu | puisqu | quoiqu ) ['’] (?= \w )   # elision: l' in l'eau, qu' in qu'il
    | \d+ (?: [.,:]\d+ )*                                                    # 1,000 or 3.14 or 12:30
    | (?<= \w ) - \w+ (?: ['’] \w+ )*                                        # -tu in vas-tu
    | \w+ (?: ['’] \w+ )*                                                    # don't, aujourd'hui
    | [^\w\s]                                                                # punctuation, each sign by itself
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What is one word token."""


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

    A word is the same token wherever it stands. What touches its neighbour without a space carries :data:`JOIN` on
    that side (`Yes` `‿!`, `l'‿` `eau`), so that text comes back exactly, but for the number of its spaces.
    """

    def tokenize(self, text: str) -> list[str]:
        """Text to tokens."""
        text = text.replace(JOIN, " ")
        tokens: list[str] = []
        end = 0
        for match in WORDS.finditer(text):
            token, touches = match.group(), match.start() == end and end > 0
            if touches and not self._joins_right(tokens[-1]):
                tokens.append(JOIN + token if self._joins_left(token) else token)
                if not self._joins_left(token):
                    tokens[-2] += JOIN
            else:
                tokens.append(token)
            if self._elides(token):
                tokens[-1] += JOIN
            end = match.end()
        return tokens

    @staticmethod
    def _elides(token: str) -> bool:
        return len(token) > 1 and token[-1] in "'’"

    @staticmethod
    def _joins_left(token: str) -> bool:
        """A word keeps its plain form; what stands before it takes the mark."""
        return not token[0].isalnum()

    @staticmethod
    def _joins_right(token: str) -> bool:
        return token.endswith(JOIN)

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Tokens to text."""
        return " ".join(tokens).replace(f" {JOIN}", "").replace(f"{JOIN} ", "").replace(JOIN, "")

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Tokenizer`."""
        return {"kind": "word"}


class CharacterTokenizer:
    """Unicode code points, spaces included: for Chinese, dates, sums."""

    def tokenize(self, text: str) -> list[str]:
        """Text to tokens."""
        return list(text)

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
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    def tokenize(self, text: str) -> list[str]:
        """Text to tokens."""
        return self._tokenizer.encode(text).tokens

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
        return BytePairTokenizer(json.dumps(table["table"]))
    raise CheckpointError(f"a tokenizer of the kind {kind!r} is not known here: use the minis2s that trained the model")
