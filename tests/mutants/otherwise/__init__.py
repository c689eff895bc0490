"""Right code written otherwise: what a checker must not call wrong. Loops, einsum, another order, other means.

`numpy_code` runs everywhere, `torch_code` and `jax_code` put the two libraries' own functions behind an adapter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rewritten:
    """A right implementation.

    Attributes
    ----------
    name : str
    function : callable, pair (forward, backward) of the `(out, cache)` style, or nn.Module
    inputs : callable
        Takes a generator, returns the inputs.
    reference : callable or None
        The function of the library that gives the same outputs for the same inputs.
    """

    name: str
    function: Any
    inputs: Callable[[np.random.Generator], tuple]
    reference: Callable[..., Any] | None = None


class Register:
    """A decorator that collects."""

    def __init__(self) -> None:
        self.found: list[Rewritten] = []

    def __call__(self, inputs: Callable[[np.random.Generator], tuple], reference: Any = None) -> Callable[[Any], Any]:
        def register(function: Any) -> Any:
            named = function[0] if isinstance(function, tuple) else function
            name = getattr(named, "__name__", type(named).__name__)
            self.found.append(Rewritten(name, function, inputs, reference))
            return function

        return register
