"""Optimizers over the flat parameter buffer, learning-rate schedules, and gradient clipping.

An optimizer holds the buffer of a model (`model.buffer`) and changes all parameters at once. On the host it does so
block by block, so that a block stays in the cache for all the operations of its update.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi, sqrt
from typing import Any, ClassVar

import numpy as np

from minis2s.backend import Array, get_xp, in_blocks, to_device, to_numpy
from minis2s.nn.module import ParameterBuffer

BLOCK = 1 << 18
"""Numbers in a block: few enough to stay in the cache, enough that threads seldom meet between two calls."""


# ------------------------------------------------------------------------------------------------- optimizers


class Optimizer:
    """What all share: the buffer, the learning rate, the count of steps, and the named arrays of its state.

    Subclasses define `update(p, g, scratch, *state)`, which changes a block of parameters p, given its gradients g, in
    place; `scratch` is room of the same size.
    """

    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, buffer: ParameterBuffer, lr: float):
        self.buffer, self.lr, self.steps = buffer, lr, 0
        self.state = {name: get_xp(buffer.data).zeros_like(buffer.data) for name in self.state_names}

    def step(self) -> None:
        """Change the parameters once, by the gradients in the buffer."""
        self.steps += 1
        arrays = (self.buffer.data, self.buffer.grad, *self.state.values())

        def update_block(rows: slice) -> None:
            p, g, *state = (a[rows] for a in arrays)
            self.update(p, g, get_xp(p).empty_like(p), *state)

        in_blocks(update_block, self.buffer.data.size, BLOCK, like=self.buffer.data)

    def update(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """Change one block of parameters in place."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the state's arrays and of the count of steps, on the host."""
        arrays = {name: to_numpy(a).copy() for name, a in self.state.items()}
        return {"steps": np.array(self.steps), **arrays}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue exactly where `state_dict` was taken.

        Raises
        ------
        ValueError
            If it belongs to another optimizer or to a model of another size. Then nothing is changed.
        """
        expected = {"steps", *self.state_names}
        if set(state) != expected:
            raise ValueError(f"load_state_dict: holds {sorted(state)}, {type(self).__name__} has {sorted(expected)}")
        for name, own in self.state.items():
            if state[name].shape != own.shape:
                raise ValueError(f"load_state_dict: {name} has {state[name].size} numbers, the model {own.size}")
        for name, own in self.state.items():
            own[...] = to_device(np.asarray(state[name]), "cpu" if isinstance(own, np.ndarray) else "cuda")
        self.steps = int(state["steps"])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964), as in PyTorch.

    m = mu m + g,   p = p - lr m
    """

    state_names = ("momentum_buffer",)

    def __init__(self, buffer: ParameterBuffer, lr: float = 0.1, momentum: float = 0.0):
        super().__init__(buffer, lr)
        self.momentum = momentum

    def update(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """See the class."""
        (m,) = state
        m *= self.momentum
        m += g
        p -= get_xp(p).multiply(m, self.lr, out=scratch)


class Adagrad(Optimizer):
    """Divide by the root of the sum of all squared gradients so far (Duchi, Hazan & Singer 2011).

    s = s + g^2,   p = p - lr g / (sqrt(s) + eps)
    """

    state_names = ("sum",)

    def __init__(self, buffer: ParameterBuffer, lr: float = 0.01, eps: float = 1e-10):
        super().__init__(buffer, lr)
        self.eps = eps

    def update(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """See the class."""
        xp, (s,) = get_xp(p), state
        s += xp.multiply(g, g, out=scratch)
        xp.sqrt(s, out=scratch)
        scratch += self.eps
        xp.divide(g, scratch, out=scratch)
        scratch *= self.lr
        p -= scratch


class RMSProp(Optimizer):
    """Divide by the root of a running mean of the squared gradients (Tieleman & Hinton 2012, lecture 6.5).

    v = a v + (1 - a) g^2,   p = p - lr g / (sqrt(v) + eps)
    """

    state_names = ("square_avg",)

    def __init__(self, buffer: ParameterBuffer, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8):
        super().__init__(buffer, lr)
        self.alpha, self.eps = alpha, eps

    def update(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """See the class."""
        xp, (v,) = get_xp(p), state
        xp.multiply(g, g, out=scratch)
        scratch *= 1 - self.alpha
        v *= self.alpha
        v += scratch
        xp.sqrt(v, out=scratch)
        scratch += self.eps
        xp.divide(g, scratch, out=scratch)
        scratch *= self.lr
        p -= scratch


class Adam(Optimizer):
    """Weighted means of the gradients so far and of their squares, the latest weighing most (Kingma & Ba 2015).

    M = b1 M + g,   V = b2 V + g^2                                          (1)
    p = p - lr (M / W1) / (sqrt(V / W2) + eps),   W = (1 - b^t) / (1 - b)   (2)

    The weights 1, b, b^2 ... of t gradients sum to W. The paper keeps m = (1 - b1) M and v = (1 - b2) V, and divides
    them by 1 - b^t: the same means. The sums save two of twelve passes over all parameters.
    """

    state_names = ("sum", "square_sum")

    def __init__(
        self,
        buffer: ParameterBuffer,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(buffer, lr)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay

    def update(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """See the class. Weight decay, if any, is added to the gradient: an L2 penalty."""
        xp, (m, v) = get_xp(p), state
        if self.weight_decay:
            g = g + self.weight_decay * p
        weights1, weights2 = ((1 - b**self.steps) / (1 - b) for b in self.betas)
        m *= self.betas[0]
        m += g
        v *= self.betas[1]
        v += xp.multiply(g, g, out=scratch)
        xp.sqrt(v, out=scratch)
        scratch += self.eps * sqrt(weights2)  # the root of (2) multiplied out
        xp.divide(m, scratch, out=scratch)
        scratch *= self.lr * sqrt(weights2) / weights1
        p -= scratch


class AdamW(Adam):
    """Adam with the decay of the weights taken out of the gradient (Loshchilov & Hutter 2019).

    p = (1 - lr decay) p, then Adam's step (2)
    """

    def __init__(
        self,
        buffer: ParameterBuffer,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(buffer, lr, betas, eps)
        self.decay = weight_decay

    def update(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """See the class."""
        p *= 1 - self.lr * self.decay
        super().update(p, g, scratch, *state)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}


# --------------------------------------------------------------------------------------------------- clipping


def clip_global_norm(buffer: ParameterBuffer, max_norm: float) -> Array:
    """Scale all gradients so that their common norm is at most `max_norm` (Pascanu, Mikolov & Bengio 2013).

        norm = sqrt(sum g^2),   g = g min(1, max_norm / (norm + 1e-6))

    The 1e-6 is PyTorch's: without it, two trainings from equal weights drift apart in the eighth digit.

    Returns the norm before clipping, 0-d, on the device: reading it makes the host wait, clipping does not.
    """
    xp, grad = get_xp(buffer.grad), buffer.grad
    norm = xp.sqrt(xp.dot(grad, grad))
    scale = xp.minimum(max_norm / (norm + 1e-6), 1)
    if xp is np and scale == 1:
        return norm
    grad *= scale
    return norm


# -------------------------------------------------------------------------------------------------- schedules


class Schedule:
    """The learning rate at each step, counted from 0. A plain function of the step, but for :class:`Plateau`."""

    def __init__(self, lr: float):
        self.lr = lr

    def __call__(self, step: int) -> float:
        """Learning rate at `step`."""
        return self.lr

    def report(self, metric: float) -> None:
        """Hear a validation metric, lower is better. Only :class:`Plateau` listens."""

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, as JSON holds it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""


class Constant(Schedule):
    """lr, always."""


class Step(Schedule):
    """lr gamma^(floor(step / every))."""

    def __init__(self, lr: float, every: int, gamma: float = 0.1):
        super().__init__(lr)
        self.every, self.gamma = every, gamma

    def __call__(self, step: int) -> float:
        """Learning rate at `step`."""
        return self.lr * self.gamma ** (step // self.every)


class _WarmUpThenFall(Schedule):
    """Up linearly for `warmup` steps, then down to `final` times lr: `height` says how, from 1 to 0."""

    def __init__(self, lr: float, total: int, warmup: int = 0, final: float = 0.0):
        super().__init__(lr)
        self.total, self.warmup, self.final = total, warmup, final

    def __call__(self, step: int) -> float:
        """Learning rate at `step`."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = min((step - self.warmup) / max(self.total - self.warmup, 1), 1.0)
        return self.lr * (self.final + (1 - self.final) * self.height(done))

    def height(self, done: float) -> float:
        """Height above `final` when a share of the way down is done."""
        raise NotImplementedError


class Cosine(_WarmUpThenFall):
    """Warm up linearly, then half a cosine down to `final` times lr (Loshchilov & Hutter 2017)."""

    def height(self, done: float) -> float:
        """(1 + cos(pi done)) / 2."""
        return (1 + cos(pi * done)) / 2


class Linear(_WarmUpThenFall):
    """Warm up linearly, then down linearly to `final` times lr."""

    def height(self, done: float) -> float:
        """1 - done."""
        return 1 - done


class Noam(Schedule):
    """lr min((s / w)^(-1/2), s / w) with s = step + 1: up linearly for w steps, then down with 1/sqrt(s).

    The schedule of Vaswani et al. (2017, eq. 3), scaled so that its peak is lr.
    """

    def __init__(self, lr: float, warmup: int):
        super().__init__(lr)
        self.warmup = warmup

    def __call__(self, step: int) -> float:
        """Learning rate at `step`."""
        s = (step + 1) / self.warmup
        return self.lr * min(1 / sqrt(s), s)


class Plateau(Schedule):
    """lr, times `factor` whenever the reported metric has not fallen for more than `patience` reports."""

    def __init__(self, lr: float, factor: float = 0.5, patience: int = 1):
        super().__init__(lr)
        self.factor, self.patience = factor, patience
        self.scale, self.best, self.waited = 1.0, float("inf"), 0

    def __call__(self, step: int) -> float:
        """Learning rate now."""
        return self.lr * self.scale

    def report(self, metric: float) -> None:
        """Hear a validation metric, lower is better."""
        if metric < self.best:
            self.best, self.waited = metric, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.scale, self.waited = self.scale * self.factor, 0

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, as JSON holds it."""
        return {"scale": self.scale, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self.scale, self.best, self.waited = state["scale"], state["best"], state["waited"]
