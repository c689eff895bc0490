"""Real sentences, in minis2s and in PyTorch: same tokens, initial weights, batches and recipe; dropout draws its own.

    python benchmarks/tatoeba.py eng-fra.tsv [--set epochs=1 --set limit=2000] [--seed 1]

The two train in turn, epoch by epoch. Seconds are those of the training steps. Both are scored at the end of the recipe
by the same decoder, on the same held-out pairs: no source of theirs occurs in training.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")  # as the command line does; see training_step.py

import torch
from twin import TorchSeq2Seq

from minis2s.backend import prepare_process
from minis2s.data.batching import Batch
from minis2s.optim import Adam, clip_global_norm
from minis2s.tasks.sequence import start
from minis2s.tasks.settings import assignment
from minis2s.tasks.task import make_schedule
from minis2s.tasks.translation import TASK
from minis2s.training import RunDirectory


def torch_step(model: TorchSeq2Seq, batch: Batch, optimizer: torch.optim.Optimizer, clip: float) -> float:
    optimizer.zero_grad()
    loss = model(batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    prepare_process()  # as the command line does; PyTorch gains by it too
    torch.set_num_threads(2)
    torch.manual_seed(args.seed)
    changes = {"data": str(args.data), "seed": args.seed, **dict(map(assignment, args.set))}
    settings = TASK.settings(changes)
    with tempfile.TemporaryDirectory() as folder:
        training = start(TASK, settings, lambda: RunDirectory.create(Path(folder) / "run"), "cpu").trainable
    model, corpus, translator = training.model, training.corpus, training.translator
    twin = TorchSeq2Seq.like(model)
    optimizer = Adam(model.buffer)
    their_optimizer = torch.optim.Adam(twin.parameters(), fused=True)
    schedule = make_schedule(settings, len(training.batches(0)))

    seconds, step = [0.0, 0.0], 0
    model.train()
    for epoch in range(settings.epochs):
        batches = list(training.batches(epoch))
        started, losses = time.perf_counter(), [0.0, 0.0]
        for n, batch in enumerate(batches):
            model.zero_grad()
            loss, _ = model.loss_and_backward(batch)
            clip_global_norm(model.buffer, settings.clip)
            optimizer.lr = schedule(step + n)
            optimizer.step()
            losses[0] += float(loss) / len(batches)
        half = time.perf_counter()
        for n, batch in enumerate(batches):
            their_optimizer.param_groups[0]["lr"] = schedule(step + n)
            losses[1] += torch_step(twin, batch, their_optimizer, settings.clip) / len(batches)
        seconds[0] += half - started
        seconds[1] += time.perf_counter() - half
        step += len(batches)
        print(f"epoch {epoch + 1:2}: loss {losses[0]:.3f} minis2s, {losses[1]:.3f} PyTorch", flush=True)

    print(f"{'':8} {'seconds':>8} {'BLEU greedy':>12} {'BLEU beam 4':>12} {'chrF':>6} {'perplexity':>10}")
    for name, spent, state in (
        ("minis2s", seconds[0], model.state_dict()),
        ("PyTorch", seconds[1], {k: v.detach().numpy() for k, v in twin.state_dict().items()}),
    ):
        model.load_state_dict(state)
        greedy, wide = (translator.evaluate(corpus.test, beam=beam, alpha=settings.alpha).scores for beam in (1, 4))
        print(
            f"{name:8} {spent:8.1f} {greedy['bleu']:12.2f} {wide['bleu']:12.2f} "
            f"{wide['chrf']:6.2f} {wide['perplexity']:10.3f}"
        )
    print(f"time ratio {seconds[0] / seconds[1]:.2f}; {len(corpus.test)} held-out pairs; {wide['signature']}")


if __name__ == "__main__":
    main()
