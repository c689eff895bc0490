"""Write a sequence of numbers backwards, and longer ones than any seen in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from minis2s.data import reverse
from minis2s.data.splitting import Key, Split, source_key, split_pairs
from minis2s.tasks.sequence import SequenceTask

TRAINING_LENGTH = 25

RECIPE: dict[str, Any] = {
    "source_tokenizer": "word",
    "target_tokenizer": "word",
    "embedding": 32,
    "hidden": 64,
    "batch_size": 128,
    "epochs": 5,
    "lr": 5e-3,
    "schedule": "linear",
    "warmup": 100,
}


class Reverse(SequenceTask):
    """See the module."""

    name: ClassVar[str] = "reverse"
    summary: ClassVar[str] = "up to 25 numbers, read and written backwards; tested with up to 30"
    watch: ClassVar[str] = "bleu"

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """One recipe."""
        return RECIPE

    def generate(self, settings: Any) -> tuple[Split, Key]:
        """Sequences longer than `TRAINING_LENGTH` are for the test alone."""
        pairs = reverse.generate(settings.limit or reverse.STANDARD_COUNT)
        train, validation, test = split_pairs(pairs, settings.validation, settings.test)

        def short(part: list) -> list:
            return [pair for pair in part if len(pair.source.split()) <= TRAINING_LENGTH]

        return Split(short(train), short(validation), test), source_key


TASK = Reverse()
