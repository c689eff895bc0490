"""The tasks with pictures, as a user runs them, from start to report, each against its bar.

    python benchmarks/images.py --data FOLDER                   # of MNIST's four IDX files: 60,000 and 10,000 digits
    python benchmarks/images.py                                 # 5,000 digits, of which about 1,000 are held out
    python benchmarks/images.py compression unet --seeds 1 2 3

Minutes are those of the whole command.
"""

from __future__ import annotations

import argparse
import json
import operator
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Bar = tuple[str, str, float]
"""A score, `<=` or `>=`, and a number."""

TESTS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


class Run(NamedTuple):
    """Arguments of `minis2s train`, and the bars with 60,000 pictures and with the 5,000.

    The latter were set a little below what was measured first.
    """

    arguments: list[str]
    large: list[Bar]
    small: list[Bar]


RUNS = {
    "compression": Run(
        ["compression"],
        [("mse", "<=", 0.00157), ("psnr", ">=", 28.6), ("ssim", ">=", 0.984), ("dB lost by 8 bits", "<=", 0.2)],
        [("mse", "<=", 0.0015), ("psnr", ">=", 28.7), ("ssim", ">=", 0.985), ("dB lost by 8 bits", "<=", 0.2)],
    ),
    "denoising": Run(
        ["denoising"],
        [("psnr", ">=", 19.6), ("ssim", ">=", 0.84)],
        [("psnr", ">=", 19.2), ("ssim", ">=", 0.835)],
    ),
    "unet": Run(
        ["denoising", "--set", "net=unet", "--set", "epochs=8"],
        [("psnr", ">=", 21.0), ("parameters", "<=", 100_000)],
        [("parameters", "<=", 100_000)],
    ),
    "features": Run(
        ["features"],
        [("knn5", ">=", 0.946), ("linear_probe", ">=", 0.927), ("fine_tuned", ">=", 0.985)],
        [("knn5", ">=", 0.95), ("linear_probe", ">=", 0.911), ("fine_tuned", ">=", 0.97)],
    ),
    "vae": Run(["generation"], [("elbo", ">=", -105.5)], [("elbo", ">=", -114.0)]),
    "vae-2d": Run(
        ["generation", "--set", "latent=2", "--set", "batch_size=64", "--set", "lr=3e-3"],
        [("elbo", ">=", -153.7)],
        [("elbo", ">=", -165.0)],
    ),
}


def train(arguments: list[str], seed: int, output: Path) -> tuple[float, dict[str, Any]]:
    """Minutes and scores of one run."""
    command = [sys.executable, "-m", "minis2s.cli", "train", *arguments, "--seed", str(seed), "--output", str(output)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    minutes = (time.perf_counter() - start) / 60
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    scores = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    if arguments[0] == "compression":
        scores["dB lost by 8 bits"] = scores["baselines"]["code not quantised"]["psnr"] - scores["psnr"]
    return minutes, scores


def verdict(scores: Mapping[str, Any], bars: list[Bar]) -> str:
    """Each bar with what was reached."""
    parts = []
    for key, test, bar in bars:
        reached = TESTS[test](scores[key], bar)
        parts.append(f"{key} {scores[key]:.5g} {test} {bar:g} {'reached' if reached else 'MISSED'}")
    return "; ".join(parts)


def others(scores: Mapping[str, Any], key: str) -> str:
    """The same score of the baselines."""
    found = {name: row[key] for name, row in scores["baselines"].items() if key in row}
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", default=list(RUNS))
    parser.add_argument("--data", type=Path, help="a folder of IDX files (default: the 5,000 digits)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--output", type=Path, help="keep the runs there (default: throw them away)")
    args = parser.parse_args()
    if unknown := set(args.runs) - set(RUNS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.output or Path(scratch)
        for name in args.runs:
            run = RUNS[name]
            data = ["--data", str(args.data)] if args.data else []
            bars = run.large if args.data else run.small
            for seed in args.seeds:
                minutes, scores = train([*run.arguments, *data], seed, folder / f"{name}-{seed}")
                print(
                    f"{name:12} seed {seed}, {scores['examples']} held out, {minutes:.1f} min: {verdict(scores, bars)}"
                )
                print(f"{'':12} {bars[0][0]} of others: {others(scores, bars[0][0])}", flush=True)


if __name__ == "__main__":
    main()
