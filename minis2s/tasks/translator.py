"""A trained model with all it needs to go from text to text: tokenizers, vocabularies, weights, settings."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minis2s import metrics
from minis2s.backend import item
from minis2s.data.batching import Batch, collate
from minis2s.data.pairs import Pair
from minis2s.data.tokenizers import Tokenizer, tokenizer_from_dict
from minis2s.data.vocabulary import Vocabulary
from minis2s.decoding import Hypothesis, beam_search, greedy
from minis2s.errors import CheckpointError, DataError
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.training import RunDirectory, load_weights, write_text

DECODING_BATCH = 256
END = "</s>"


class Side(NamedTuple):
    """The way between text and ids on one side, source or target."""

    tokenizer: Tokenizer
    vocabulary: Vocabulary

    def encode(self, text: str) -> list[int]:
        """Text to ids."""
        return self.vocabulary.encode(self.tokenizer.tokenize(text))

    def decode(self, ids: list[int]) -> str:
        """Ids to text."""
        return self.tokenizer.detokenize(self.vocabulary.decode(ids))


class Translation(NamedTuple):
    """One answer: its text, what it was ranked by, and the attention (T, S) over `source_tokens`, or None."""

    text: str
    score: float
    tokens: list[str]
    source_tokens: list[str]
    attention: np.ndarray | None


@dataclass
class Evaluation:
    """Scores of a model on pairs, and what it wrote."""

    scores: dict[str, Any]
    translations: list[Translation]


class Translator:
    """Text in, text out.

    Parameters
    ----------
    source, target : Side
    model : Seq2Seq
    longest : int
        Most tokens of an answer: what the training data suggest.
    """

    def __init__(self, source: Side, target: Side, model: Seq2Seq, longest: int):
        self.source, self.target, self.model, self.longest = source, target, model, longest

    # --------------------------------------------------------------------------------------------- save and load

    def save_sides(self, run: RunDirectory) -> dict[str, str]:
        """Write tokenizers and vocabularies into the run directory; return a digest of each file."""
        for name, side in (("source", self.source), ("target", self.target)):
            side.vocabulary.save(run / f"{name}.vocabulary.json")
            text = json.dumps(side.tokenizer.to_dict(), ensure_ascii=False, indent=1)
            write_text(run / f"{name}.tokenizer.json", text + "\n")
        return {name: _digest(run, name) for name in _side_files()}

    @classmethod
    def load(cls, run: RunDirectory, device: str = "cpu") -> Translator:
        """Read a run's best model.

        Raises
        ------
        CheckpointError
            If anything is missing, damaged, or does not belong together.
        """
        weights, metadata = load_weights(run)
        config = metadata["config"]
        source, target = load_sides(run, config["files"])
        model = Seq2Seq(Seq2SeqConfig(**config["model"]), np.random.default_rng(0))
        try:
            model.load_state_dict(weights)
        except ValueError as error:
            raise CheckpointError(f"the weights in {run} do not fit its model ({error}): train anew") from error
        return cls(source, target, model.to(device), config["longest"])

    # ------------------------------------------------------------------------------------------------- translate

    def encode(self, text: str, where: str = "the sentence") -> list[int]:
        """A source text as ids, after making sure that the model can take it.

        Raises
        ------
        DataError
            If it is empty, or longer than the model allows; `where` tells the user which one it is.
        """
        ids, most = self.source.encode(text), self.model.config.max_length
        if not ids:
            raise DataError(f"{where} is empty: leave it out, or write something")
        if len(ids) > most:
            raise DataError(
                f"{where} has {len(ids)} tokens, this model takes at most {most}: "
                f"split it, or train with --set max_length={len(ids)}"
            )
        return ids

    def takes(self, text: str) -> bool:
        """Whether a source text is one that :meth:`encode` does not refuse."""
        return 0 < len(self.source.encode(text)) <= self.model.config.max_length

    def unknown(self, text: str) -> list[str]:
        """The tokens of a source text that the model has never seen."""
        return [token for token in self.source.tokenizer.tokenize(text) if token not in self.source.vocabulary]

    def translate(
        self, texts: Sequence[str], *, beam: int = 1, n_best: int = 1, alpha: float = 0.6
    ) -> list[list[Translation]]:
        """The `n_best` answers to each text, best first. A beam of 1 is greedy.

        Raises
        ------
        DataError
            If a text is empty or too long.
        """
        several = len(texts) > 1
        sources = [self.encode(text, f"sentence {n}" if several else "the sentence") for n, text in enumerate(texts, 1)]
        answers: list[list[Translation]] = [[] for _ in texts]
        for batch in _batches(sources, [[] for _ in texts]):
            found = self._search(batch, beam, n_best, alpha)
            for n, hypotheses in zip(batch.indices.tolist(), found, strict=True):
                answers[n] = [self._translation(texts[n], h) for h in hypotheses]
        return answers

    def _search(self, batch: Batch, beam: int, n_best: int, alpha: float) -> list[list[Hypothesis]]:
        arguments = (self.model, batch.source, batch.source_mask, self.longest)
        if beam == 1:
            return greedy(*arguments)
        return beam_search(*arguments, beam=beam, n_best=n_best, alpha=alpha)

    def _translation(self, text: str, hypothesis: Hypothesis) -> Translation:
        return Translation(
            self.target.decode(hypothesis.tokens),
            hypothesis.score,
            self.target.vocabulary.decode(hypothesis.tokens),
            self.source.tokenizer.tokenize(text),
            hypothesis.attention,
        )

    # -------------------------------------------------------------------------------------------------- evaluate

    def perplexities(self, pairs: Sequence[Pair]) -> tuple[float, float]:
        """Perplexity of the references, with teacher forcing and free-running."""
        sources = [self.encode(pair.source, f"sentence {n}") for n, pair in enumerate(pairs, 1)]
        targets = [self.target.encode(pair.target) for pair in pairs]
        forced = free = tokens = 0.0
        for batch in _batches(sources, targets):
            loss, count = self.model.loss(batch)
            free_loss, _ = self.model.loss(batch, free_running=True)
            forced, free, tokens = forced + item(loss * count), free + item(free_loss * count), tokens + item(count)
        return metrics.perplexity(forced, tokens), metrics.perplexity(free, tokens)

    def evaluate(self, pairs: Sequence[Pair], *, beam: int = 1, alpha: float = 0.6) -> Evaluation:
        """Translate the sources and score the answers against the targets, and the targets themselves."""
        started, training = time.perf_counter(), self.model.training
        self.model.eval()
        perplexity, perplexity_free = self.perplexities(pairs)
        translations = [best for best, *_ in self.translate([p.source for p in pairs], beam=beam, alpha=alpha)]
        self.model.train(training)
        hypotheses, references = [t.text for t in translations], [p.target for p in pairs]
        bleu = metrics.bleu(hypotheses, references, metrics.bleu_tokenizer(references))
        chrf = metrics.chrf(hypotheses, references)
        scores = {
            "examples": len(pairs),
            "exact": metrics.exact_match(hypotheses, references),
            "bleu": bleu.value,
            "chrf": chrf.value,
            "signature": bleu.signature,
            "chrf_signature": chrf.signature,
            "perplexity": perplexity,
            "perplexity_free": perplexity_free,
            "beam": beam,
            "seconds": time.perf_counter() - started,
        }
        return Evaluation(scores, translations)


def load_sides(run: RunDirectory, digests: dict[str, str]) -> tuple[Side, Side]:
    """Read tokenizers and vocabularies, after making sure that they are the ones the model was trained with.

    Raises
    ------
    CheckpointError
        If a file is missing or was changed.
    """
    for name, digest in digests.items():
        if not (run / name).exists():
            raise CheckpointError(f"{run / name} is missing: restore it, or train anew")
        if _digest(run, name) != digest:
            raise CheckpointError(f"{run / name} was changed since the model was trained: restore it, or train anew")
    sides = []
    for name in ("source", "target"):
        table = json.loads((run / f"{name}.tokenizer.json").read_text(encoding="utf-8"))
        sides.append(Side(tokenizer_from_dict(table), Vocabulary.load(run / f"{name}.vocabulary.json")))
    return sides[0], sides[1]


def _side_files() -> Iterator[str]:
    return (f"{side}.{kind}.json" for side in ("source", "target") for kind in ("vocabulary", "tokenizer"))


def _digest(run: RunDirectory, name: str) -> str:
    return hashlib.sha256((run / name).read_bytes()).hexdigest()


def _batches(sources: Sequence[list[int]], targets: Sequence[list[int]]) -> Iterable[Batch]:
    """All examples in batches of similar length, each example with its place in `indices`."""
    order = sorted(range(len(sources)), key=lambda n: (len(sources[n]), len(targets[n])))
    for start in range(0, len(order), DECODING_BATCH):
        chosen = order[start : start + DECODING_BATCH]
        yield collate([sources[n] for n in chosen], [targets[n] for n in chosen], np.array(chosen))
