"""What the exercises of lesson 1 are checked with."""

import numpy as np

from minis2s import functional as F
from minis2s.lessons import Exercise


def right_softmax(x):
    """The library's, whose backward also answers for a mask."""
    y, backward = F.softmax(x)
    return y, lambda dy: backward(dy)[0]


def sizes(rng, count):
    """Sizes from 3 to 7, all unequal: what lies the wrong way round does not fit."""
    return rng.choice(np.arange(3, 8), count, replace=False)


def linear_inputs(rng):
    """x, weight and a bias that is not zero."""
    N, D, E = sizes(rng, 3)
    return rng.standard_normal((N, D)), rng.standard_normal((E, D)), rng.standard_normal(E)


def tanh_inputs(rng):
    """Numbers on both sides of zero, some far from it."""
    return (1.5 * rng.standard_normal(sizes(rng, 2)),)


def softmax_inputs(rng):
    """Scores, some of which differ much."""
    return (2 * rng.standard_normal(sizes(rng, 2)),)


EXERCISES = (
    Exercise("linear", F.linear, linear_inputs, points=3),
    Exercise("tanh", F.tanh, tanh_inputs),
    Exercise("softmax", right_softmax, softmax_inputs, points=2),
)
