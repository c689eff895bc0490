"""What a diagnosis starts from: the function, its inputs, the gradient that it gave and the one that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minis2s.gradcheck.numeric import gradient


@dataclass(frozen=True)
class Evidence:
    """All that was measured.

    Attributes
    ----------
    function : callable
        Takes `inputs`, returns a tuple of outputs and a backward, which takes and returns tuples.
    inputs : tuple
        float64 arrays; ids, masks and None as they are. Of a module first its inputs, then its parameters.
    names : tuple of str
        Of the gradients: dx for x.
    outputs, upstream : tuple
        The upstream gradient of an output without one (integers, None) is None.
    yours, right : tuple of (float64 array or None)
        Gradients of the inputs; what was not measured is NaN.
    wrong : tuple of int
        Places of the wrong gradients.
    tolerance : float
        Relative to a gradient's largest entry.
    """

    function: Callable[..., Any]
    inputs: tuple
    names: tuple[str, ...]
    outputs: tuple
    upstream: tuple
    yours: tuple
    right: tuple
    wrong: tuple[int, ...]
    tolerance: float

    def gradient(self, k: int, inputs: tuple | None = None, upstream: tuple | None = None) -> np.ndarray:
        """The right gradient of input k, at other inputs or of another loss if given."""
        inputs = self.inputs if inputs is None else inputs
        return gradient(self.function, inputs, self.upstream if upstream is None else upstream, k)
