"""Digit-like pictures drawn by a few lines of code: for tests and lessons, without a file or a package.

Each digit is one or two strokes through a handful of points. The points tremble, the whole is turned, slanted, shifted
and scaled a little, and the pen has its own width each time.
"""

from __future__ import annotations

import numpy as np

BLOCK = 250
"""Pictures drawn at a time: they need (pictures, pixels, segments) numbers."""

STROKES: dict[int, tuple[tuple[tuple[float, float], ...], ...]] = {
    0: (((0.5, 0.1), (0.7, 0.2), (0.8, 0.5), (0.7, 0.8), (0.5, 0.9), (0.3, 0.8), (0.2, 0.5), (0.3, 0.2), (0.5, 0.1)),),
    1: (((0.35, 0.25), (0.52, 0.1), (0.5, 0.9)),),
    2: (((0.25, 0.3), (0.35, 0.13), (0.6, 0.1), (0.72, 0.3), (0.55, 0.55), (0.25, 0.88), (0.5, 0.85), (0.8, 0.88)),),
    3: (((0.25, 0.15), (0.6, 0.1), (0.7, 0.28), (0.45, 0.47), (0.72, 0.65), (0.6, 0.87), (0.25, 0.85)),),
    4: (((0.4, 0.1), (0.25, 0.55), (0.8, 0.55)), ((0.65, 0.3), (0.62, 0.9))),
    5: (((0.72, 0.12), (0.35, 0.12), (0.32, 0.45), (0.6, 0.45), (0.72, 0.65), (0.58, 0.87), (0.25, 0.85)),),
    6: (((0.6, 0.1), (0.35, 0.4), (0.28, 0.7), (0.48, 0.9), (0.7, 0.75), (0.58, 0.55), (0.32, 0.65)),),
    7: (((0.22, 0.14), (0.76, 0.12), (0.55, 0.5), (0.42, 0.9)),),
    8: (
        ((0.5, 0.5), (0.3, 0.3), (0.5, 0.1), (0.7, 0.28), (0.5, 0.5), (0.28, 0.7), (0.5, 0.9), (0.72, 0.7), (0.5, 0.5)),
    ),
    9: (((0.68, 0.35), (0.5, 0.1), (0.3, 0.3), (0.45, 0.5), (0.68, 0.35), (0.66, 0.6), (0.55, 0.9)),),
}  # fmt: skip
"""Points (x, y) of each stroke, in a square whose upper left corner is (0, 0)."""


def generate(count: int, rng: np.random.Generator, size: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` digits in random order.

    Returns
    -------
    pixels (count, 1, size, size) float32 in [0, 1], in steps of 1/255, and labels (count,) int64
    """
    labels = rng.integers(0, 10, count)
    pixels = np.zeros((count, 1, size, size), dtype=np.float32)
    for digit, strokes in STROKES.items():
        chosen = np.flatnonzero(labels == digit)
        for start in range(0, len(chosen), BLOCK):
            rows = chosen[start : start + BLOCK]
            pixels[rows, 0] = _draw(strokes, len(rows), rng, size)
    return pixels, labels


def _draw(strokes: tuple, count: int, rng: np.random.Generator, size: int) -> np.ndarray:
    """(count, size, size): one digit, differently each time."""
    starts, ends = [], []
    bend = _affine_maps(count, rng)
    for stroke in strokes:
        points = np.array(stroke) - 0.5 + 0.02 * rng.standard_normal((count, len(stroke), 2))
        points = np.einsum("nij,npj->npi", bend[:, :, :2], points) + bend[:, None, :, 2]
        starts.append(points[:, :-1])
        ends.append(points[:, 1:])
    distance = _distance(np.concatenate(starts, axis=1), np.concatenate(ends, axis=1), size)
    width = rng.uniform(0.045, 0.08, (count, 1))
    ink = np.clip((width - distance) * size * 0.7 + 0.5, 0, 1)
    return np.rint(255 * ink.reshape(count, size, size)).astype(np.float32) / np.float32(255)


def _affine_maps(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 2, 3): turn, slant, scale and shift."""
    angle, slant = 0.12 * rng.standard_normal(count), 0.2 * rng.standard_normal(count)
    scale = rng.uniform(0.62, 0.8, (2, count))
    cos, sin = np.cos(angle), np.sin(angle)
    rows = [
        [cos * scale[0], (-sin - slant) * scale[1], 0.5 + rng.uniform(-0.04, 0.04, count)],
        [sin * scale[0], cos * scale[1], 0.5 + rng.uniform(-0.04, 0.04, count)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _distance(starts: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray:
    """(count, size * size): how far the middle of each pixel is from the nearest segment."""
    middle = (np.arange(size) + 0.5) / size
    pixel = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(1, -1, 1, 2)  # x first
    start, along = starts[:, None], (ends - starts)[:, None]  # (count, 1, segments, 2)
    share = ((pixel - start) * along).sum(axis=-1) / ((along * along).sum(axis=-1) + 1e-12)
    nearest = start + np.clip(share, 0, 1)[..., None] * along
    return np.sqrt(((pixel - nearest) ** 2).sum(axis=-1)).min(axis=2)
