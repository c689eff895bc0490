"""Inputs in which an error would show: biases and states that are not zero, ragged masks, repeated ids."""

import numpy as np

T, S, N, D, H, V = 4, 5, 3, 4, 3, 6
SOURCE_MASK = np.arange(S)[:, None] < np.array([S, 2, 3])
TARGET_MASK = np.arange(T)[:, None] < np.array([3, T, 2])


def arrays(*shapes, scale=1.0):
    """Standard normal numbers of the given shapes."""
    return lambda rng: tuple(scale * rng.standard_normal(shape) for shape in shapes)


def step(gates, states):
    """A cell's step, in PyTorch's layout."""
    rows = gates * H
    return arrays((N, D), *[(N, H)] * states, (rows, D), (rows, H), (rows,), (rows,))


def sequence(gates, states, mask=None):
    """A cell's sequence, in PyTorch's layout, with a mask last."""
    rows = gates * H
    draw = arrays((S, N, D), *[(N, H)] * states, (rows, D), (rows, H), (rows,), (rows,), scale=0.8)
    return lambda rng: (*draw(rng), mask)


def unmasked(gates, states):
    """A cell's sequence without the mask."""
    return lambda rng: sequence(gates, states)(rng)[:-1]


def attention(rng):
    """Scores (N, T, S), a memory and its mask."""
    return 2 * rng.standard_normal((N, T, S)), rng.standard_normal((S, N, H)), SOURCE_MASK


def classes(rng):
    """Logits (T, N, V) and targets."""
    return 2 * rng.standard_normal((T, N, V)), rng.integers(0, V, (T, N))


def masked_classes(rng):
    """Logits, targets and a mask."""
    return (*classes(rng), TARGET_MASK)


def tokens(rng):
    """Ids, some twice, and a table."""
    return np.array([[1, 4, 1], [0, 1, 5]]), rng.standard_normal((V, D))


def table_first(rng):
    """The table, then the ids."""
    return tokens(rng)[::-1]


def image(rng):
    """Images (N, C, H, W)."""
    return (rng.standard_normal((2, 3, 6, 6)),)


def convolution(rng):
    """Images, kernels (F, C, k, k) and a bias."""
    return rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)


def transposed_convolution(rng):
    """Images, kernels (C, F, k, k) and a bias."""
    return rng.standard_normal((2, 3, 3, 4)), rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(2)
