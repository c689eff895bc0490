"""Read dates as people write them in fifteen languages, and write them as ISO 8601."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from minis2s.data import dates
from minis2s.data.splitting import Split, split_pairs
from minis2s.tasks.sequence import SequenceTask

RECIPE: dict[str, Any] = {
    "source_tokenizer": "character",
    "target_tokenizer": "character",
    "embedding": 64,
    "hidden": 128,
    "batch_size": 128,
    "epochs": 5,
    "lr": 3e-3,
    "schedule": "linear",
    "warmup": 100,
}


class Dates(SequenceTask):
    """See the module."""

    name: ClassVar[str] = "dates"
    summary: ClassVar[str] = "dates in 15 languages to ISO: 'mercredi 5 mars 2014' to '2014-03-05', by character"

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """One recipe."""
        return RECIPE

    def generate(self, settings: Any) -> Split:
        """Split by the date, so that a held-out date occurs in training in no language."""
        pairs = dates.generate() if settings.limit is None else dates.generate(settings.limit)
        return split_pairs(pairs, settings.validation, settings.test, key=lambda pair: pair.target)


TASK = Dates()
