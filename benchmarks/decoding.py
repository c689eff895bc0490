"""Greedy decoding of 1,000 sentences: in batches of similar length, as `minis2s translate` does, against one by one.

    python benchmarks/decoding.py [--sentences 1000] [--batches 1000 250] [--hidden 192] [--rounds 5] [--beam 4]

Sources are English phrases. The model is of the size of the phrases task and sees the data once before, or with
`--steps 0` not at all. The bar: batches are at least 20 times as fast. Both ways have to give the same answers.
OpenBLAS lets its threads spin for a while after each product; OPENBLAS_THREAD_TIMEOUT=10 makes timings honest.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from minis2s.backend import prepare_process
from minis2s.data import phrases
from minis2s.data.batching import bucket_batches, collate
from minis2s.data.tokenizers import WordTokenizer
from minis2s.data.vocabulary import Vocabulary
from minis2s.decoding import Hypothesis, beam_search, greedy
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.optim import Adam, clip_global_norm

BAR = 20
LONGEST = 30

Search = Callable[[list[list[int]]], list[list[Hypothesis]]]
"""From the ids of sources to the hypotheses of each."""


def encode(texts: list[str]) -> tuple[list[list[int]], int]:
    """Texts as ids, and the size of their vocabulary."""
    tokens = [WordTokenizer().tokenize(text) for text in texts]
    vocabulary = Vocabulary.build(tokens)
    return [vocabulary.encode(t) for t in tokens], len(vocabulary)


def train(model: Seq2Seq, sources: list[list[int]], targets: list[list[int]], steps: int) -> None:
    """Enough for answers of the right length."""
    optimizer, rng = Adam(model.buffer, lr=3e-3), np.random.default_rng(0)
    lengths = np.array([(len(s), len(t)) for s, t in zip(sources, targets, strict=True)])
    for chosen in bucket_batches(lengths, 128, rng)[:steps]:
        model.zero_grad()
        model.loss_and_backward(collate([sources[n] for n in chosen], [targets[n] for n in chosen], chosen))
        clip_global_norm(model.buffer, 5.0)
        optimizer.step()


def by_length(sentences: list[list[int]], size: int) -> list[list[list[int]]]:
    """Batches of similar length."""
    ordered = sorted(sentences, key=len)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def seconds(search: Search, batches: list[list[list[int]]]) -> tuple[float, list[list[int]]]:
    """Time for all batches, and the best answers."""
    start = time.perf_counter()
    found = [hypotheses[0].tokens for batch in batches for hypotheses in search(batch)]
    return time.perf_counter() - start, found


def measure(search: Search, sentences: list[list[int]], sizes: list[int], rounds: int) -> None:
    """Print the medians for each size of the batches, sizes taken in turn, and their ratio to one by one."""
    sizes = [1, *sizes]
    times: dict[int, list[float]] = {size: [] for size in sizes}
    answers: dict[int, list[list[int]]] = {}
    for _ in range(rounds):
        for size in sizes:
            elapsed, answers[size] = seconds(search, by_length(sentences, size))
            times[size].append(elapsed)
    print(f"{'batch':>6} {'seconds':>8} {'sentences/s':>11} {'ratio':>6} {'equal answers':>13}")
    for size in sizes:
        median = statistics.median(times[size])
        ratio = statistics.median(alone / elapsed for alone, elapsed in zip(times[1], times[size], strict=True))
        equal = sum(a == b for a, b in zip(answers[1], answers[size], strict=True)) / len(sentences)
        print(f"{size:6} {median:8.3f} {len(sentences) / median:11.0f} {ratio:6.1f} {equal:13.1%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--batches", nargs="+", type=int, default=[1000, 250])
    parser.add_argument("--steps", type=int, default=500, help="training steps before, at most an epoch; 0: none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beam", type=int, default=0, help="also measure a beam of this width; 0: none")
    args = parser.parse_args()
    prepare_process()  # as the command line does
    pairs = phrases.generate("fr")
    (sources, source_size), (targets, target_size) = (encode(list(texts)) for texts in zip(*pairs, strict=True))
    config = Seq2SeqConfig(source_size, target_size, embedding=args.embedding, hidden=args.hidden)
    model = Seq2Seq(config, np.random.default_rng(1))
    train(model, sources[args.sentences :], targets[args.sentences :], args.steps)
    sentences = sources[: args.sentences]
    print(
        f"{len(sentences)} sentences, hidden {args.hidden}, vocabularies of {source_size} and {target_size}; bar {BAR}"
    )

    def search(sentences: list[list[int]], beam: int = 1) -> list[list[Hypothesis]]:
        batch = collate(sentences, [[]] * len(sentences), range(len(sentences)))
        if beam == 1:
            return greedy(model, batch.source, batch.source_mask, LONGEST)
        return beam_search(model, batch.source, batch.source_mask, LONGEST, beam=beam)

    measure(search, sentences, args.batches, args.rounds)
    if args.beam > 1:
        print(f"beam of {args.beam}")
        measure(lambda batch: search(batch, args.beam), sentences, args.batches, args.rounds)


if __name__ == "__main__":
    main()
