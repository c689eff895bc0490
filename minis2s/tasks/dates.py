"""Read dates as people write them in fifteen languages, and write them as ISO 8601."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from minis2s.data import dates
from minis2s.data.pairs import Pair
from minis2s.data.splitting import Key, Split, split_pairs
from minis2s.tasks.sequence import SequenceSettings, SequenceTask
from minis2s.tasks.settings import setting

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


def the_date(pair: Pair) -> str:
    """The date itself, however it is written."""
    return pair.target


@dataclass(frozen=True)
class DatesSettings(SequenceSettings):
    """Adds what the dates are turned into."""

    to: str = setting("iso", "what to write: ISO 8601, or a date in the language asked for", choices=dates.TARGETS)


class Dates(SequenceTask):
    """See the module."""

    name: ClassVar[str] = "dates"
    key: ClassVar[Key] = staticmethod(the_date)
    summary: ClassVar[str] = "dates in 15 languages to ISO: 'mercredi 5 mars 2014' to '2014-03-05', by character"
    settings_type: ClassVar[type[SequenceSettings]] = DatesSettings

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """One recipe."""
        return RECIPE

    def generate(self, settings: Any) -> Split:
        """Split by the date, so that a held-out date occurs in training in no language."""
        pairs = dates.generate() if settings.limit is None else dates.generate(settings.limit)
        return split_pairs(pairs, settings.validation, settings.test, self.key)


TASK = Dates()
