"""Greedy decoding of 1,000 sentences: all in one batch against one by one.

    python benchmarks/decoding.py [--sentences 1000] [--hidden 192] [--rounds 5] [--beam 4]

Sources are English phrases. The model is of the size of the phrases task and trained for a minute or so, or with
`--steps 0` not at all. The bar: the batch is at least 20 times as fast. Both ways give the same answers, which is
checked. OpenBLAS lets its threads spin for a while after each product; OPENBLAS_THREAD_TIMEOUT=10 makes timings honest.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from minis2s.data import phrases
from minis2s.data.batching import bucket_batches, collate
from minis2s.data.tokenizers import WordTokenizer
from minis2s.data.vocabulary import Vocabulary
from minis2s.decoding import Hypothesis, beam_search, greedy
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.optim import Adam, clip_global_norm

BAR = 20
LONGEST = 30


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


def measure(
    search: Callable[[list[list[int]]], list[list[Hypothesis]]], sentences: list[list[int]], rounds: int
) -> None:
    """Print the medians of both ways, taken in turn, and their ratio."""
    times, answers = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        together = search(sentences)
        middle = time.perf_counter()
        alone = [search([sentence])[0] for sentence in sentences]
        times.append((middle - start, time.perf_counter() - middle))
        answers = [(a[0].tokens, b[0].tokens) for a, b in zip(together, alone, strict=True)]
    batch, one_by_one = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    same = sum(a == b for a, b in answers) / len(answers)
    length = statistics.mean(len(a) for a, _ in answers)
    print(f"one batch   {batch:7.3f} s   {len(sentences) / batch:8.0f} sentences/s")
    print(f"one by one  {one_by_one:7.3f} s   {len(sentences) / one_by_one:8.0f} sentences/s")
    print(f"ratio {ratio:.1f} (bar {BAR}), {100 * same:.1f} % equal answers, of {length:.1f} tokens", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--steps", type=int, default=300, help="training steps before; 0: none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beam", type=int, default=0, help="also measure a beam of this width; 0: none")
    args = parser.parse_args()
    pairs = phrases.generate("fr")
    (sources, source_size), (targets, target_size) = (encode(list(texts)) for texts in zip(*pairs, strict=True))
    config = Seq2SeqConfig(source_size, target_size, embedding=args.embedding, hidden=args.hidden)
    model = Seq2Seq(config, np.random.default_rng(1))
    train(model, sources[args.sentences :], targets[args.sentences :], args.steps)
    print(f"{args.sentences} sentences, hidden {args.hidden}, vocabularies of {source_size} and {target_size}")

    def search(sentences: list[list[int]], beam: int = 1) -> list[list[Hypothesis]]:
        batch = collate(sentences, [[]] * len(sentences), range(len(sentences)))
        if beam == 1:
            return greedy(model, batch.source, batch.source_mask, LONGEST)
        return beam_search(model, batch.source, batch.source_mask, LONGEST, beam=beam)

    measure(search, sources[: args.sentences], args.rounds)
    if args.beam > 1:
        print(f"beam of {args.beam}")
        measure(lambda sentences: search(sentences, args.beam), sources[: args.sentences], args.rounds)


if __name__ == "__main__":
    main()
