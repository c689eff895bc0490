"""A source is in one part only, always the same, and a leak is found."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minis2s.data import Pair, Split, leaks, source_key, split_pairs

PAIRS = [Pair(f"sentence {n}", f"phrase {n}") for n in range(4000)]


def exactly(pair):
    return pair.source


def test_every_pair_is_in_one_part_and_the_parts_have_their_shares():
    split = split_pairs(PAIRS, validation=0.1, test=0.2)
    assert sorted([*split.train, *split.validation, *split.test]) == sorted(PAIRS)
    spread = 5 * np.sqrt(len(PAIRS) * 0.25)
    for part, share in zip(split, (0.7, 0.1, 0.2), strict=True):
        assert abs(len(part) - share * len(PAIRS)) < spread


def test_the_order_inside_a_part_is_that_of_the_file():
    for part in split_pairs(PAIRS):
        numbers = [int(pair.source.split()[1]) for pair in part]
        assert numbers == sorted(numbers)


@given(st.permutations(range(60)), st.integers(0, 60))
def test_the_part_depends_on_nothing_but_the_source(order, kept):
    whole = split_pairs(PAIRS[:60], 0.3, 0.3)
    other = split_pairs([PAIRS[n] for n in order[:kept]], 0.3, 0.3)
    for part, other_part in zip(whole, other, strict=True):
        assert set(other_part) <= set(part)


def test_the_part_is_the_same_in_every_process():
    """Python's own hash of a text differs from process to process."""
    code = (
        "from minis2s.data import Pair, split_pairs;"
        "print([p.source for p in split_pairs([Pair(f'sentence {n}', '') for n in range(300)]).test])"
    )
    done = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    ]
    assert done[0] == done[1] == f"{[pair.source for pair in split_pairs(PAIRS[:300]).test]}\n"


def test_the_part_never_changes_between_versions():
    """A test set that moves would meet models that were trained on it."""
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    split = split_pairs([Pair(word, "") for word in words], 0.3, 0.3)
    parts = ["two five six", "four seven eight ten", "one three nine"]
    assert [" ".join(pair.source for pair in part) for part in split] == parts


def test_more_test_data_is_taken_from_the_same_end():
    small, large = (split_pairs(PAIRS, 0, share) for share in (0.05, 0.2))
    assert set(small.test) < set(large.test)


@pytest.mark.parametrize(
    "source",
    ["Go!", "go.", "GO", " Go ... ", "“Go”", "Ｇｏ"],
)
def test_sources_that_ask_the_same_stay_together(source):
    assert source_key(Pair(source, "")) == source_key(Pair("Go.", ""))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a cat", "acat"),
        ("12+3", "1+23"),
        ("ou", "où"),
        ("猫。", "狗。"),
        ("!", "?"),
        ("It's", "Its"),
    ],
)
def test_sources_that_differ_have_different_keys(one, other):
    assert source_key(Pair(one, "")) != source_key(Pair(other, ""))


def test_two_spellings_of_an_accent_are_one_source():
    assert source_key(Pair("\u00e9t\u00e9", "")) == source_key(Pair("e\u0301te\u0301", ""))


def test_all_translations_of_a_source_stay_together():
    pairs = [Pair(f"{word}{sign}", f"{n}") for word in "abcdefghijklmnopqrst" for n, sign in enumerate(".!?")]
    split = split_pairs(pairs, 0.3, 0.3)
    assert not leaks(split)
    assert all(len(part) % 3 == 0 for part in split)
    assert leaks(split_pairs(pairs, 0.3, 0.3, exactly)), "the exact text as key lets them leak"


def test_leaks_are_named():
    split = Split([Pair("Go.", "Va !"), Pair("Yes.", "Oui.")], [Pair("No.", "Non.")], [Pair("go!", "Cours !")])
    assert leaks(split) == ["go"]
    assert leaks(split, exactly) == []
    assert leaks(Split(split.train, [Pair("Yes.", "Si.")], []), exactly) == ["Yes."], "validation must not leak either"


@pytest.mark.parametrize("key", [source_key, exactly])
@given(pairs=st.lists(st.builds(Pair, st.text(st.sampled_from("aA b.!é"), min_size=1), st.text())))
def test_a_split_never_leaks(key, pairs):
    assert leaks(split_pairs(pairs, 0.3, 0.3, key), key) == []


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.5), (0.5, -0.1), (0.6, 0.6)])
def test_impossible_shares(validation, test):
    with pytest.raises(ValueError, match="split_pairs: validation is"):
        split_pairs(PAIRS, validation, test)


def test_shares_of_nothing_and_everything():
    assert split_pairs(PAIRS, 0, 0) == Split(PAIRS, [], [])
    assert split_pairs(PAIRS, 0, 1) == Split([], [], PAIRS)
