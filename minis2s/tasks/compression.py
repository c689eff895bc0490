"""Make pictures small: their code, in 8 or 4 bits a number, entropy-coded, in a file; and back."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minis2s.backend import to_numpy
from minis2s.data.container import BITS, Range, dequantise, from_file, pack, quantise, to_file
from minis2s.data.images import ImageSplit
from minis2s.errors import CheckpointError
from minis2s.plots import save_figure
from minis2s.tasks.autoencoding import AutoencodingTask, decode, encode
from minis2s.tasks.denoising import one_of_each
from minis2s.tasks.pictures import Model, fidelity, fit_pca, quoted
from minis2s.training import RunDirectory, Trainer, write_text

logger = logging.getLogger("minis2s.tasks")

RANGE = "range.json"
"""The file of a run with the extent of each channel of the code."""

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
        """Find the extent of the code on the training pictures first."""
        model = self.load(run, device)
        train = trainer.trainable.split.train.pixels  # type: ignore[attr-defined]
        extent = Range.of(encode(model.net, train[:10000]))
        write_text(run / RANGE, json.dumps({"low": extent.low.tolist(), "high": extent.high.tolist()}) + "\n")
        return super().report(run, trainer, device)

    def score(self, model: Model, split: ImageSplit, pictures: Path | None) -> dict[str, Any]:
        """Fidelity of the code as it is, and in 8 and 4 bits with the size of its file, beside PCA and JPEG."""
        net, test = model.net, split.test.pixels
        codes = encode(net, test)
        extent = read_extent(model.run)[0]
        rows = {"original": test, "code": decode(net, codes)}
        scores: dict[str, Any] = {**fidelity(rows["code"], test), "parameters": net.buffer.data.size}
        numbers = int(np.prod(codes.shape[1:]))
        baselines: dict[str, Any] = {}
        for bits in BITS:
            levels = quantise(codes, extent, bits)
            rows[f"{bits}-bit code"] = decode(net, dequantise(levels, extent, bits))
            baselines[f"code in {bits} bits"] = {**fidelity(rows[f"{bits}-bit code"], test), **rate(levels, bits, test)}
        scores["bits_per_pixel"] = baselines["code in 8 bits"]["bits_per_pixel"]
        rows[f"PCA-{numbers}"], baselines[f"PCA-{numbers}"], by_bits = pca_baseline(split, numbers)
        baselines |= by_bits
        rows["JPEG"], baselines["JPEG"] = jpeg_baseline(test, scores["bits_per_pixel"])
        if pictures:
            draw(
                pictures / "compression.png",
                rows,
                {"code": scores, **baselines},
                one_of_each(split.test.labels, len(test)),
            )
        return {**scores, "numbers": numbers, "baselines": baselines}

    def use(self, run: RunDirectory) -> str:
        """See :class:`PictureTask`."""
        return f"minis2s compress {quoted(run)} in.png out.m2s, and minis2s decompress {quoted(run)} out.m2s back.png"


def rate(levels: np.ndarray, bits: int, pixels: np.ndarray) -> dict[str, float]:
    """Mean bytes of a picture's packed code, without the header, and bits per pixel."""
    size = float(np.mean([len(pack(picture, bits)) for picture in levels]))
    return {"bytes": size, "bits_per_pixel": 8 * size / np.prod(pixels.shape[2:])}


def pca_baseline(split: ImageSplit, numbers: int) -> tuple[np.ndarray, dict[str, float], dict[str, Any]]:
    """As many principal components as the code has numbers: pictures, fidelity, and that of 8 and 4 bits."""
    train, test = split.train.pixels, split.test.pixels
    pca = fit_pca(train, numbers)
    codes = pca.transform(test.reshape(len(test), -1)).astype(np.float32)
    extent = Range.of(pca.transform(train[:10000].reshape(len(train[:10000]), -1)).astype(np.float32))

    def back(code: np.ndarray) -> np.ndarray:
        return np.clip(pca.inverse_transform(code), 0, 1).reshape(test.shape).astype(np.float32)

    found: dict[str, Any] = {}
    for bits in BITS:
        levels = quantise(codes, extent, bits)
        made = back(dequantise(levels, extent, bits))
        found[f"PCA-{numbers} in {bits} bits"] = {**fidelity(made, test), **rate(levels, bits, test)}
    return back(codes), fidelity(back(codes), test), found


def jpeg(pixels: np.ndarray, quality: int) -> tuple[np.ndarray, dict[str, float]]:
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
    size = float(np.mean(sizes))
    return np.stack(made), {"bytes": size, "bits_per_pixel": 8 * size / np.prod(pixels.shape[2:])}


def jpeg_baseline(pixels: np.ndarray, bits_per_pixel: float) -> tuple[np.ndarray, dict[str, float]]:
    """JPEG of the quality whose files come nearest to `bits_per_pixel`."""
    some = pixels[:100]
    qualities = range(5, 100, 5)
    best = min(qualities, key=lambda q: abs(jpeg(some, q)[1]["bits_per_pixel"] - bits_per_pixel))
    made, size = jpeg(pixels, best)
    return made, {**fidelity(made, pixels), **size, "quality": best}


def draw(path: Path, rows: Mapping[str, np.ndarray], scores: Mapping[str, Any], chosen: np.ndarray) -> None:
    """The same digits before and after."""
    from minis2s.gallery import strip

    notes = {}
    for name in rows:
        found = scores.get(name) or scores.get(name.replace("-bit code", " bits").join(("code in ", "")))
        if found:
            size = f", {found['bits_per_pixel']:.2f} bits/px" if "bits_per_pixel" in found and name != "code" else ""
            notes[name] = f"{found['psnr']:.1f} dB{size}"
    save_figure(strip({name: pixels[chosen] for name, pixels in rows.items()}, notes), path)


# ---------------------------------------------------------------------------------------------------------------- files


def read_extent(run: RunDirectory) -> tuple[Range, str]:
    """Of each channel of a run's code, as it was in training, and the text that says so.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    try:
        text = (run / RANGE).read_text(encoding="utf-8")
        table = json.loads(text)
        return Range(*(np.array(table[name], dtype=np.float32) for name in ("low", "high"))), text
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{run / RANGE} is missing or damaged ({error}): finish the training") from None


class Codec(NamedTuple):
    """What makes files of pictures, and pictures of files."""

    model: Model
    extent: Range
    digest: bytes

    @classmethod
    def load(cls, run: RunDirectory, device: str) -> Codec:
        """Of a run.

        Raises
        ------
        CheckpointError
            If it is of another task, not finished, or damaged.
        """
        model = TASK.load(run, device)
        extent, text = read_extent(run)
        digest = hashlib.sha256(to_numpy(model.net.buffer.data).tobytes() + text.encode()).digest()
        return cls(model, extent, digest)

    def compress(self, pixels: np.ndarray, bits: int) -> bytes:
        """The file of one picture (C, H, W)."""
        return to_file(quantise(encode(self.model.net, pixels[None]), self.extent, bits), bits, self.digest)

    def decompress(self, name: str, data: bytes) -> np.ndarray:
        """The picture (C, H, W) of a file; DataError if it is not whole, or of another model."""
        shape = (1, *self.model.net.config.code_shape)
        levels, bits = from_file(name, data, shape, self.digest)
        return decode(self.model.net, dequantise(levels, self.extent, bits))[0]


TASK = Compression()
