"""Gradients by central differences: a second opinion, independent of the library's own checker."""

import numpy as np
from function_cases import as_tuple


def numeric_gradients(function, inputs, upstream, step=1e-6):
    """Gradient of sum(upstream * outputs) by every float64 input; None for the others.

    `function` returns its outputs and a backward, as all of the library; upstream None skips an output, and an entry
    of -inf (the logarithm of a masked probability) counts as a constant.
    """

    def total():
        outputs, _ = function(*inputs)
        pairs = zip(as_tuple(outputs), upstream, strict=True)
        return sum((np.where(np.isfinite(y), y, 0) * dy).sum() for y, dy in pairs if dy is not None)

    inputs = tuple(x.copy() if isinstance(x, np.ndarray) else x for x in inputs)
    gradients = []
    for x in inputs:
        if x is None or x.dtype != np.float64:
            gradients.append(None)
            continue
        gradient = np.empty_like(x)
        for place in np.ndindex(x.shape):
            value = x[place]
            x[place] = value + step
            above = total()
            x[place] = value - step
            below = total()
            x[place] = value
            gradient[place] = (above - below) / (2 * step)
        gradients.append(gradient)
    return tuple(gradients)


def relative_error(a, b):
    """Largest difference, relative to the largest entry of either."""
    scale = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0), 1e-8)
    return np.abs(a - b).max(initial=0) / scale
