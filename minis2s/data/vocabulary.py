"""Tokens and their ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from minis2s.errors import CheckpointError

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
FORMAT = 1


class Vocabulary:
    """The tokens that a model knows: four special ones, then those of the training data.

    Parameters
    ----------
    tokens : the ordinary tokens; token n gets the id n + 4

    Raises
    ------
    ValueError
        If a token occurs twice, or is one of the special ones.
    """

    def __init__(self, tokens: Iterable[str]):
        self.tokens = [*SPECIALS, *tokens]
        self._ids = {token: n for n, token in enumerate(self.tokens)}
        if len(self._ids) < len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise ValueError(f"Vocabulary: the token {twice!r} occurs twice")

    @classmethod
    def build(cls, sequences: Iterable[Iterable[str]], min_frequency: int = 1, limit: int | None = None) -> Vocabulary:
        """The tokens that occur at least `min_frequency` times, the most frequent first, ties in alphabetical order.

        `limit` is the most tokens to keep, the four special ones included.
        """
        counts = Counter(token for sequence in sequences for token in sequence)
        for special in SPECIALS:
            del counts[special]
        ranked = sorted((t for t, n in counts.items() if n >= min_frequency), key=lambda t: (-counts[t], t))
        return cls(ranked if limit is None else ranked[: max(limit - len(SPECIALS), 0)])

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens; <unk> for those that are not known, the spelling of a special token among them."""
        ids = (self._ids.get(token, UNK) for token in tokens)
        return [n if n >= len(SPECIALS) else UNK for n in ids]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ids, up to the first </s>, without <pad> and <s>."""
        tokens = []
        for n in ids:
            if n == EOS:
                break
            if n not in (PAD, BOS):
                tokens.append(self.tokens[n])
        return tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return self._ids.get(token, UNK) >= len(SPECIALS)  # type: ignore[call-overload]

    def save(self, path: Path | str) -> None:
        """Write a JSON file."""
        table = {"format": FORMAT, "tokens": self.tokens[len(SPECIALS) :]}
        Path(path).write_text(json.dumps(table, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> Vocabulary:
        """Read what `save` wrote.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged, or of another version.
        """
        try:
            table = json.loads(Path(path).read_text(encoding="utf-8"))
            version, tokens = table["format"], table["tokens"]
            if version == FORMAT and isinstance(tokens, list) and all(isinstance(t, str) for t in tokens):
                return cls(tokens)
        except OSError as error:
            raise CheckpointError(
                f"cannot read {path}: {error.strerror or error}: restore it, or train anew"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is not a vocabulary ({error}): restore it, or train anew") from error
        raise CheckpointError(f"{path} is not a vocabulary of format {FORMAT}: restore it, or train anew")
