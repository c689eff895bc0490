"""Draw pictures that nobody drew: a variational autoencoder, its samples, and the space it lays them out in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minis2s.backend import Array, item, to_device, to_numpy
from minis2s.data.images import ImageSplit
from minis2s.models.vae import NETS, VAE, VAEConfig
from minis2s.plots import save_figure
from minis2s.tasks.denoising import one_of_each
from minis2s.tasks.picture_scores import fidelity, in_batches, mapped
from minis2s.tasks.pictures import Model, PictureSettings, PictureTask, evaluation_rng, quoted
from minis2s.tasks.settings import setting
from minis2s.training import RunDirectory

ACTIVE = 0.01
"""Nats from which on a dimension of the code is in use."""
STEPS = 11
"""Pictures on the way from one digit to another."""
DRAWS, WEIGHTED = 50, 500
"""Draws of the importance-weighted bound, and pictures that it is measured on."""

RECIPE: dict[str, Any] = {"batch_size": 128, "epochs": 60, "lr": 2e-3, "schedule": "cosine", "warmup": 20, "clip": None}
LARGE: dict[str, Any] = {"epochs": 10}


@dataclass(frozen=True)
class GenerationSettings(PictureSettings):
    """Adds the shape of a VAE."""

    net: str = setting("dense", "one hidden layer, or two convolutions, on each side", choices=NETS)
    latent: int = setting(20, "dimensions of the code", low=1)
    width: int = setting(400, "hidden units; channels of the first convolution for conv", low=1)
    beta: float = setting(1.0, "weight of the KL divergence", low=0)
    kl_warmup: int = setting(0, "steps over which that weight grows from 0", low=0)
    free_bits: float = setting(0.0, "nats that each dimension may use at no cost", low=0)


class Generation(PictureTask):
    """See the module."""

    name: ClassVar[str] = "generation"
    summary: ClassVar[str] = "new pictures from a variational autoencoder: handwritten digits, or like your own"
    watch: ClassVar[str] = "elbo"
    higher_is_better: ClassVar[bool] = True
    settings_type: ClassVar[type[PictureSettings]] = GenerationSettings

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fewer epochs for more pictures."""
        return RECIPE | (LARGE if changes.get("data") else {}) | ({"width": 32} if changes.get("net") == "conv" else {})

    def config(self, settings: Any, shape: tuple[int, int, int]) -> VAEConfig:
        """See :class:`PictureTask`."""
        s = settings
        return VAEConfig(shape, s.net, s.latent, s.width, s.beta, s.kl_warmup, s.free_bits)

    def make(self, config: Any, rng: np.random.Generator) -> VAE:
        """See :class:`PictureTask`."""
        return VAE(VAEConfig(**config) if isinstance(config, Mapping) else config, rng)

    def loss_and_backward(self, net: Any, pixels: np.ndarray, settings: Any, step: int) -> tuple[Array, Any]:
        """One draw of the code for each picture."""
        return net.loss_and_backward(pixels, step)

    def measure(self, net: Any, pixels: np.ndarray, settings: Any, rng: np.random.Generator) -> dict[str, float]:
        """The ELBO and its two parts, in nats per picture."""
        return bound(net, pixels, rng)[0]

    def score(self, model: Model, split: ImageSplit, pictures: Path | None) -> dict[str, Any]:
        """The bounds, the KL of each dimension, and fidelity; beside a model that knows only the mean picture."""
        net, test, rng = model.net, split.test.pixels, evaluation_rng(model.settings)
        parts = [(*bound(net, x, rng), len(x)) for x in in_batches(test)]
        scores = {name: sum(p[0][name] * p[2] for p in parts) / len(test) for name in ("elbo", "reconstruction", "kl")}
        by_dimension = np.sum([p[1] * p[2] for p in parts], axis=0) / len(test)
        some = test[:: max(len(test) // WEIGHTED, 1)][:WEIGHTED]
        scores["importance_weighted"] = -float(item(net.weighted_bound(some, DRAWS, rng)))
        scores["active"] = int((by_dimension > ACTIVE).sum())
        scores |= fidelity(mapped(net.reconstruct, test), test)
        mean = np.clip(split.train.pixels.mean(axis=0), 1e-4, 1 - 1e-4)
        nats = float(-(test * np.log(mean) + (1 - test) * np.log1p(-mean)).reshape(len(test), -1).sum(axis=1).mean())
        grey = np.clip(test, 1e-7, 1 - 1e-7)
        entropy = -(grey * np.log(grey) + (1 - grey) * np.log1p(-grey)).reshape(len(test), -1).sum(axis=1).mean()
        if pictures:
            self.draw(pictures, model, split, by_dimension)
        baselines = {
            "the mean picture": {"elbo": -nats, "reconstruction": nats, "kl": 0.0},
            "entropy of grey pixels": {"elbo": -float(entropy), "reconstruction": float(entropy), "kl": 0.0},
        }
        return {**scores, "kl_by_dimension": by_dimension.round(4).tolist(), "baselines": baselines}

    def use(self, run: RunDirectory) -> str:
        """See :class:`PictureTask`."""
        return f"minis2s generate {quoted(run)} --count 64 out.png"

    # ------------------------------------------------------------------------------------------------------- pictures

    def draw(self, folder: Path, model: Model, split: ImageSplit, kl: np.ndarray) -> None:
        """Samples, reconstructions, ways between digits, arithmetic, KL by dimension; of 2 dimensions the plane."""
        from minis2s.gallery import kl_by_dimension, sheet, strip

        net, test = model.net, split.test
        rng = evaluation_rng(model.settings)
        save_figure(sheet(to_numpy(net.sample(64, rng)), 8, "drawn from N(0, I)"), folder / "samples.png")
        chosen = test.pixels[one_of_each(test.labels, len(test))]
        rows = {"held out": chosen, "through the code": mapped(net.reconstruct, chosen)}
        save_figure(strip(rows), folder / "reconstructions.png")
        save_figure(kl_by_dimension(kl, ACTIVE, "what each dimension carries"), folder / "kl.png")
        if len(test) > 1:
            ways = interpolations(net, test.pixels, test.labels)
            save_figure(sheet(ways, STEPS, "from one digit to another"), folder / "ways.png")
        if net.config.latent == 2:
            save_figure(
                sheet(manifold(net, 20), 20, "the plane of codes, evenly in probability", 8.0), folder / "plane.png"
            )
        if split.train.labels is not None:
            sums = arithmetic(net, split)
            save_figure(
                strip(sums, title="latent arithmetic: slant and weight, moved along"), folder / "arithmetic.png"
            )


def bound(net: VAE, pixels: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, float], np.ndarray]:
    """ELBO, reconstruction and KL of a batch, in nats per picture, and the KL of each dimension."""
    nats, kl = net.bound(pixels, rng)
    by_dimension = to_numpy(kl).astype(np.float64)
    reconstruction, total = float(item(nats)), float(by_dimension.sum())
    loss = reconstruction + total
    return {"loss": loss, "elbo": -loss, "reconstruction": reconstruction, "kl": total}, by_dimension


def codes_of(net: VAE, pixels: np.ndarray) -> np.ndarray:
    """The means of the codes (N, Z)."""
    return mapped(lambda x: net.encode(to_device(x, net.device))[0][0], pixels)


def pixels_of(net: VAE, codes: np.ndarray) -> np.ndarray:
    """Pictures of codes (N, Z)."""
    return mapped(lambda z: net.pixels(to_device(z.astype(np.float32), net.device)), codes)


def interpolations(net: VAE, pixels: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Straight ways between the codes of two digits: six of them, or as many as there are pairs."""
    chosen = one_of_each(labels, len(pixels), 2 * min(6, len(pixels) // 2))
    codes = codes_of(net, pixels[chosen])
    starts, ends = np.split(codes, 2)
    shares = np.linspace(0, 1, STEPS)[None, :, None]
    ways = (1 - shares) * starts[:, None] + shares * ends[:, None]
    return pixels_of(net, ways.reshape(-1, codes.shape[1]))


def manifold(net: VAE, side: int) -> np.ndarray:
    """Pictures of a grid of codes whose rows and columns are equally likely: quantiles of N(0, 1)."""
    from scipy.stats import norm

    line = norm.ppf((np.arange(side) + 0.5) / side)
    grid = np.stack(np.meshgrid(line, line[::-1]), axis=-1)
    return pixels_of(net, grid.reshape(-1, 2))


def arithmetic(net: VAE, split: ImageSplit) -> dict[str, np.ndarray]:
    """What one digit has and its class has not, added to the mean of every other class.

    code(a heavy 0) - mean code of all 0 + mean code of class k: the weight, or slant, goes along with the difference.
    """
    train = split.train
    labels = np.asarray(train.labels)
    codes = codes_of(net, train.pixels)
    classes = np.unique(labels)
    means = np.stack([codes[labels == c].mean(axis=0) for c in classes])
    first = np.flatnonzero(labels == classes[0])
    ink = train.pixels[first].reshape(len(first), -1).mean(axis=1)
    column = np.arange(train.pixels.shape[3]) - (train.pixels.shape[3] - 1) / 2
    row = np.arange(train.pixels.shape[2]) - (train.pixels.shape[2] - 1) / 2
    slant = (train.pixels[first].mean(axis=1) * row[:, None] * column).sum(axis=(1, 2)) / (ink + 1e-9)
    rows = {"mean codes": pixels_of(net, means)}
    for name, measure in (("+ heavy", ink), ("+ light", -ink), ("+ slanted", -slant), ("+ leaning back", slant)):
        extreme = first[np.argsort(measure)[-20:]]
        rows[name] = pixels_of(net, means + codes[extreme].mean(axis=0) - means[0])
    return rows


TASK = Generation()
