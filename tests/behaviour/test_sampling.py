"""Sampling draws from the model's distribution."""

import numpy as np
import pytest

from minis2s.decoding import sample

LOGITS = np.log(np.array([0.3, 1e-9, 0.2, 0.1, 0.15, 0.05, 0.2], dtype=np.float32))  # of <pad> <unk> <s> </s> and words


class OneDistribution:
    """A model that says the same at every step, whatever it reads."""

    training, device = False, "cpu"

    def eval(self):
        return self

    def train(self, mode=True):
        return self

    def encode(self, source, mask):
        return (source, source), None

    def step(self, ids, carry, memory):
        return np.tile(LOGITS, (len(ids), 1)), carry, None


def draw(count, temperature=1.0, rng=None):
    """The first token of many sentences; </s> where a sentence ended at once."""
    source = np.zeros((1, count), dtype=np.int64)
    rng = rng or np.random.default_rng(0)
    found = sample(OneDistribution(), source, source == 0, 3, rng=rng, temperature=temperature)
    return np.array([h.tokens[0] if h.tokens else 3 for [h] in found])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies(temperature):
    count = 4000
    p = np.exp(LOGITS.astype(np.float64) / temperature)
    p[[0, 2]] = 0  # <pad> and <s> are never an answer
    p /= p.sum()
    counts = np.bincount(draw(count, temperature), minlength=7)
    assert counts[[0, 2]].sum() == 0
    likely = p > 1e-3
    assert ((counts - count * p)[likely] ** 2 / (count * p)[likely]).sum() < 18.5  # once in 1000, 4 degrees of freedom


def test_low_temperature_is_greedy():
    assert set(draw(200, temperature=0.01)) == {6}


class Stream:
    """A generator stuck at one number, or the largest that the type holds below 1."""

    def __init__(self, u):
        self.u = u

    def random(self, size, dtype=np.float64):
        return np.full(size, min(self.u, 1 - np.finfo(dtype).epsneg), dtype)


@pytest.mark.parametrize(("u", "token"), [(0.0, 1), (1 - 2.0**-53, 6)])
def test_the_ends_of_the_draw(u, token):
    """A number just below 1 must not fall past the last token, nor 0 before the first."""
    assert draw(2, rng=Stream(u)).tolist() == [token, token]
