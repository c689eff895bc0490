"""Take noise out of pictures: learn what clean pictures look like, and make noisy ones look so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minis2s.backend import Array, item, to_numpy
from minis2s.data.images import ImageSplit
from minis2s.data.noise import LEVELS, NOISES, add_noise
from minis2s.errors import ConfigError
from minis2s.models.autoencoder import LOSSES, AutoencoderConfig, make_autoencoder
from minis2s.models.denoiser import Denoiser, DenoiserConfig
from minis2s.plots import save_figure
from minis2s.tasks.picture_scores import fidelity, mapped
from minis2s.tasks.pictures import Model, PictureSettings, PictureTask, evaluation_rng, quoted
from minis2s.tasks.settings import setting
from minis2s.training import RunDirectory

NETS = ("unet", "strided", "pooled", "dense")
COMPARED = 300
"""Pictures for the table of noises: non-local means are slow."""
SHOWN = 12

RECIPE: dict[str, Any] = {
    "batch_size": 32,
    "epochs": 20,
    "lr": 4e-3,
    "schedule": "cosine",
    "warmup": 100,
    "clip": None,
}

LARGE: dict[str, Any] = {"epochs": 6, "batch_size": 64, "lr": 6e-3, "warmup": 100}
UNET: dict[str, Any] = {"batch_size": 128, "lr": 4e-3}

Filter = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class DenoisingSettings(PictureSettings):
    """Adds the noise and the net."""

    noise: str = setting("gaussian", "the noise to learn; mixed: all kinds in turn", choices=(*NOISES, "mixed"))
    level: float = setting(0.5, "its strength, if not the middle one of minis2s.data.noise; mixed has its own", low=0)
    net: str = setting("strided", "the model: unet, the best and slowest, has ways around its middle", choices=NETS)
    width: int = setting(16, "channels of the first convolution, or hidden units of dense", low=1)
    code: int = setting(4, "channels of the code, units for dense; not for unet", low=1)
    loss: str = setting("bce", "binary cross-entropy, or squared error", choices=LOSSES)


class Denoising(PictureTask):
    """See the module."""

    name: ClassVar[str] = "denoising"
    summary: ClassVar[str] = "noise out of pictures: handwritten digits, or your own with --data"
    settings_type: ClassVar[type[PictureSettings]] = DenoisingSettings
    learns_to_score: ClassVar[bool] = False

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fewer epochs for more pictures, in smaller batches; of each noise the middle level."""
        large = LARGE if changes.get("data") else {}
        level = {"level": LEVELS[changes["noise"]][1]} if changes.get("noise") in LEVELS else {}
        return RECIPE | large | (UNET if changes.get("net") == "unet" else {}) | level

    def check(self, settings: Any) -> None:
        """Refuse a level that the noise does not have."""
        super().check(settings)
        if settings.noise != "mixed":
            try:
                add_noise(np.zeros((1, 1, 1, 1)), settings.noise, settings.level, np.random.default_rng(0))
            except ValueError as error:
                raise ConfigError(f"these settings do not go together: {error}") from error

    def config(self, settings: Any, shape: tuple[int, int, int]) -> Any:
        """See :class:`PictureTask`."""
        w = settings.width
        if settings.net == "unet":
            return DenoiserConfig(shape, (w, 2 * w, 4 * w), settings.loss)
        return AutoencoderConfig(shape, settings.net, settings.code, w, loss=settings.loss)

    def make(self, config: Any, rng: np.random.Generator) -> Any:
        """See :class:`PictureTask`."""
        if isinstance(config, Mapping):
            config = DenoiserConfig(**config) if "channels" in config else AutoencoderConfig(**config)
        return Denoiser(config, rng) if isinstance(config, DenoiserConfig) else make_autoencoder(config, rng)

    def loss_and_backward(self, net: Any, pixels: np.ndarray, settings: Any, step: int) -> tuple[Array, Any]:
        """The target is the clean picture."""
        return net.loss_and_backward(spoil(pixels, settings, net.rng, step), pixels, step)

    def measure(self, net: Any, pixels: np.ndarray, settings: Any, rng: np.random.Generator) -> dict[str, float]:
        """Loss and squared error, for the noise that is learnt."""
        noisy = spoil_each(pixels, settings, rng)
        made = to_numpy(net.reconstruct(noisy))
        return {"loss": float(item(net.loss(noisy, pixels))), "mse": float(((made - pixels) ** 2).mean())}

    def reconstruct(self, net: Any, pixels: np.ndarray, settings: Any, rng: np.random.Generator) -> Array:
        """From noisy pictures."""
        return net.reconstruct(spoil_each(pixels, settings, rng))

    def score(self, model: Model, split: ImageSplit, pictures: Path | None) -> dict[str, Any]:
        """The noise that was learnt, on all test pictures; every noise and level, on some; each beside filters."""
        clean, settings = split.test.pixels, model.settings
        noisy = spoil_each(clean, settings, evaluation_rng(settings))
        denoised = mapped(model.net.reconstruct, noisy)
        median = median_filter(noisy)
        scores = fidelity(denoised, clean)
        baselines = {
            "noisy input": fidelity(noisy, clean),
            "median 3 x 3": fidelity(median, clean),
            "Gaussian blur": fidelity(gaussian_filter(noisy), clean),
        }
        table = compare(model, clean[:: max(len(clean) // COMPARED, 1)][:COMPARED])
        if pictures:
            rows = {"clean": clean, "noisy": noisy, "median 3 x 3": median, "denoised": denoised}
            notes = {"noisy": baselines["noisy input"], "median 3 x 3": baselines["median 3 x 3"], "denoised": scores}
            draw_strip(pictures / "denoising.png", rows, notes, one_of_each(split.test.labels, len(clean)))
            draw_table(pictures / "noises.png", table)
        learnt = {"noise": settings.noise, "level": None if settings.noise == "mixed" else settings.level}
        return {**learnt, **scores, "parameters": model.net.buffer.data.size, "baselines": baselines, "noises": table}

    def format(self, scores: Mapping[str, Any]) -> str:
        """The learnt noise, then all of them."""
        learnt = "all noises in turn" if scores["level"] is None else f"{scores['noise']} {scores['level']:g}"
        lines = [f"{learnt}:", super().format(scores), "", "PSNR (dB) for every noise and level:"]
        methods = list(next(iter(scores["noises"].values()))["psnr"])
        lines.append(f"{'':24}" + "".join(f"{name:>16}" for name in methods))
        for noise, part in scores["noises"].items():
            for k, level in enumerate(part["levels"]):
                values = "".join(f"{part['psnr'][name][k]:16.2f}" for name in methods)
                lines.append(f"{noise + ' ' + format(level, 'g'):24}{values}")
        return "\n".join(lines)

    def use(self, run: RunDirectory) -> str:
        """See :class:`PictureTask`."""
        return f"minis2s denoise {quoted(run)} *.png"


def spoil(pixels: np.ndarray, settings: Any, rng: np.random.Generator, step: int) -> np.ndarray:
    """Noise for a batch of training as the settings want it; `mixed` takes the kinds and levels in turn."""
    pairs = _noises(settings)
    return add_noise(pixels, *pairs[step % len(pairs)], rng)


def spoil_each(pixels: np.ndarray, settings: Any, rng: np.random.Generator) -> np.ndarray:
    """Noise to measure with: of `mixed` the first picture gets the first kind, the next the second, and so on."""
    pairs, noisy = _noises(settings), np.empty_like(pixels)
    for k, pair in enumerate(pairs):
        noisy[k :: len(pairs)] = add_noise(pixels[k :: len(pairs)], *pair, rng)
    return noisy


def _noises(settings: Any) -> list[tuple[str, float]]:
    """Kind and level of each noise that is learnt."""
    if settings.noise != "mixed":
        return [(settings.noise, settings.level)]
    return [(noise, LEVELS[noise][k]) for k in range(3) for noise in NOISES]


# -------------------------------------------------------------------------------------------------------------- filters


def median_filter(pixels: np.ndarray) -> np.ndarray:
    """The median of each 3 x 3 neighbourhood."""
    return _each(lambda x: _ndimage().median_filter(x, size=3, mode="constant"), pixels)


def gaussian_filter(pixels: np.ndarray) -> np.ndarray:
    """A blur with sigma 1."""
    return _each(lambda x: _ndimage().gaussian_filter(x, 1.0, mode="constant"), pixels)


def non_local_means(pixels: np.ndarray) -> np.ndarray:
    """Non-local means (Buades, Coll & Morel 2005) by scikit-image; the noise is what a median takes out."""
    from skimage.restoration import denoise_nl_means

    def apply(x: np.ndarray) -> np.ndarray:
        sigma = float(np.std(x - _ndimage().median_filter(x, size=3, mode="constant")))
        options: dict[str, Any] = {"patch_size": 5, "patch_distance": 6, "fast_mode": True}
        return denoise_nl_means(x, h=0.8 * sigma, sigma=sigma, **options) if sigma > 0 else x

    return np.clip(_each(apply, pixels), 0, 1)


def _each(function: Filter, pixels: np.ndarray) -> np.ndarray:
    """`function` of each channel of each picture."""
    flat = pixels.reshape(-1, *pixels.shape[2:])
    return np.stack([function(x) for x in flat]).reshape(pixels.shape).astype(np.float32)


def _ndimage() -> Any:
    from scipy import ndimage

    return ndimage


def compare(model: Model, clean: np.ndarray) -> dict[str, Any]:
    """Mean PSNR and SSIM of the model and of the filters, for every noise and level."""
    methods: dict[str, Filter] = {
        "noisy": lambda x: x,
        "median 3 x 3": median_filter,
        "Gaussian blur": gaussian_filter,
        "non-local means": non_local_means,
        "this model": lambda x: mapped(model.net.reconstruct, x),
    }
    table: dict[str, Any] = {}
    for noise, levels in LEVELS.items():
        part: dict[str, Any] = {
            "levels": list(levels),
            "psnr": {m: [] for m in methods},
            "ssim": {m: [] for m in methods},
        }
        for level in levels:
            noisy = add_noise(clean, noise, level, evaluation_rng(model.settings))
            for name, method in methods.items():
                found = fidelity(method(noisy), clean)
                part["psnr"][name].append(found["psnr"])
                part["ssim"][name].append(found["ssim"])
        table[noise] = part
    return table


# ------------------------------------------------------------------------------------------------------------- pictures


def one_of_each(labels: np.ndarray | None, count: int, shown: int = SHOWN) -> np.ndarray:
    """Places of a few pictures: of each class in turn, or the first ones."""
    if labels is None:
        return np.arange(min(shown, count))
    classes = np.unique(labels)
    turns = [np.flatnonzero(labels == c)[k : k + 1] for k in range(-(-shown // len(classes))) for c in classes]
    return np.concatenate(turns)[:shown]


def draw_strip(path: Path, rows: Mapping[str, np.ndarray], scores: Mapping[str, Any], chosen: np.ndarray) -> None:
    """Rows of the same pictures, with PSNR and SSIM below the names."""
    from minis2s.gallery import strip

    notes = {name: f"{s['psnr']:.1f} dB, SSIM {s['ssim']:.2f}" for name, s in scores.items()}
    save_figure(strip({name: pixels[chosen] for name, pixels in rows.items()}, notes), path)


def draw_table(path: Path, table: Mapping[str, Any]) -> None:
    """A panel for each noise."""
    from minis2s.gallery import bars_by_level

    psnr = {noise: part["psnr"] for noise, part in table.items()}
    save_figure(bars_by_level(psnr, {noise: part["levels"] for noise, part in table.items()}), path)


TASK = Denoising()
