"""Peak memory of a training step on pictures, ours and PyTorch's: how far a batch lets a process grow.

    python benchmarks/image_memory.py [--nets strided pooled ...] [--batch 128]

Each net trains in a process of its own for each library. Printed are the megabytes by which the largest resident set
after ten steps exceeds that after a first step on two pictures.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

MEGABYTE = 1 << 20


def peak() -> float:
    """Largest resident set so far, in megabytes; Linux counts in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


def train(net: str, library: str, batch: int) -> float:
    """Megabytes that ten steps of a net take."""
    import numpy as np
    import torch
    from image_step import NETS, SHAPE, our_step, torch_step, twin

    torch.set_num_threads(2)
    model = NETS[net](np.random.default_rng(0))
    twin_model = twin(model)

    def steps_of(count: int, pictures: int) -> None:
        x = np.random.default_rng(1).random((pictures, *SHAPE), dtype=np.float32)
        step = our_step(model, x) if library == "minis2s" else torch_step(twin_model, torch.from_numpy(x))
        for _ in range(count):
            step()

    steps_of(1, 2)  # libraries load parts of themselves when they are first used
    before = peak()
    steps_of(10, batch)
    return peak() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=["strided", "pooled", "dense", "denoiser", "vae", "vae, conv"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--library", choices=("minis2s", "PyTorch"), help="train here, the first net only")
    args = parser.parse_args()
    if args.library:
        print(train(args.nets[0], args.library, args.batch))
        return
    print(f"batch {args.batch}; megabytes")
    print(f"{'net':14} {'minis2s':>9} {'PyTorch':>9} {'ratio':>6}")
    for net in args.nets:
        command = [sys.executable, __file__, "--nets", net, "--batch", str(args.batch), "--library"]
        ours, theirs = (
            float(subprocess.run([*command, library], capture_output=True, text=True, check=True).stdout)
            for library in ("minis2s", "PyTorch")
        )
        print(f"{net:14} {ours:9.1f} {theirs:9.1f} {ours / theirs:6.2f}", flush=True)


if __name__ == "__main__":
    main()
