"""Make pictures small: their code, in 8 or 4 bits a number, then range-coded, in a file; and back."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minis2s.backend import to_numpy
from minis2s.data.container import damaged, from_file, to_file
from minis2s.data.entropy import BITS, Coder, CodeStatistics
from minis2s.data.images import ImageSplit
from minis2s.errors import CheckpointError
from minis2s.plots import save_figure
from minis2s.tasks.autoencoding import AutoencodingTask, decode, encode
from minis2s.tasks.denoising import one_of_each
from minis2s.tasks.picture_scores import fidelity, fit_pca
from minis2s.tasks.pictures import Model, quoted
from minis2s.training import RunDirectory, Trainer, load_checkpoint, save_checkpoint

logger = logging.getLogger("minis2s.tasks")

STATISTICS = "code.safetensors"
"""The file of a run with the extents of the code, and how often each of its places took each level."""

COUNTED = 20000
"""Training pictures that the statistics of the code are taken from, at most."""

RECIPE: dict[str, Any] = {
    "batch_size": 32,
    "epochs": 40,
    "lr": 6e-3,
    "schedule": "cosine",
    "warmup": 100,
    "clip": None,
}
LARGE: dict[str, Any] = {"batch_size": 64, "epochs": 6, "lr": 8e-3}


class Compression(AutoencodingTask):
    """See the module."""

    name: ClassVar[str] = "compression"
    summary: ClassVar[str] = "pictures to small files and back: handwritten digits, or your own with --data"

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The 5,000 digits are few: they want more epochs than 60,000."""
        return RECIPE | LARGE if changes.get("data") else RECIPE

    def report(self, run: RunDirectory, trainer: Trainer, device: str) -> str:
        """Count the levels of the training pictures' codes first."""
        model = self.load(run, device)
        train = trainer.trainable.split.train.pixels  # type: ignore[attr-defined]
        save_checkpoint(run / STATISTICS, CodeStatistics.of(encode(model.net, train[:COUNTED]))._asdict(), {})
        return super().report(run, trainer, device)

    def score(self, model: Model, split: ImageSplit, pictures: Path | None) -> dict[str, Any]:
        """Fidelity and size in 8 bits a number, as `compress` makes files; other ways to keep the code, PCA and JPEG.

        Sizes are those of what was packed, without the file's header.
        """
        net, test = model.net, split.test.pixels
        codes = encode(net, test)
        code = kept(codes, read_statistics(model.run), lambda c: decode(net, c), test)
        made, scores = code.pop("in 8 bits")
        numbers = int(np.prod(codes.shape[1:]))
        others = {f"code {way}": found for way, found in code.items()}
        others |= {f"PCA-{numbers} {way}": found for way, found in pca_baseline(split, numbers).items()}
        others["JPEG"] = jpeg_baseline(test, scores["bits_per_pixel"])
        if pictures:
            rows = {"original": (test, {}), "code in 8 bits": (made, scores)}
            rows |= {name: others[name] for name in ("code in 4 bits", f"PCA-{numbers} in 8 bits", "JPEG")}
            draw(pictures / "compression.png", rows, one_of_each(split.test.labels, len(test)))
        sizes = {"parameters": net.buffer.data.size, "numbers": numbers}
        return {**scores, **sizes, "baselines": {name: row for name, (_, row) in others.items()}}

    def use(self, run: RunDirectory) -> str:
        """See :class:`PictureTask`."""
        return f"minis2s compress {quoted(run)} in.png out.m2s, and minis2s decompress {quoted(run)} out.m2s back.png"


Found = tuple[np.ndarray, dict[str, Any]]
"""Pictures, and how good they and how large their codes are."""


def kept(
    codes: np.ndarray, statistics: CodeStatistics, back: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray
) -> dict[str, Found]:
    """What comes back of codes as they are, and in 8 and 4 bits a number, beside the pictures they are of."""
    plain = back(codes)
    found = {"not quantised": (plain, fidelity(plain, pixels))}
    for bits in BITS:
        coder = Coder(statistics, bits)
        levels = coder.quantise(codes)
        made = back(coder.dequantise(levels))
        size = float(np.mean([len(coder.pack(picture)) for picture in levels]))
        found[f"in {bits} bits"] = made, {**fidelity(made, pixels), **rate(size, pixels)}
    return found


def rate(size: float, pixels: np.ndarray) -> dict[str, float]:
    """Mean bytes of a picture, and bits per pixel."""
    return {"bytes": size, "bits_per_pixel": 8 * size / np.prod(pixels.shape[2:])}


def pca_baseline(split: ImageSplit, numbers: int) -> dict[str, Found]:
    """As many principal components as the code has numbers, kept in the same ways."""
    train, test = (part.pixels.reshape(len(part), -1) for part in (split.train, split.test))
    pca = fit_pca(split.train.pixels, numbers)
    codes, seen = (pca.transform(x).astype(np.float32) for x in (test, train[:COUNTED]))

    def back(code: np.ndarray) -> np.ndarray:
        return np.clip(pca.inverse_transform(code), 0, 1).reshape(split.test.pixels.shape).astype(np.float32)

    return kept(codes, CodeStatistics.of(seen), back, split.test.pixels)


def jpeg(pixels: np.ndarray, quality: int) -> Found:
    """Pictures after JPEG, and the mean size of their scans: headers, which are all alike, are left out."""
    from PIL import Image

    made, sizes = [], []
    for picture in np.rint(255 * pixels).astype(np.uint8):
        buffer = io.BytesIO()
        image = Image.fromarray(picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, 2))
        image.save(buffer, "JPEG", quality=quality, optimize=False)
        data = buffer.getvalue()
        sizes.append(len(data) - data.index(b"\xff\xda") - 2)  # from the start of the scan on
        array = np.asarray(Image.open(buffer), dtype=np.float32) / 255
        made.append(array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0))
    return np.stack(made), rate(float(np.mean(sizes)), pixels)


def jpeg_baseline(pixels: np.ndarray, bits_per_pixel: float) -> Found:
    """JPEG of the quality whose files come nearest to `bits_per_pixel`."""
    some = pixels[:100]
    qualities = range(5, 100, 5)
    best = min(qualities, key=lambda q: abs(jpeg(some, q)[1]["bits_per_pixel"] - bits_per_pixel))
    made, size = jpeg(pixels, best)
    return made, {**fidelity(made, pixels), **size, "quality": best}


def draw(path: Path, rows: Mapping[str, Found], chosen: np.ndarray) -> None:
    """The same digits before and after."""
    from minis2s.gallery import strip

    notes = {
        name: "{psnr:.1f} dB, {bits_per_pixel:.2f} bits/px".format(**row) for name, (_, row) in rows.items() if row
    }
    save_figure(strip({name: pixels[chosen] for name, (pixels, _) in rows.items()}, notes), path)


# ---------------------------------------------------------------------------------------------------------------- files


def read_statistics(run: RunDirectory) -> CodeStatistics:
    """Of a run's code, as it was in training.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    path = run / STATISTICS
    try:
        return CodeStatistics(**load_checkpoint(path).tensors)
    except (CheckpointError, TypeError) as error:
        raise CheckpointError(f"{path} is missing or damaged: finish the training with --resume") from error


class Codec:
    """What makes files of pictures, and pictures of files.

    Raises
    ------
    CheckpointError
        If the run is of another task, not finished, or damaged.
    """

    def __init__(self, run: RunDirectory, device: str):
        self.model = TASK.load(run, device)
        statistics = read_statistics(run)
        self.coders = {bits: Coder(statistics, bits) for bits in BITS}
        parts = (to_numpy(self.model.net.buffer.data), *statistics)
        self.digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).digest()

    def compress(self, pixels: np.ndarray, bits: int) -> bytes:
        """The file of one picture (C, H, W)."""
        coder = self.coders[bits]
        (levels,) = coder.quantise(encode(self.model.net, pixels[None]))
        return to_file(coder.pack(levels), bits, self.digest)

    def decompress(self, name: str, data: bytes) -> np.ndarray:
        """The picture (C, H, W) of a file; DataError if it is not whole, or of another model."""
        packed, bits = from_file(name, data, self.digest)
        try:
            levels = self.coders[bits].unpack(packed)
        except ValueError:
            raise damaged(name) from None
        return decode(self.model.net, self.coders[bits].dequantise(levels[None]))[0]


TASK = Compression()
