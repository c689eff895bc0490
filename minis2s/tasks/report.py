"""What a run leaves for a person to look at: scores, samples, pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from minis2s.data.pairs import Pair
from minis2s.data.tokenizers import JOIN
from minis2s.metrics import accuracy_by_length
from minis2s.plots import attention_maps, axis_labels, learning_curves, length_accuracy, save_figure
from minis2s.tasks.translator import END, Evaluation, Translation
from minis2s.training import RunDirectory, to_json, write_text

logger = logging.getLogger("minis2s.tasks")

SAMPLES = 10
MAPS = 4
MOST_TOKENS = 40
"""Of a sentence, on either side, whose attention is drawn: who would read more, and a map grows with the square."""


def write_curves(run: RunDirectory, title: str, unit: str) -> None:
    """Draw `curves.png` from the log; a run that has not got far has few points."""
    save_figure(learning_curves(run.log.read(), title, unit), run / "curves.png")


def write_report(run: RunDirectory, title: str, pairs: Sequence[Pair], evaluation: Evaluation, longest: int) -> str:
    """Write `metrics.json`, `samples.txt`, `attention.png` and `lengths.png`; return scores and samples as text.

    Parameters
    ----------
    pairs : the held-out pairs that were translated
    longest : int
        Tokens of the longest source in training.
    """
    write_text(run.metrics, dumps(evaluation.scores) + "\n")
    samples = format_samples(pairs, evaluation.translations)
    write_text(run / "samples.txt", samples + "\n")
    maps = interesting(pairs, evaluation.translations)
    if maps:
        draw_attention(run / "attention.png", maps, f"{title}: held-out examples")
    elif any(t.attention is not None for t in evaluation.translations):
        logger.info("no attention drawn: every sentence or answer has more than %d tokens", MOST_TOKENS)
    lengths = [len(t.source_tokens) for t in evaluation.translations]
    by_length = accuracy_by_length([t.text for t in evaluation.translations], [p.target for p in pairs], lengths)
    save_figure(length_accuracy(by_length, longest, f"{title}: accuracy by length"), run / "lengths.png")
    return f"{format_scores(evaluation.scores)}\n\n{samples}"


def dumps(scores: Any) -> str:
    """One JSON object on one line; what is not a finite number is null."""
    return json.dumps(to_json(scores), ensure_ascii=False, allow_nan=False)


def format_scores(scores: dict[str, Any]) -> str:
    """The scores, a line each."""
    rows = [
        ("examples", f"{scores['examples']}"),
        ("exact match", f"{100 * scores['exact']:.2f} %"),
        ("BLEU", f"{scores['bleu']:.2f}   ({scores['signature']})"),
        ("chrF", f"{scores['chrf']:.2f}   ({scores['chrf_signature']})"),
        (
            "perplexity",
            f"{scores['perplexity']:.4g} teacher-forced, {scores['perplexity_free']:.4g} free-running",
        ),
        ("decoding", f"beam {scores['beam']}, {scores['seconds']:.1f} s for all of this"),
    ]
    return "\n".join(f"{name:12} {text}" for name, text in rows)


def format_samples(pairs: Sequence[Pair], translations: Sequence[Translation]) -> str:
    """Ten examples spread evenly over all, as they came out."""
    chosen = np.unique(np.linspace(0, len(pairs) - 1, SAMPLES).round().astype(int))
    blocks = []
    for n in chosen.tolist():
        (source, reference), answer = pairs[n], translations[n].text
        verdict = "=" if answer == reference else "~"
        block = f"  {source}\n{verdict} {answer}"
        blocks.append(block if answer == reference else f"{block}\n  expected: {reference}")
    return "\n\n".join(blocks)


def interesting(pairs: Sequence[Pair], translations: Sequence[Translation], count: int = MAPS) -> list[Translation]:
    """A few answers whose attention goes back and forth the most: right ones of readable length, if there are any.

    Those that cannot be drawn are none of them.
    """

    def rank(n: int) -> tuple[bool, bool, int]:
        t = translations[n]
        readable = 3 <= len(t.tokens) <= 14 and len(t.source_tokens) <= 32
        backward = 0 if t.attention is None else int((np.diff(t.attention.argmax(axis=1)) < 0).sum())
        return readable, t.text == pairs[n].target, backward

    places = [n for n in range(len(pairs)) if drawable(translations[n])]
    return [translations[n] for n in sorted(places, key=rank, reverse=True)[:count]]


def drawable(translation: Translation) -> bool:
    """Whether there is attention to draw, on few enough tokens."""
    attention = translation.attention
    return attention is not None and max(attention.shape) <= MOST_TOKENS + 1  # one more: the end


class AttentionMaps:
    """The first `most` answers that can be drawn; of the others only their number is kept."""

    def __init__(self, most: int):
        self.most, self.chosen, self.long, self.late = most, list[Translation](), 0, 0

    def add(self, translation: Translation) -> None:
        """Take the next answer."""
        if not drawable(translation):
            self.long += 1
        elif len(self.chosen) == self.most:
            self.late += 1
        else:
            self.chosen.append(translation)

    def save(self, path: Any) -> None:
        """Write the picture, if there is anything to draw; the log tells what is not in it."""
        numbers = {f"of more than {MOST_TOKENS} tokens": self.long, f"after the first {self.most}": self.late}
        left_out = ", ".join(f"{number} {what}" for what, number in numbers.items() if number)
        if self.chosen:
            draw_attention(path, self.chosen)
            logger.info("attention drawn in %s%s", path, f"; sentences left out: {left_out}" if left_out else "")
        elif left_out:
            logger.info("no attention drawn; sentences left out: %s", left_out)


def draw_attention(path: Any, translations: Sequence[Translation], title: str = "") -> None:
    """Write a picture with a map for each translation. Tokens that no font can draw are listed in the log."""
    examples = []
    for t in translations:
        if t.attention is None:
            raise ValueError("draw_attention: a translation has no attention")
        source, target = ([token.replace(JOIN, "") for token in tokens] for tokens in (t.source_tokens, t.tokens))
        examples.append((t.attention, [*source, END], [*target, END]))
        for tokens in examples[-1][1:]:
            if axis_labels(tokens)[1]:
                legend = " ".join(f"{place}={token}" for place, token in enumerate(tokens[:-1], 1))
                logger.info("no installed font can draw these, so the map numbers them: %s", legend)
    save_figure(attention_maps(examples, title), path)
