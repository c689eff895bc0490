"""Learn to add from examples alone: '123+45' to '168', by character."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from minis2s.data import addition
from minis2s.data.splitting import Key, Split, source_key, split_pairs
from minis2s.tasks.sequence import SequenceTask

RECIPE: dict[str, Any] = {
    "source_tokenizer": "character",
    "target_tokenizer": "character",
    "embedding": 16,
    "hidden": 128,
    "cell": "lstm",
    "bidirectional": False,
    "context": "last",
    "peeky": True,
    "reverse_source": True,
    "batch_size": 128,
    "epochs": 15,
    "lr": 4e-3,
    "schedule": "cosine",
    "warmup": 100,
    "validation": 0.02,
    "test": 0.1,
}


class Addition(SequenceTask):
    """See the module."""

    name: ClassVar[str] = "addition"
    summary: ClassVar[str] = "numbers of up to three digits and their sum: '123+45' to '168', by character"

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """One recipe: the reversed and 'peeky' LSTM of the textbooks, without attention."""
        return RECIPE

    def generate(self, settings: Any) -> tuple[Split, Key]:
        """Split by the question."""
        pairs = addition.generate(settings.limit or addition.STANDARD_COUNT)
        return split_pairs(pairs, settings.validation, settings.test), source_key


TASK = Addition()
