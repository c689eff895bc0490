"""Inputs and small functions that mutants of both folders use."""

import numpy as np

from minis2s.nn import Parameter


def queries_keys_values(rng):
    """Two lengths: queries (N, T, D), keys and values (N, S, D)."""
    return rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 5, 4))


def stable_softmax(a):
    e = np.exp(a - np.max(a, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def bilinear_inputs(rng):
    return rng.standard_normal((3, 4)), rng.standard_normal((3, 5, 4)), rng.standard_normal((4, 4))


def image(rng):
    return (rng.standard_normal((2, 3, 4, 6)),)


def conv_inputs(rng):
    return rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)


def gaussian(rng):
    return rng.standard_normal((4, 3)), rng.standard_normal((4, 3))


NOISE = np.random.default_rng(8).standard_normal((4, 3))


def norm_inputs(rng):
    """A batch (N, D), gamma and beta."""
    return 2 * rng.standard_normal((6, 4)) + 1, rng.standard_normal(4), rng.standard_normal(4)


def dropout_inputs(rng):
    return (rng.standard_normal((4, 6)),)


def classes(rng):
    """Scores (N, C) and the right class (N,)."""
    return 2 * rng.standard_normal((5, 4)), rng.integers(0, 4, 5)


def regression(rng):
    return rng.standard_normal((4, 3)), rng.standard_normal((4, 3))


def features(rng):
    return (rng.standard_normal((5, 4)),)


def parameter(rng, *shape):
    return Parameter(0.7 * rng.standard_normal(shape))


def build(kind):
    return kind(np.random.default_rng(6))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def rnn_inputs(rng):
    N, T, D, H = 2, 4, 3, 5
    return tuple(rng.standard_normal(s) for s in [(N, T, D), (N, H), (D, H), (H, H), (H,)])


def gate_by_gate_inputs(rng):
    N, D, H = 3, 4, 3
    states = [rng.standard_normal(s) for s in [(N, D), (N, H), (N, H)]]
    return (*states, *(rng.standard_normal((D, H)) for _ in "figo"), *(rng.standard_normal((H, H)) for _ in "figo"))
