"""Time of one training step on pictures against PyTorch eager: the same model, weights and batch, in turn, in one run.

    python benchmarks/image_step.py [--nets strided pooled ...] [--batch 128] [--rounds 15] [--threads 2] [--layers]

A step is forward, backward and Adam (PyTorch's: fused). Printed are the medians over the rounds, and the median of the
ratios round by round. With --layers also: the time of each layer, forward and backward, its share of the step, and how
much of the machine's rate in a large matrix product it reaches.

Both get the settings of a process that the command line starts, as in training_step.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")  # 2^10 cycles; read when NumPy is imported

import numpy as np
import torch
from image_parity import TwinAutoencoder, TwinDenoiser, TwinVAE, layer_of

from minis2s import nn
from minis2s.backend import matmul, prepare_process
from minis2s.models.autoencoder import AutoencoderConfig, make_autoencoder
from minis2s.models.denoiser import Denoiser, DenoiserConfig
from minis2s.models.vae import VAE, VAEConfig
from minis2s.optim import Adam

SHAPE = (1, 28, 28)
NETS: dict[str, Callable[[np.random.Generator], Any]] = {
    "strided": lambda rng: make_autoencoder(AutoencoderConfig(SHAPE), rng),
    "pooled": lambda rng: make_autoencoder(AutoencoderConfig(SHAPE, "pooled", width=64, code=32), rng),
    "pooled, thin": lambda rng: make_autoencoder(AutoencoderConfig(SHAPE, "pooled"), rng),
    "dense": lambda rng: make_autoencoder(AutoencoderConfig(SHAPE, "dense", width=256, code=32), rng),
    "denoiser": lambda rng: Denoiser(DenoiserConfig(SHAPE), rng),
    "vae": lambda rng: VAE(VAEConfig(SHAPE), rng),
    "vae, conv": lambda rng: VAE(VAEConfig(SHAPE, "conv", width=32), rng),
}


def twin(model: Any) -> torch.nn.Module:
    """The model in PyTorch, with its weights."""
    kinds = {VAE: TwinVAE, Denoiser: TwinDenoiser}
    net = next((kinds[kind] for kind in kinds if isinstance(model, kind)), TwinAutoencoder)(model)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in model.state_dict().items()})
    return net


def our_step(model: Any, x: np.ndarray) -> Callable[[], float]:
    optimizer = Adam(model.buffer)
    inputs = (x,) if isinstance(model, VAE) else (x, x)

    def step() -> float:
        model.zero_grad()
        loss, _ = model.loss_and_backward(*inputs)
        optimizer.step()
        return float(loss)

    return step


def torch_step(model: torch.nn.Module, x: torch.Tensor) -> Callable[[], float]:
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> float:
        optimizer.zero_grad()
        loss = model.loss(x)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def seconds(step: Callable[[], object]) -> float:
    step()  # as in training, where a step follows its like
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def leaves(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every layer that holds no other, with its dotted name."""
    children = list(module.children())
    if not children:
        yield prefix.rstrip("."), module
    for name, child in children:
        yield from leaves(child, f"{prefix}{name}.")


def inputs_of(model: Any, x: np.ndarray) -> dict[str, tuple[nn.Module, np.ndarray]]:
    """What each layer reads in a step of the model."""
    found = {}

    def watch(name: str, layer: nn.Module) -> None:
        def forward(x: np.ndarray) -> Any:
            found[name] = layer, x
            return type(layer).forward(layer, x)

        layer.forward = forward  # type: ignore[method-assign]

    for name, layer in leaves(model):
        watch(name, layer)
    our_step(model, x)()
    for _, layer in leaves(model):
        del layer.forward
    return found


def multiplications(layer: nn.Module, x: np.ndarray, y: np.ndarray) -> int:
    """In one forward pass."""
    if isinstance(layer, nn.Linear):
        return len(x) * layer.weight.data.size
    if isinstance(layer, nn.Conv2d):
        return y.size // y.shape[1] * layer.weight.data.size
    if isinstance(layer, nn.ConvTranspose2d):
        return x.size // x.shape[1] * layer.weight.data.size
    return 0


def by_layer(model: Any, x: np.ndarray, rounds: int, rate: float) -> None:
    print(f"  {'layer':28} {'forward':>8} {'PyTorch':>8} {'backward':>8} {'PyTorch':>8} {'of the GEMM rate':>17}")
    for name, (layer, x_layer) in inputs_of(model, x).items():
        theirs = layer_of(name, layer)
        theirs.load_state_dict({k: torch.from_numpy(v) for k, v in layer.state_dict().items()})
        y, backward = layer(x_layer)
        dy = np.ones_like(y)
        x_theirs = torch.from_numpy(np.ascontiguousarray(x_layer)).requires_grad_(x_layer is not x)
        y_theirs = theirs(x_theirs)
        dy_theirs = torch.ones_like(y_theirs)
        learns = y_theirs.requires_grad
        calls: list[Callable[[], object]] = [
            lambda layer=layer, x=x_layer: layer(x),
            lambda theirs=theirs, x=x_theirs: theirs(x),
            lambda backward=backward, dy=dy: backward(dy),
            lambda y=y_theirs, dy=dy_theirs, learns=learns: learns and y.backward(dy, retain_graph=True),
        ]
        forward, their_forward, back, their_back = (
            statistics.median(seconds(call) for _ in range(rounds)) for call in calls
        )
        products = multiplications(layer, x_layer, y) * (3 if x_layer is not x else 2)
        share = f"{2 * products / (forward + back) / rate:17.0%}" if products else ""
        times = (1e3 * t for t in (forward, their_forward, back, their_back))
        label = f"{name} {type(layer).__name__}"
        print(f"  {label:28} " + " ".join(f"{t:8.2f}" for t in times) + f" {share}", flush=True)


def gemm_rate() -> float:
    """Floating-point operations a second in a large product of matrices, with all cores."""
    a = np.ones((1500, 1500), dtype=np.float32)
    return 2 * 1500**3 / min(seconds(lambda: matmul(a, a)) for _ in range(5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2, help="PyTorch's; set OPENBLAS_NUM_THREADS for NumPy's")
    parser.add_argument("--layers", action="store_true", help="a table of the layers of each net")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    prepare_process()
    rate = gemm_rate()
    print(f"batch {args.batch}, {args.rounds} rounds, medians in milliseconds; GEMM rate {rate / 1e9:.0f} GFLOP/s")
    print(f"{'net':14} {'parameters':>10} {'minis2s':>9} {'PyTorch':>9} {'ratio':>6}")
    for name in args.nets:
        model = NETS[name](np.random.default_rng(0))
        x = np.random.default_rng(1).random((args.batch, *SHAPE), dtype=np.float32) ** 4
        steps = our_step(model, x), torch_step(twin(model), torch.from_numpy(x))
        for step in steps:
            step(), step()
        times = [[seconds(step) for step in steps] for _ in range(args.rounds)]
        ours, theirs = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        print(f"{name:14} {model.buffer.data.size:10} {ours:9.2f} {theirs:9.2f} {ratio:6.2f}", flush=True)
        if args.layers:
            by_layer(model, x, args.rounds, rate)


if __name__ == "__main__":
    main()
