"""Ways to spoil a picture, each seeded: what a denoiser learns to undo.

Pictures are float arrays (N, C, H, W) with values in [0, 1], and so is what comes out. `level` means

    gaussian      sigma of noise that is added                       x + sigma n,  n ~ N(0, 1)
    salt_pepper   share of pixels that become black or white, half of them each
    masking       share of pixels that become black
    blur          sigma, in pixels, of the bell curve that each point becomes
    poisson       photons that a white pixel receives on average     Poisson(level x) / level
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Noise = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def gaussian(pixels: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Add normal noise and clip."""
    noisy = rng.standard_normal(pixels.shape, dtype=np.float32)
    noisy *= level
    noisy += pixels
    return np.clip(noisy, 0, 1, out=noisy)


def salt_pepper(pixels: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Make pixels white or black."""
    draw = rng.random(pixels.shape, dtype=np.float32)
    noisy = np.where(draw < level / 2, 1, pixels)
    return np.where(draw >= 1 - level / 2, 0, noisy).astype(pixels.dtype)


def masking(pixels: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Make pixels black."""
    return pixels * (rng.random(pixels.shape, dtype=np.float32) >= level)


def blur(pixels: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Convolve with a normal density, along the rows and then along the columns; outside the picture it is black."""
    if level == 0:
        return pixels.copy()
    for axis, size in ((2, pixels.shape[2]), (3, pixels.shape[3])):
        place = np.arange(size)
        kernel = np.exp(-0.5 * ((place[:, None] - place) / level) ** 2)
        whole = np.exp(-0.5 * (np.arange(-4 * size, 4 * size + 1) / level) ** 2).sum()
        pixels = np.moveaxis(np.tensordot(pixels, (kernel / whole).astype(pixels.dtype), (axis, 1)), -1, axis)
    return np.clip(pixels, 0, 1)


def poisson(pixels: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Count photons: the fewer, the noisier."""
    return np.clip(rng.poisson(level * pixels) / level, 0, 1).astype(pixels.dtype)


NOISES: dict[str, Noise] = {
    "gaussian": gaussian,
    "salt_pepper": salt_pepper,
    "masking": masking,
    "blur": blur,
    "poisson": poisson,
}
LEVELS: dict[str, tuple[float, ...]] = {
    "gaussian": (0.25, 0.5, 0.75),
    "salt_pepper": (0.1, 0.3, 0.5),
    "masking": (0.25, 0.5, 0.75),
    "blur": (1.0, 1.5, 2.0),
    "poisson": (10.0, 3.0, 1.0),
}
"""Three levels of each, from weak to strong."""


def add_noise(pixels: np.ndarray, kind: str, level: float, rng: Any) -> np.ndarray:
    """Spoil pictures (N, C, H, W) with values in [0, 1]; the same `rng` spoils them in the same way.

    Raises
    ------
    ValueError
        If there is no such kind, or the level is out of its range.
    """
    if kind not in NOISES:
        raise ValueError(f"add_noise: kind is {kind!r}, expected one of {', '.join(NOISES)}")
    most = 1.0 if kind in ("salt_pepper", "masking") else np.inf
    if not (0 <= level <= most) or (kind == "poisson" and level == 0):
        raise ValueError(f"add_noise: level is {level:g}, {kind} expects one from 0 to {most:g}")
    return NOISES[kind](pixels, level, rng)
