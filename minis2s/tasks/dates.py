"""Read dates as people write them in fifteen languages; write them as ISO 8601, or in another of the languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from minis2s.data import dates
from minis2s.data.splitting import Key, Split, split_pairs
from minis2s.tasks.sequence import SequenceSettings, SequenceTask
from minis2s.tasks.settings import setting

RECIPE: dict[str, Any] = {
    "source_tokenizer": "character",
    "target_tokenizer": "character",
    "embedding": 64,
    "hidden": 128,
    "batch_size": 128,
    "epochs": 3,
    "lr": 3e-3,
    "schedule": "linear",
    "warmup": 100,
}


@dataclass(frozen=True)
class DatesSettings(SequenceSettings):
    """Adds the direction."""

    to: str = setting("iso", "write ISO 8601, or another of the languages", choices=dates.TARGETS)


class Dates(SequenceTask):
    """See the module."""

    name: ClassVar[str] = "dates"
    summary: ClassVar[str] = "dates in 15 languages to ISO: 'mercredi 5 mars 2014' to '2014-03-05', by character"
    settings_type: ClassVar[type[SequenceSettings]] = DatesSettings
    without_data: ClassVar[tuple[str, ...]] = ("to",)

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """One recipe."""
        return RECIPE

    def generate(self, settings: Any) -> tuple[Split, Key]:
        """Split by the date, so that a held-out date occurs in training in no language."""
        pairs = dates.generate(settings.limit or dates.STANDARD_COUNT, to=settings.to)
        return split_pairs(pairs, settings.validation, settings.test, pairs.__getitem__), pairs.__getitem__


TASK = Dates()
