"""Sums are right and asked once."""

from collections import Counter

import numpy as np
import pytest

from minis2s.data import addition, leaks, split_pairs


@pytest.fixture(scope="module")
def standard():
    return addition.generate()


def test_every_sum_is_right(standard):
    assert len(standard) == addition.STANDARD_COUNT == 50_000
    for pair in standard:
        a, b = map(int, pair.source.split("+"))
        assert pair.source == f"{a}+{b}", "no leading zeros"
        assert 0 <= a <= 999
        assert 0 <= b <= 999
        assert pair.target == str(a + b)


def test_no_question_comes_twice_not_even_turned_round(standard):
    asked = [tuple(sorted(map(int, pair.source.split("+")))) for pair in standard]
    assert len(set(asked)) == len(asked)


def test_both_orders_occur(standard):
    larger_first = np.mean([int.__gt__(*map(int, pair.source.split("+"))) for pair in standard])
    assert 0.45 < larger_first < 0.55


def test_short_numbers_are_not_rare(standard):
    """Of numbers drawn evenly from 0 to 999, one in a hundred would have one digit. The few short sums run out."""
    digits = Counter(len(pair.source.split("+")[0]) for pair in standard)
    assert set(digits) == {1, 2, 3}
    assert digits[1] > 0.1 * len(standard)
    assert digits[2] > 0.2 * len(standard)


def test_no_question_of_the_test_is_in_training(standard):
    assert leaks(split_pairs(standard, 0.02, 0.1)) == []


def test_the_same_seed_gives_the_same_sums(standard):
    one, other, third = (addition.generate(200, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == other != third
    assert addition.generate() == standard


def test_more_sums_than_there_are():
    with pytest.raises(ValueError, match="count is 100001"):
        addition.generate(100_001)
