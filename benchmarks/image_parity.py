"""The first 50 training losses of nets for pictures against PyTorch, from equal weights and batches.

    python benchmarks/image_parity.py [--steps 50] [--batch 64]

Adam on digit-like strokes, each net in float32 and in float64; the VAE's draws are made equal too. The bars are 1e-4
and 1e-9.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from parity import BARS, largest_difference
from torch import nn
from torch.nn import functional as TF

from minis2s.data import strokes
from minis2s.functional.reparameterisation import standard_normal
from minis2s.models import VAE, Autoencoder, AutoencoderConfig, Denoiser, DenoiserConfig, VAEConfig, make_autoencoder
from minis2s.optim import Adam

SHAPE = (1, 28, 28)


def layer_of(name: str, module: Any) -> nn.Module:
    """PyTorch's layer for one of ours."""
    kind = type(module).__name__
    if kind in ("Conv2d", "ConvTranspose2d"):
        first, second, *kernel = module.weight.shape
        channels = (second, first) if kind == "Conv2d" else (first, second)
        extra = {"stride": module.stride, "padding": module.padding, "bias": module.bias is not None}
        return getattr(nn, kind)(*channels, tuple(kernel), **extra)
    if kind == "Linear":
        return nn.Linear(module.weight.shape[1], module.weight.shape[0])
    if kind == "BatchNorm2d":
        return nn.BatchNorm2d(module.weight.shape[0])
    if kind == "MaxPool2d":
        return nn.MaxPool2d(2)
    if kind == "Unflatten":
        return nn.Unflatten(1, module.shape)
    return {"ReLU": nn.ReLU, "Flatten": nn.Flatten}[kind]()


def sequential_of(ours: Any) -> nn.Sequential:
    """PyTorch's twin of a `Sequential`."""
    return nn.Sequential(*(layer_of(name, child) for name, child in ours.children()))


class TwinAutoencoder(nn.Module):
    """Encoder and decoder; cross-entropy summed over a picture."""

    def __init__(self, ours: Autoencoder):
        super().__init__()
        self.encoder, self.decoder = sequential_of(ours.encoder), sequential_of(ours.decoder)

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.decoder(self.encoder(x))
        return TF.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


class TwinVAE(nn.Module):
    """The same with a draw, whose noise is drawn as ours is."""

    def __init__(self, ours: VAE):
        super().__init__()
        self.encoder, self.decoder = sequential_of(ours.encoder), sequential_of(ours.decoder)
        self.mean, self.logvar = layer_of("mean", ours.mean), layer_of("logvar", ours.logvar)
        self.rng = np.random.default_rng(7)

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        h = self.encoder(x)
        mean, logvar = self.mean(h), self.logvar(h)
        noise = standard_normal(self.rng, tuple(mean.shape), like=mean.detach().numpy())
        z = mean + torch.exp(logvar / 2) * torch.from_numpy(noise)
        nats = TF.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = (mean**2 + logvar.exp() - logvar - 1).sum() / 2
        return (nats + kl) / len(x)


class TwinDenoiser(nn.Module):
    """The net with ways around its middle."""

    def __init__(self, ours: Denoiser):
        super().__init__()
        self.names = [name for name, _ in ours.children()]
        for name, child in ours.children():
            twin = layer_of(name, child) if name == "output" else self._normed(child)
            self.add_module(name, twin)

    @staticmethod
    def _normed(ours: Any) -> nn.Module:
        if type(ours).__name__ == "Sequential":
            return nn.Sequential(*(TwinDenoiser._normed(child) for _, child in ours.children()))
        twin = nn.Module()
        twin.convolution, twin.norm = layer_of("", ours.convolution), layer_of("", ours.norm)
        return twin

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        def normed(layer: Any, x: torch.Tensor, way: torch.Tensor | None = None) -> torch.Tensor:
            y = layer.norm(layer.convolution(x))
            return TF.relu(y if way is None else y + way)

        full = normed(self.enter, x)
        y = normed(self.down_half, full)
        half = normed(self.see_half, y, y)
        y = normed(self.down_quarter, half)
        y = normed(self.see_quarter, y, y)
        y = normed(self.up_half, y, half)
        y = normed(self.mend_half, y, y)
        y = normed(self.up_full, y, full)
        for layer in self.mend_full:
            y = normed(layer, y, y)
        return TF.binary_cross_entropy_with_logits(self.output(y), x, reduction="sum") / len(x)


def autoencoder(**config: Any) -> Callable[[np.random.Generator], Any]:
    return lambda rng: make_autoencoder(AutoencoderConfig(SHAPE, **config), rng)


NETS: dict[str, tuple[Callable[[np.random.Generator], Any], type[nn.Module]]] = {
    "strided 7x7x4": (autoencoder(), TwinAutoencoder),
    "pooled 7x7x4": (autoencoder(net="pooled"), TwinAutoencoder),
    "dense 400-30": (autoencoder(net="dense", width=400, code=30), TwinAutoencoder),
    "denoiser": (lambda rng: Denoiser(DenoiserConfig(SHAPE, (8, 16, 32)), rng), TwinDenoiser),
    "VAE 784-400-20": (lambda rng: VAE(VAEConfig(SHAPE), rng), TwinVAE),
    "VAE conv": (lambda rng: VAE(VAEConfig(SHAPE, "conv", width=16), rng), TwinVAE),
}


def losses_side_by_side(
    name: str, dtype: str, pixels: np.ndarray, steps: int, batch: int
) -> tuple[list[float], list[float]]:
    """The losses of both, step by step."""
    make, twin = NETS[name]
    ours = make(np.random.default_rng(1)).to(dtype=dtype)
    theirs = twin(ours).to(getattr(torch, dtype))
    theirs.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in ours.state_dict().items()})
    ours.rng = np.random.default_rng(7)
    own_optimizer, their_optimizer = Adam(ours.buffer, 1e-3), torch.optim.Adam(theirs.parameters(), 1e-3)
    own, wanted = [], []
    for k in range(steps):
        x = pixels[k * batch : (k + 1) * batch].astype(dtype)
        ours.zero_grad()
        own.append(float(ours.loss_and_backward(x, *([] if isinstance(ours, VAE) else [x]))[0]))
        own_optimizer.step()
        their_optimizer.zero_grad()
        loss = theirs.loss(torch.from_numpy(x))
        loss.backward()
        wanted.append(loss.item())
        their_optimizer.step()
    return own, wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="*", default=list(NETS))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    if unknown := set(args.nets) - set(NETS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NETS)}")
    pixels, _ = strokes.generate(args.steps * args.batch, np.random.default_rng(0))
    print(f"{args.steps} steps of {args.batch} pictures; largest relative difference of a loss")
    print(f"{'net':16} {'dtype':8} {'first loss':>10} {'last loss':>10} {'difference':>10}  bar")
    for name in args.nets:
        for dtype, bar in BARS.items():
            own, wanted = losses_side_by_side(name, dtype, pixels, args.steps, args.batch)
            difference = largest_difference(own, wanted)
            verdict = "reached" if difference <= bar else "MISSED"
            print(
                f"{name:16} {dtype:8} {own[0]:10.4f} {own[-1]:10.4f} {difference:10.1e}  {verdict}: {bar:g}", flush=True
            )


if __name__ == "__main__":
    main()
