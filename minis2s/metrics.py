"""Scores of what a model wrote, by the field's own libraries where it has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Score(NamedTuple):
    """A score and the signature that says how it was computed, so that others can compare."""

    value: float
    signature: str


class LengthAccuracy(NamedTuple):
    """The share of exact answers among the `examples` of one length."""

    length: int
    accuracy: float
    examples: int


def bleu(hypotheses: Sequence[str], references: Sequence[str], tokenize: str = "13a") -> Score:
    """Corpus BLEU (Papineni et al. 2002), 0 to 100, by sacrebleu (Post 2018).

    Parameters
    ----------
    hypotheses, references : sequences of str
        Detokenized text, a reference for each hypothesis.
    tokenize : str
        sacrebleu's tokenizer: see :func:`bleu_tokenizer`.
    """
    from sacrebleu.metrics import BLEU

    _require_pairs("bleu", hypotheses, references)
    metric = BLEU(tokenize=tokenize, force=True)  # force: be silent about hypotheses that look tokenized
    value = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Score(value, str(metric.get_signature()))


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Corpus chrF2, an F-score of character n-grams (Popović 2015), 0 to 100, by sacrebleu."""
    from sacrebleu.metrics import CHRF

    _require_pairs("chrf", hypotheses, references)
    metric = CHRF()
    value = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Score(value, str(metric.get_signature()))


def bleu_tokenizer(references: Sequence[str]) -> str:
    """Sacrebleu's tokenizer for these references: `zh` if most of their letters are Chinese characters, else `13a`."""
    letters = han = 0
    for text in references:
        letters += sum(map(str.isalpha, text))
        han += sum("\u3400" <= character <= "\u9fff" for character in text)
    return "zh" if 2 * han > letters else "13a"


def exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """The share of hypotheses that equal their reference, 0 to 1."""
    _require_pairs("exact_match", hypotheses, references)
    return sum(h == r for h, r in zip(hypotheses, references, strict=True)) / len(references)


def perplexity(nats: float, count: float) -> float:
    """exp(nats / count): as if the model chose among that many equally likely tokens each time. 0 tokens give NaN."""
    if not count:
        return math.nan
    try:
        return math.exp(nats / count)
    except OverflowError:
        return math.inf


def accuracy_by_length(
    hypotheses: Sequence[str], references: Sequence[str], lengths: Sequence[int]
) -> list[LengthAccuracy]:
    """The share of exact answers for each length that occurs, shortest first."""
    _require_pairs("accuracy_by_length", hypotheses, references)
    right: dict[int, list[bool]] = {}
    for h, r, length in zip(hypotheses, references, lengths, strict=True):
        right.setdefault(length, []).append(h == r)
    return [LengthAccuracy(length, sum(hits) / len(hits), len(hits)) for length, hits in sorted(right.items())]


# ------------------------------------------------------------------------------------------------- of pictures


def psnr(pixels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each picture, in dB, by scikit-image; infinite where the two are equal.

    pixels, reference (N, C, H, W) in [0, 1] -> (N,)
    """
    from skimage.metrics import peak_signal_noise_ratio

    _require_equal_shapes("psnr", pixels, reference)
    with np.errstate(divide="ignore"):
        return np.array([peak_signal_noise_ratio(r, p, data_range=1) for p, r in zip(pixels, reference, strict=True)])


def ssim(pixels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Structural similarity of each picture (Wang et al. 2004), at most 1, by scikit-image with its window of 7.

    pixels, reference (N, C, H, W) in [0, 1], H and W at least 7 -> (N,)
    """
    from skimage.metrics import structural_similarity

    _require_equal_shapes("ssim", pixels, reference)
    return np.array(
        [structural_similarity(r, p, data_range=1, channel_axis=0) for p, r in zip(pixels, reference, strict=True)]
    )


def purity(clusters: np.ndarray, labels: np.ndarray) -> float:
    """The share of examples with the label that is most frequent in their cluster, by scikit-learn's table."""
    from sklearn.metrics.cluster import contingency_matrix

    return float(contingency_matrix(labels, clusters).max(axis=0).sum() / len(labels))


def _require_equal_shapes(name: str, pixels: np.ndarray, reference: np.ndarray) -> None:
    if pixels.shape != reference.shape or pixels.ndim != 4:
        raise ValueError(
            f"{name}: pixels have shape {pixels.shape}, reference {reference.shape}, expected equal (N, C, H, W)"
        )


def _require_pairs(name: str, hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"{name}: {len(hypotheses)} hypotheses and {len(references)} references, "
            "expected as many of both, at least one"
        )
