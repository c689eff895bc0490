"""Parameters, the one flat buffer they live in, statistics, and the modules that own them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from minis2s.backend import Array, get_xp, to_device, to_numpy


class Parameter:
    """A weight and its gradient, arrays of one shape. `backward` adds to `grad`; an optimizer changes `data`."""

    def __init__(self, data: Array):
        self.data = data
        self.grad = get_xp(data).zeros_like(data)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight."""
        return self.data.shape


class Statistic:
    """An array that a layer gathers in training, but does not learn: part of the state, without a gradient."""

    def __init__(self, data: Array):
        self.data = data

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.data.shape


class ParameterBuffer:
    """All parameters of a model, one after the other, in one flat array; their gradients in another.

    Each parameter's `data` and `grad` become views of the two, so an optimizer step, a clip and a zeroing are a few
    whole-array operations.
    """

    def __init__(self, parameters: Iterable[Parameter], device: str = "cpu", dtype: Any = None):
        self.parameters = list(parameters)
        self.data = self._flatten([p.data for p in self.parameters], device, dtype)
        self.grad = self._flatten([p.grad for p in self.parameters], device, dtype)
        start = 0
        for p in self.parameters:
            stop = start + p.data.size
            p.data, p.grad = (flat[start:stop].reshape(p.shape) for flat in (self.data, self.grad))
            start = stop

    @staticmethod
    def _flatten(arrays: list[Array], device: str, dtype: Any) -> Array:
        host = [to_numpy(a) for a in arrays]
        flat = np.concatenate([a.reshape(-1) for a in host]) if host else np.empty(0, np.float32)
        return to_device(flat.astype(dtype or flat.dtype), device)


class Module:
    """A layer or a model: whatever owns parameters or other modules.

    Subclasses define `forward(...)`, which returns its output and the matching `backward`. Parameters and submodules
    are found by their attribute names, which are PyTorch's, so that a `state_dict` goes both ways.
    """

    training: bool = True
    _buffer: ParameterBuffer | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`."""
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the output and its backward."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    # ------------------------------------------------------------------------------------------------ what it owns

    def children(self) -> Iterator[tuple[str, Module]]:
        """Submodules with their names; those in a list are called name.0, name.1, ..."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list):
                yield from ((f"{name}.{k}", v) for k, v in enumerate(value) if isinstance(v, Module))

    def named_modules(self, name: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted names; its own is `name`."""
        yield name, self
        for child_name, child in self.children():
            yield from child.named_modules(f"{name}.{child_name}" if name else child_name)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def _all_named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, child in self.children():
            yield from child._all_named_parameters(f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their dotted names; a tied parameter once, by its first name."""
        seen: set[int] = set()
        for name, p in self._all_named_parameters():
            if id(p) not in seen:
                seen.add(id(p))
                yield name, p

    def parameters(self) -> Iterator[Parameter]:
        """Each parameter, tied ones once."""
        return (p for _, p in self.named_parameters())

    def _named_statistics(self, prefix: str = "") -> Iterator[tuple[str, Statistic]]:
        for name, value in vars(self).items():
            if isinstance(value, Statistic):
                yield prefix + name, value
        for name, child in self.children():
            yield from child._named_statistics(f"{prefix}{name}.")

    def _named_state(self) -> Iterator[tuple[str, Parameter | Statistic]]:
        yield from self._all_named_parameters()
        yield from self._named_statistics()

    @property
    def buffer(self) -> ParameterBuffer:
        """The flat buffer of all parameters, made when it is first asked for."""
        if self._buffer is None:
            self._buffer = ParameterBuffer(self.parameters())
        return self._buffer

    @property
    def device(self) -> str:
        """`cpu` or `cuda`: where the parameters are."""
        first = next(self.parameters(), None)
        return "cpu" if first is None or isinstance(first.data, np.ndarray) else "cuda"

    # ------------------------------------------------------------------------------------------------ what it does

    def to(self, device: str | None = None, dtype: Any = None) -> Self:
        """Move the parameters to a device, or to another dtype. Make the optimizer afterwards: it holds the buffer."""
        device = device or self.device
        self._buffer = ParameterBuffer(self.parameters(), device, dtype)
        for _, statistic in self._named_statistics():
            host = to_numpy(statistic.data)
            statistic.data = to_device(host.astype(dtype) if dtype and host.dtype.kind == "f" else host, device)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch dropout, and whatever else differs in training, on or off."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation: the same as `train(False)`."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self.buffer.grad[...] = 0

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all weights and statistics on the host, under PyTorch's names."""
        return {name: to_numpy(p.data).copy() for name, p in self._named_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy weights in, by name; arrays or anything `numpy.asarray` takes, PyTorch tensors on the CPU included.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape differs. Then nothing is changed.
        """
        own = dict(self._named_state())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise ValueError(f"load_state_dict: missing {missing}, unknown {unknown}")
        arrays = {name: np.asarray(value) for name, value in state.items()}
        for name, array in arrays.items():
            if array.shape != own[name].shape:
                raise ValueError(f"load_state_dict: {name} has shape {array.shape}, expected {own[name].shape}")
        for name, array in arrays.items():
            p = own[name]
            p.data[...] = to_device(np.ascontiguousarray(array, dtype=p.data.dtype), self.device)


def uniform(rng: np.random.Generator, bound: float, shape: tuple[int, ...]) -> Parameter:
    """A float32 parameter drawn uniformly from [-bound, bound), on the host: a seed means the same model everywhere."""
    return Parameter(rng.uniform(-bound, bound, shape).astype(np.float32))
