"""What the tasks share that learn to give back what they read: compression and features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minis2s.backend import Array, item, to_device, to_numpy
from minis2s.models.autoencoder import LOSSES, NETS, AutoencoderConfig, StackedAutoencoder, make_autoencoder
from minis2s.tasks.picture_scores import mapped
from minis2s.tasks.pictures import PictureSettings, PictureTask
from minis2s.tasks.settings import setting


@dataclass(frozen=True)
class AutoencodingSettings(PictureSettings):
    """Adds the shape of an autoencoder."""

    net: str = setting("strided", "the autoencoder: see minis2s.models.autoencoder", choices=NETS)
    code: int = setting(4, "channels of the code; units of it for dense and stacked", low=1)
    width: int = setting(16, "channels of the first convolution, or hidden units", low=1)
    halvings: int = setting(2, "how often a convolutional encoder halves height and width", low=1, high=6)
    loss: str = setting("bce", "binary cross-entropy, or squared error", choices=LOSSES)
    sparsity: float = setting(0.0, "cost of the absolute values of the code", low=0)


class AutoencodingTask(PictureTask):
    """A task with an autoencoder."""

    settings_type: ClassVar[type[PictureSettings]] = AutoencodingSettings

    def config(self, settings: Any, shape: tuple[int, int, int]) -> AutoencoderConfig:
        """See :class:`PictureTask`."""
        s = settings
        return AutoencoderConfig(shape, s.net, s.code, s.width, s.halvings, s.loss, s.sparsity)

    def make(self, config: Any, rng: np.random.Generator) -> Any:
        """See :class:`PictureTask`."""
        return make_autoencoder(AutoencoderConfig(**config) if isinstance(config, Mapping) else config, rng)

    def prepare(self, net: Any, settings: Any, steps_per_epoch: int) -> None:
        """A stacked autoencoder goes on to its second layer after half of the training."""
        if isinstance(net, StackedAutoencoder):
            net.switch = settings.epochs * steps_per_epoch // 2

    def loss_and_backward(self, net: Any, pixels: np.ndarray, settings: Any, step: int) -> tuple[Array, Any]:
        """The target is the picture itself."""
        return net.loss_and_backward(pixels, pixels, step)

    def measure(self, net: Any, pixels: np.ndarray, settings: Any, rng: np.random.Generator) -> dict[str, float]:
        """Loss and squared error."""
        made = to_numpy(net.reconstruct(pixels))
        return {"loss": float(item(net.loss(pixels, pixels))), "mse": float(((made - pixels) ** 2).mean())}


def encode(net: Any, pixels: np.ndarray) -> np.ndarray:
    """Codes of all pictures (N, *code_shape)."""
    return mapped(lambda x: net.encode(to_device(x, net.device))[0], pixels)


def decode(net: Any, code: np.ndarray) -> np.ndarray:
    """Pictures of all codes."""
    return mapped(lambda c: net.pixels(to_device(c, net.device)), code)
