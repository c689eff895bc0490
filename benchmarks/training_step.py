"""Time of one training step against PyTorch eager: the same model, weights and batch, in turn, in one run.

    python benchmarks/training_step.py [--batches 64 128] [--length 15] [--rounds 9] [--threads 2]

A step is forward, backward, clipping of the global norm and Adam (PyTorch's: fused). The batch has no padding, so that
PyTorch need not pack. Printed are the medians over the rounds, and the median of the ratios round by round.

Both get the settings of a process that the command line starts. Freed memory is kept for the next step, which PyTorch
gains by as well. And OpenBLAS' threads sleep as soon as they have nothing to do: else they spin on after NumPy's step,
and PyTorch's, which comes next, takes up to twice as long.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from itertools import product
from types import SimpleNamespace

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")  # 2^10 cycles; read when NumPy is imported

import numpy as np
import torch
from twin import TorchSeq2Seq

from minis2s.backend import prepare_process
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.optim import Adam, clip_global_norm


def random_batch(rng: np.random.Generator, length: int, batch: int, vocabulary: int) -> SimpleNamespace:
    ids = lambda: rng.integers(4, vocabulary, (length, batch))  # noqa: E731
    mask = np.ones((length, batch), dtype=bool)
    return SimpleNamespace(source=ids(), source_mask=mask, target_in=ids(), target_out=ids(), target_mask=mask)


def our_step(model: Seq2Seq, batch: SimpleNamespace) -> Callable[[], float]:
    optimizer = Adam(model.buffer)

    def step() -> float:
        model.zero_grad()
        loss, _ = model.loss_and_backward(batch)
        clip_global_norm(model.buffer, 1.0)
        optimizer.step()
        return float(loss)

    return step


def torch_step(model: TorchSeq2Seq, batch: SimpleNamespace) -> Callable[[], float]:
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> float:
        optimizer.zero_grad()
        loss = model(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def seconds(step: Callable[[], float]) -> float:
    step()  # as in training, where a step follows its like: the other's threads sleep again, the caches hold our arrays
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--length", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2, help="PyTorch's; set OPENBLAS_NUM_THREADS for NumPy's")
    parser.add_argument("--cells", nargs="+", default=["gru", "lstm"])
    parser.add_argument("--vocabularies", nargs="+", type=int, default=[500, 3000, 8000])
    parser.add_argument("--hidden", nargs="+", type=int, default=[128, 256, 512])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    prepare_process()
    print(f"length {args.length}, {args.rounds} rounds; milliseconds, medians")
    print(f"{'batch':>5} {'cell':5} {'V':>5} {'H':>4} {'minis2s':>9} {'PyTorch':>9} {'ratio':>6}")
    for size, cell, vocabulary, hidden in product(args.batches, args.cells, args.vocabularies, args.hidden):
        config = Seq2SeqConfig(vocabulary, vocabulary, embedding=hidden, hidden=hidden, cell=cell)
        model = Seq2Seq(config, np.random.default_rng(0))
        batch = random_batch(np.random.default_rng(1), args.length, size, vocabulary)
        steps = our_step(model, batch), torch_step(TorchSeq2Seq.like(model), batch)
        for step in steps:
            step(), step()
        times = [[seconds(step) for step in steps] for _ in range(args.rounds)]
        ours, theirs = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        print(f"{size:5} {cell:5} {vocabulary:5} {hidden:4} {ours:9.1f} {theirs:9.1f} {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
