"""Rate and distortion: PSNR over bits per pixel, for codes of several sizes, PCA of equal size, and JPEG.

    python benchmarks/rate_distortion.py docs/rate-distortion.png [--data FOLDER] [--seed 1]

Codes and principal components are kept in 8 or in 4 bits a number, then range-coded by how often each level occurred in
training; JPEG is counted without its headers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from images import train

from minis2s.data.entropy import BITS
from minis2s.data.images import read_data, split_images
from minis2s.gallery import rate_distortion
from minis2s.plots import save_figure
from minis2s.tasks.compression import jpeg
from minis2s.tasks.picture_scores import fidelity

SIZES = [(4, 4), (3, 4), (2, 2), (2, 4), (2, 8)]
"""How often height and width are halved, and the channels of the code."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, help="keep the runs there, and take those that are there already")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        draw(args.picture, args.data, args.seed, args.runs or Path(scratch))


def draw(picture: Path, data: Path | None, seed: int, folder: Path) -> None:
    own = ["--data", str(data)] if data else []
    ways = [f"{name}, {bits} bits" for name in ("autoencoder", "PCA") for bits in BITS]
    curves: dict[str, list[tuple[float, float, str]]] = {way: [] for way in (*ways, "JPEG")}
    for halvings, channels in SIZES:
        side = {2: 7, 3: 4, 4: 2}[halvings]
        label = f"{side}x{side}x{channels}"
        run = folder / label
        if not (run / "metrics.json").exists():
            sets = ["--set", f"halvings={halvings}", "--set", f"code={channels}"]
            train(["compression", *own, *sets], seed, run)
        scores = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        others, numbers = scores["baselines"], scores["numbers"]
        found = [scores, others["code in 4 bits"], *(others[f"PCA-{numbers} in {bits} bits"] for bits in BITS)]
        for way, row, size in zip(ways, found, ("", label, f"{numbers}", ""), strict=True):
            curves[way].append((row["bits_per_pixel"], row["psnr"], size))
            print(f"{way:20} {label} {row['bits_per_pixel']:.3f} bits per pixel, {row['psnr']:.2f} dB", flush=True)
    test = split_images(*read_data(data), 0.02, 0.2).test.pixels[:1000]
    for quality in (5, 10, 20, 40, 60, 80, 90):
        made, rate = jpeg(test, quality)
        curves["JPEG"].append((rate["bits_per_pixel"], fidelity(made, test)["psnr"], f"q{quality}"))
    save_figure(rate_distortion(curves, "handwritten digits, held out"), picture)


if __name__ == "__main__":
    main()
