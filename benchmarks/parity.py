"""The first 50 training losses against PyTorch, from equal weights and batches: the largest relative difference.

    python benchmarks/parity.py [--steps 50] [--hidden 256] [--vocabulary 3000]

Adam, clipping of the global norm, label smoothing, and ragged batches, each net in float32 and in float64. The bars are
1e-4 and 1e-9.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from twin import TorchSeq2Seq

from minis2s.data.batching import collate
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.optim import Adam, clip_global_norm

BARS = {"float32": 1e-4, "float64": 1e-9}


def losses_side_by_side(
    ours: Seq2Seq, theirs: TorchSeq2Seq, batches: Sequence[Any], *, lr: float, max_norm: float
) -> tuple[list[float], list[float]]:
    """Train both on the same batches; the loss of each step, ours and PyTorch's."""
    own_optimizer, their_optimizer = Adam(ours.buffer, lr), torch.optim.Adam(theirs.parameters(), lr)
    own, wanted = [], []
    for batch in batches:
        ours.zero_grad()
        own.append(float(ours.loss_and_backward(batch)[0]))
        clip_global_norm(ours.buffer, max_norm)
        own_optimizer.step()

        their_optimizer.zero_grad()
        loss = theirs(batch)
        loss.backward()
        wanted.append(loss.item())
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_norm)
        their_optimizer.step()
    return own, wanted


def largest_difference(own: Sequence[float], wanted: Sequence[float]) -> float:
    """Largest relative difference of two lists of losses."""
    return max(abs(a - b) / abs(b) for a, b in zip(own, wanted, strict=True))


def ragged_batches(rng: np.random.Generator, count: int, vocabulary: int) -> list[Any]:
    """Random sentences of 1 to 20 tokens, 64 in a batch; half of the tokens are among ten: something to learn."""

    def sentence() -> list[int]:
        size = rng.integers(1, 21)
        return np.where(rng.random(size) < 0.5, rng.integers(4, 14, size), rng.integers(4, vocabulary, size)).tolist()

    return [
        collate([sentence() for _ in range(64)], [sentence() for _ in range(64)], np.arange(64)) for _ in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=3000)
    args = parser.parse_args()
    batches = ragged_batches(np.random.default_rng(0), args.steps, args.vocabulary)
    print(
        f"{args.steps} steps, hidden {args.hidden}, vocabulary {args.vocabulary}; largest relative difference of a loss"
    )
    print(f"{'cell':5} {'dtype':8} {'first loss':>10} {'last loss':>10} {'difference':>10}  bar")
    for cell in ("gru", "lstm"):
        for dtype, bar in BARS.items():
            config = Seq2SeqConfig(
                args.vocabulary, args.vocabulary, embedding=128, hidden=args.hidden, cell=cell, label_smoothing=0.1
            )
            ours = Seq2Seq(config, np.random.default_rng(1)).to(dtype=dtype)
            own, wanted = losses_side_by_side(ours, TorchSeq2Seq.like(ours), batches, lr=1e-3, max_norm=1.0)
            difference = largest_difference(own, wanted)
            verdict = "reached" if difference <= bar else "MISSED"
            print(
                f"{cell:5} {dtype:8} {own[0]:10.6f} {own[-1]:10.6f} {difference:10.1e}  {verdict}: {bar:g}", flush=True
            )


if __name__ == "__main__":
    main()
