"""Sequences come with themselves backwards."""

from collections import Counter

import numpy as np
import pytest

from minis2s.data import reverse


@pytest.fixture(scope="module")
def standard():
    return reverse.generate()


def test_every_target_is_its_source_backwards(standard):
    assert len(standard) == reverse.STANDARD_COUNT
    for pair in standard:
        source, target = pair.source.split(" "), pair.target.split(" ")
        assert source == target[::-1]
        assert set(source) <= set(map(str, range(50)))
    assert any(pair.source != pair.target for pair in standard)


def test_sequences_are_distinct(standard):
    assert len({pair.source for pair in standard}) == len(standard)


def test_all_lengths_and_all_numbers_are_equally_frequent(standard):
    lengths = Counter(len(pair.source.split()) for pair in standard)
    assert set(lengths) == set(range(1, 31))
    assert lengths[1] <= 50, "there are no more"
    usual = [lengths[n] for n in range(3, 31)]
    assert min(usual) > 0.8 * max(usual)
    numbers = Counter(number for pair in standard for number in pair.source.split())
    assert len(numbers) == 50
    assert min(numbers.values()) > 0.9 * max(numbers.values())


def test_the_same_seed_gives_the_same_sequences(standard):
    one, other, third = (reverse.generate(200, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == other != third
    assert reverse.generate() == standard
