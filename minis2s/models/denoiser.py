"""A denoiser with ways around its narrow middle (Ronneberger, Fischer & Brox 2015), in which the ways are added.

An autoencoder must put all of a picture through its code. Whoever only wants the noise out need not: what is at each
height of the way down is added at the same height of the way up, so that only what is far away must pass the middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array, to_device
from minis2s.functional.activation import Backward
from minis2s.models.autoencoder import Shape, reconstruction_loss
from minis2s.nn import BatchNorm2d, Conv2d, ConvTranspose2d, Module, Sequential


@dataclass(frozen=True)
class DenoiserConfig:
    """Shape of a denoiser: that of a picture, and the channels at full, half and quarter size."""

    shape: Shape
    channels: tuple[int, int, int] = (16, 32, 64)
    loss: str = "bce"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))  # JSON knows no tuples
        object.__setattr__(self, "channels", tuple(self.channels))
        if self.shape[1] % 4 or self.shape[2] % 4:
            raise ValueError(f"Denoiser: pictures are {self.shape[1:]}, expected multiples of 4: try another net")


class Normed(Module):
    """A convolution without bias, batch norm, and a rectifier: y = relu(norm(convolution(x)) + way)."""

    def __init__(self, convolution: Module, channels: int):
        self.convolution, self.norm = convolution, BatchNorm2d(channels)

    def forward(self, x: Array, way: Array | None = None) -> tuple[Array, Backward]:
        """X, and what comes by a way around, if any -> y; backward(dy) -> dx, dway."""
        z, convolution_backward = self.convolution(x)
        z, norm_backward = self.norm(z)
        if way is not None:
            z += way
        y, relu_backward = F.relu(z)

        def backward(dy: Array) -> tuple[Array, Array]:
            dz = relu_backward(dy)
            return convolution_backward(norm_backward(dz)), dz

        return y, backward


class Residual(Normed):
    """A 3 x 3 convolution that mends what it reads: y = relu(x + norm(convolution(x))) (He et al. 2016)."""

    def __init__(self, channels: int, rng: np.random.Generator):
        super().__init__(Conv2d(channels, channels, 3, padding=1, bias=False, rng=rng), channels)

    def forward(self, x: Array, way: Array | None = None) -> tuple[Array, Backward]:
        """X -> y of the same shape; backward(dy) -> dx."""
        y, normed_backward = super().forward(x, x)

        def backward(dy: Array) -> Array:
            dx, dway = normed_backward(dy)
            dx += dway
            return dx

        return y, backward


class Denoiser(Module):
    """Noisy pictures (N, C, H, W), H and W multiples of 4, to the logits of clean ones."""

    def __init__(self, config: DenoiserConfig, rng: np.random.Generator):
        self.config, self.rng = config, rng
        C, (a, b, d) = config.shape[0], config.channels

        def down(before: int, after: int, stride: int) -> Normed:
            return Normed(Conv2d(before, after, 3, stride=stride, padding=1, bias=False, rng=rng), after)

        def up(before: int, after: int) -> Normed:
            return Normed(ConvTranspose2d(before, after, 2, stride=2, bias=False, rng=rng), after)

        self.enter, self.down_half, self.down_quarter = down(C, a, 1), down(a, b, 2), down(b, d, 2)
        self.see_half, self.see_quarter = Residual(b, rng), Residual(d, rng)
        self.up_half, self.up_full = up(d, b), up(b, a)
        self.mend_half = Residual(b, rng)
        self.mend_full = Sequential(Residual(a, rng), Residual(a, rng))
        self.output = Conv2d(a, C, 3, padding=1, rng=rng)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, C, H, W) -> logits of the same shape; backward(dlogits) -> dx."""
        full, full_backward = self.enter(x)
        y, half_backward = self.down_half(full)
        half, see_half_backward = self.see_half(y)
        y, quarter_backward = self.down_quarter(half)
        y, see_quarter_backward = self.see_quarter(y)
        y, up_half_backward = self.up_half(y, half)
        y, mend_half_backward = self.mend_half(y)
        y, up_full_backward = self.up_full(y, full)
        y, mend_full_backward = self.mend_full(y)
        logits, output_backward = self.output(y)

        def backward(dlogits: Array) -> Array:
            dy = output_backward(dlogits)
            dy = mend_full_backward(dy)
            dy, dfull = up_full_backward(dy)
            dy = mend_half_backward(dy)
            dy, dhalf = up_half_backward(dy)
            dy = see_quarter_backward(dy)
            dhalf += quarter_backward(dy)[0]
            dy = see_half_backward(dhalf)
            dfull += half_backward(dy)[0]
            return full_backward(dfull)[0]

        return logits, backward

    def loss_and_backward(self, x: Array, target: Array, step: int = 0) -> tuple[Array, int]:
        """Mean loss per picture and their number; gradients are added to `grad`."""
        logits, backward = self.forward(to_device(x, self.device))
        loss, loss_backward = reconstruction_loss(logits, to_device(target, self.device), self.config.loss)
        backward(loss_backward()[0])
        return loss, len(x)

    def loss(self, x: Array, target: Array) -> Array:
        """Mean loss per picture."""
        logits, _ = self.forward(to_device(x, self.device))
        return reconstruction_loss(logits, to_device(target, self.device), self.config.loss)[0]

    def reconstruct(self, x: Array) -> Array:
        """Noisy pictures -> clean ones."""
        return F.sigmoid(self.forward(to_device(x, self.device))[0])[0]
