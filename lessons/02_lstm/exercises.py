"""What the exercises of lesson 2 are checked with."""

import numpy as np

from minis2s import functional as F
from minis2s.lessons import Exercise


def right_step(x, h, c, weight_ih, weight_hh, bias):
    """The library's, whose second bias is zero here."""
    outputs, backward = F.lstm_step(x, h, c, weight_ih, weight_hh, bias, np.zeros_like(bias))
    return outputs, lambda *upstream: backward(*upstream)[:-1]


def right_sequence(*inputs):
    """The library's, without a mask."""
    outputs, backward = F.lstm(*inputs)
    return outputs, lambda *upstream: backward(*upstream)[:-1]


def right_state(h_next, h, mask):
    """What the library's recurrent functions do at padding."""
    real = mask[:, None]
    return np.where(real, h_next, h), lambda dy: (dy * real, dy * ~real, None)


def cell(rng, biases):
    """Sizes N, D, H, all unequal, and arrays of them: states and biases are not zero."""
    N, D, H = (int(size) for size in rng.choice(np.arange(2, 6), 3, replace=False))
    states = tuple(rng.standard_normal((N, H)) for _ in range(2))
    weights = rng.standard_normal((4 * H, D)), 0.7 * rng.standard_normal((4 * H, H))
    return N, D, states, (*weights, *(rng.standard_normal(4 * H) for _ in range(biases)))


def step_inputs(rng):
    """One letter for each example."""
    N, D, states, weights = cell(rng, biases=1)
    return rng.standard_normal((N, D)), *states, *weights


def sequence_inputs(rng):
    """At least three steps."""
    N, D, states, weights = cell(rng, biases=2)
    return rng.standard_normal((int(rng.integers(3, 6)), N, D)), *states, *weights


def state_inputs(rng):
    """A mask with both kinds of entries."""
    N, H = rng.choice(np.arange(4, 8), 2, replace=False)
    mask = rng.permutation(np.arange(N) < rng.integers(1, N))
    return rng.standard_normal((N, H)), rng.standard_normal((N, H)), mask


EXERCISES = (
    Exercise("lstm_step", right_step, step_inputs, points=3),
    Exercise(
        "lstm_sequence",
        right_sequence,
        sequence_inputs,
        points=3,
        given="from minis2s.functional import lstm_step as library_step",
    ),
    Exercise("keep_state", right_state, state_inputs),
)
