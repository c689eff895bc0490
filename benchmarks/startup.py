"""Seconds until `minis2s --help` has answered: median of several processes. The bar is half a second.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def main() -> None:
    times = []
    for _ in range(11):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "minis2s", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    median = statistics.median(times)
    print(f"minis2s --help: {median:.3f} s, {'reached' if median < 0.5 else 'MISSED'}: < 0.5 s")


if __name__ == "__main__":
    main()
