"""Translate everyday phrases from English to French or Chinese, or whatever pairs the user brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from minis2s.data import phrases
from minis2s.data.splitting import Key, Split, source_key, split_pairs
from minis2s.tasks.sequence import SequenceSettings, SequenceTask
from minis2s.tasks.settings import setting

LANGUAGES = ("fr", "zh")

PHRASES: dict[str, Any] = {
    "embedding": 128,
    "hidden": 192,
    "batch_size": 128,
    "epochs": 3,
    "lr": 3e-3,
    "schedule": "linear",
    "warmup": 100,
}
CHINESE: dict[str, Any] = {"epochs": 2}
"""Without inflection, and by character, it is learned sooner."""

OWN_PAIRS: dict[str, Any] = {
    "embedding": 256,
    "hidden": 256,
    "batch_size": 64,
    "epochs": 20,
    "patience": 5,
    "lr": 3e-3,
    "schedule": "cosine",
    "warmup": 200,
    "dropout": 0.3,
    "label_smoothing": 0.1,
    "max_length": 50,
    "beam": 4,
}


@dataclass(frozen=True)
class TranslationSettings(SequenceSettings):
    """Adds the language of the built-in phrases."""

    language: str = setting("fr", "target language of the built-in phrases", choices=LANGUAGES)


class Translation(SequenceTask):
    """See the module."""

    name: ClassVar[str] = "translation"
    summary: ClassVar[str] = "English phrases to French (or language=zh, Chinese), or your own pairs with --data"
    watch: ClassVar[str] = "bleu"
    settings_type: ClassVar[type[SequenceSettings]] = TranslationSettings
    without_data: ClassVar[tuple[str, ...]] = ("language",)

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Real sentences want a larger, regularised model, and tied embeddings where the sizes allow them."""
        if changes.get("data"):
            own = {**OWN_PAIRS, **changes}
            return OWN_PAIRS | {"tied": own["embedding"] == own["hidden"] and not own.get("peeky")}
        return PHRASES | CHINESE if changes.get("language") == "zh" else PHRASES

    def generate(self, settings: Any) -> tuple[Split, Key]:
        """The phrases; held-out sentences are unseen combinations of known words."""
        pairs = phrases.generate(settings.language, settings.limit)
        return split_pairs(pairs, settings.validation, settings.test), source_key


TASK = Translation()
