"""How much of a batch is padding, in random order and bucketed, and what it takes to make the batches.

    python benchmarks/padding.py [FILE.tsv ...]        # without a file: the built-in phrases and reverse

Lengths count the </s> that each side ends with, as the arrays of a batch do.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from minis2s.data import Pair, Vocabulary, bucket_batches, collate, padding_waste, phrases, read_tsv, reverse
from minis2s.tasks.corpus import make_tokenizer

BATCH_SIZES = (64, 128)


def encode(texts: list[str]) -> list[list[int]]:
    tokenizer = make_tokenizer("auto", texts, None)
    tokens = [tokenizer.tokenize(text) for text in texts]
    vocabulary = Vocabulary.build(tokens)
    return [vocabulary.encode(sequence) for sequence in tokens]


def random_batches(count: int, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    order = rng.permutation(count)
    return [order[start : start + batch_size] for start in range(0, count, batch_size)]


def measure(name: str, pairs: list[Pair]) -> None:
    sources, targets = encode([pair.source for pair in pairs]), encode([pair.target for pair in pairs])
    lengths = np.array([(len(s) + 1, len(t) + 1) for s, t in zip(sources, targets, strict=True)])
    for batch_size in BATCH_SIZES:
        rng = np.random.default_rng(0)
        random = padding_waste(lengths[chosen] for chosen in random_batches(len(lengths), batch_size, rng))
        start = time.perf_counter()
        batches = bucket_batches(lengths, batch_size, rng)
        choosing = time.perf_counter() - start
        bucketed = padding_waste(lengths[chosen] for chosen in batches)
        start = time.perf_counter()
        for chosen in batches:
            collate([sources[n] for n in chosen], [targets[n] for n in chosen], chosen)
        making = (time.perf_counter() - start) / len(batches)
        print(
            f"{name:<16}{len(pairs):>8}{batch_size:>7}{random:>9.1%}{bucketed:>10.1%}"
            f"{1000 * choosing:>14.1f}{1000 * making:>14.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.tsv")
    files = parser.parse_args().files
    print(f"{'data':<16}{'pairs':>8}{'batch':>7}{'random':>9}{'bucketed':>10}{'ms to choose':>14}{'ms per batch':>14}")
    if not files:
        measure("phrases, fr", phrases.generate("fr"))
        measure("phrases, zh", phrases.generate("zh"))
        measure("reverse", reverse.generate())
    for path in files:
        measure(path.name, read_tsv(path))


if __name__ == "__main__":
    main()
