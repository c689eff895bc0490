"""Quality and time of every task, as a user runs it: the command line, from start to report, against its bar.

    python benchmarks/tasks.py [phrases-fr phrases-zh dates addition reverse] [--seeds 1 2 3]
    python benchmarks/tasks.py tatoeba-fra tatoeba-cmn --data FOLDER     # with eng-fra.tsv and eng-cmn.tsv in it

Minutes are those of the whole command: data, training, validation, and the report at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """Arguments of `minis2s train`, and the bar: the least value of each score, the most minutes."""

    arguments: list[str]
    least: dict[str, float]
    minutes: float | None


RUNS = {
    "phrases-fr": Run(["translation"], {"bleu": 95, "exact": 0.85}, 3),
    "phrases-zh": Run(["translation", "--set", "language=zh"], {"bleu": 95, "exact": 0.85}, 3),
    "dates": Run(["dates"], {"exact": 0.995}, 3),
    "addition": Run(["addition"], {"exact": 0.99}, 5),
    "reverse": Run(["reverse"], {"bleu": 97}, 4),
    "tatoeba-fra": Run(["translation", "--data", "eng-fra.tsv"], {"bleu": 25}, None),
    "tatoeba-cmn": Run(["translation", "--data", "eng-cmn.tsv"], {}, None),
}


def train(arguments: list[str], seed: int, folder: Path) -> tuple[float, dict]:
    """Minutes and scores of one run."""
    output = folder / f"seed-{seed}"
    command = [sys.executable, "-m", "minis2s.cli", "train", *arguments, "--seed", str(seed), "--output", str(output)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    minutes = (time.perf_counter() - start) / 60
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return minutes, json.loads((output / "metrics.json").read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", default=[name for name in RUNS if not name.startswith("tatoeba")])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument(
        "--data", type=Path, default=Path(), help="the folder of the files that the project does not ship"
    )
    args = parser.parse_args()
    if unknown := set(args.runs) - set(RUNS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    print(f"{'run':12} {'seed':>4} {'examples':>8} {'exact':>7} {'BLEU':>6} {'chrF':>6} {'minutes':>7}  bar")
    for name in args.runs:
        run = RUNS[name]
        arguments = [str(args.data / a) if a.endswith(".tsv") else a for a in run.arguments]
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                minutes, scores = train(arguments, seed, Path(folder))
            reached = all(scores[key] >= least for key, least in run.least.items())
            reached = reached and (run.minutes is None or minutes <= run.minutes)
            bar = ", ".join(f"{key} >= {least:g}" for key, least in run.least.items())
            bar += f" in {run.minutes:g} min" if run.minutes else ""
            print(
                f"{name:12} {seed:4} {scores['examples']:8} {scores['exact']:7.4f} {scores['bleu']:6.2f} "
                f"{scores['chrf']:6.2f} {minutes:7.2f}  {'reached' if reached else 'MISSED'}: {bar}",
                flush=True,
            )


if __name__ == "__main__":
    main()
