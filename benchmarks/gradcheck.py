"""What the gradient checker reaches: planted bugs found and named, right functions let through, seconds.

    python benchmarks/gradcheck.py [--checks N] [--start SEED] [--seen] [--misses]

`--misses` names the bugs of which the cause was not named first: of those developed on alone, the others stay unseen.
Needs the checkout's tests. Takes about half an hour for 10,000 checks of right functions.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from models_to_test import make_batch
from mutants import Mutant, developed_on, held_out, named_causes
from right_functions import count_verdicts

from minis2s import functional as F
from minis2s.gradcheck import check, check_pair
from minis2s.models.seq2seq import Seq2Seq, Seq2SeqConfig

ROW = "| {:62} | {:>20} | {:>12} |"


def row(measure: str, reached: str, bar: str) -> None:
    print(ROW.format(measure, reached, bar), flush=True)


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.1%})"


def planted(name: str, mutants: list[Mutant], first_bar: str, three_bar: str) -> list[tuple[Mutant, list[str]]]:
    """Rows of one folder; returned are those whose cause is not named first."""
    reports, longest = [], 0.0
    for m in mutants:
        start = time.perf_counter()
        reports.append((m, m.check()))
        longest = max(longest, time.perf_counter() - start)
    found = sum(not report.passed and report.verdict != "inconclusive" for _, report in reports)
    named = [(m, named_causes(report)) for m, report in reports]
    first = [bool(set(causes[:1]) & set(m.causes)) for m, causes in named]
    three = [bool(set(causes[:3]) & set(m.causes)) for m, causes in named]
    row(f"planted bugs called wrong or contract broken, {name}", share(found, len(reports)), "100 %")
    row(f"true cause first, {name}", share(sum(first), len(first)), first_bar)
    row(f"true cause among the first three, {name}", share(sum(three), len(three)), three_bar)
    row(f"longest check and diagnosis of a planted bug, {name}", f"{longest:.2f} s", "")
    return [pair for pair, is_first in zip(named, first, strict=True) if not is_first]


def right_functions(checks: int, start: int) -> list[str]:
    """Rows of the library's functions on random inputs; returned is what was not called right."""
    counts, others = count_verdicts(checks, start)
    total = counts.total()
    row(f"right functions called wrong, over {total} checks", str(counts["wrong"] + counts["contract broken"]), "0")
    row("right functions called inconclusive", share(counts["inconclusive"], total), "<= 0.1 %")
    return [text for _, _, text in others]


def written_otherwise() -> None:
    for library in ("numpy", "torch", "jax"):
        try:
            module: Any = importlib.import_module(f"mutants.otherwise.{library}_code")
        except ImportError:
            row(f"right code written otherwise, {library}", "not installed", "all")
            continue
        right = 0
        for written in module.rewritten.found:
            parts = written.function if isinstance(written.function, tuple) else (written.function,)
            way_in: Any = check_pair if len(parts) == 2 else check
            right += way_in(*parts, *written.inputs(np.random.default_rng(1))).passed
        row(f"right code written otherwise, {library}", share(right, len(module.rewritten.found)), "all")


def seconds(function: Any, *inputs: Any) -> float:
    """Of the second check: the first one warms up."""
    for _ in range(2):
        start = time.perf_counter()
        assert check(function, *inputs).passed
    return time.perf_counter() - start


def times() -> None:
    rng = np.random.default_rng(1)
    T, N, D, H = 5, 3, 4, 5
    shapes = [(T, N, D), (N, H), (N, H), (4 * H, D), (4 * H, H), (4 * H,), (4 * H,)]
    taken = seconds(F.lstm, *map(rng.standard_normal, shapes), None)
    row("check of lstm, T = 5, N = 3, D = 4, H = 5", f"{taken:.2f} s", "<= 1 s")
    config = Seq2SeqConfig(source_vocabulary=1000, target_vocabulary=1000, embedding=48, hidden=48)
    model = Seq2Seq(config, np.random.default_rng(0))
    taken = seconds(model.loss_and_backward, make_batch())
    row(f"check of a Seq2Seq loss, {model.buffer.data.size:,} parameters", f"{taken:.2f} s", "<= 10 s")


def unseen(checks: int, start: int) -> list[str]:
    """All that the diagnosis was not developed on, and the times; returned is what of right functions was not right."""
    planted("kept aside", held_out(), ">= 75 %", ">= 90 %")
    written_otherwise()
    times()
    return right_functions(checks, start) if checks else []


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=10_000, help="so many checks of right functions")
    parser.add_argument("--start", type=int, default=0, help="seed of these checks, to run them in parts")
    parser.add_argument("--seen", action="store_true", help="only the bugs developed on, and nothing else")
    parser.add_argument("--misses", action="store_true", help="name the bugs whose cause was not named first")
    args = parser.parse_args()
    row("measure", "reached", "bar")
    print(f"|{'-' * 64}|{'-' * 21}:|{'-' * 13}:|")
    misses = planted("developed on", developed_on(), ">= 85 %", ">= 95 %")
    others = [] if args.seen else unseen(args.checks, args.start)
    if args.misses:
        for mutant, causes in misses:
            print(f"{mutant.name}: {' or '.join(mutant.causes)}, named: {', '.join(causes[:3]) or 'nothing'}")
    for text in others:
        print(text)


if __name__ == "__main__":
    main()
