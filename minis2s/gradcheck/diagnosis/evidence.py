"""What a diagnosis starts from: the function, its inputs, the gradient that it gave and the one that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
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

    def residual(self, k: int, predicted: np.ndarray) -> float:
        """How much of an error a prediction leaves: |yours - predicted| / |yours - right|, over measured entries."""
        measured, error = self._errors[k]
        if error == 0 or np.shape(predicted) != measured.shape:
            return np.inf
        left = np.linalg.norm((self.yours[k] - predicted)[measured])
        return float(left / error) if np.isfinite(left) else np.inf

    @cached_property
    def _errors(self) -> dict[int, tuple[np.ndarray, float]]:
        """Of each gradient that there is: where it was measured, and |yours - right| there."""
        found = {}
        for k, (yours, right) in enumerate(zip(self.yours, self.right, strict=True)):
            if yours is not None and right is not None:
                measured = np.isfinite(right) & np.isfinite(yours)
                found[k] = measured, float(np.linalg.norm((yours - right)[measured]))
        return found
