"""A batch holds what it was made of, and an epoch holds each example once with little padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minis2s.data import bucket_batches, collate, padding_waste
from minis2s.data.batching import pad
from minis2s.data.vocabulary import BOS, EOS, PAD

IDS = st.lists(st.integers(4, 50), max_size=7)
LENGTHS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=60).map(
    lambda rows: np.array(rows, dtype=np.int64).reshape(-1, 2)
)


def test_a_batch_by_hand():
    batch = collate([[5, 6], [7]], [[8], [9, 10, 11]], [3, 1])
    np.testing.assert_array_equal(batch.source.T, [[5, 6, EOS], [7, EOS, PAD]])
    np.testing.assert_array_equal(batch.source_mask.T, [[True, True, True], [True, True, False]])
    np.testing.assert_array_equal(batch.target_in.T, [[BOS, 8, PAD, PAD], [BOS, 9, 10, 11]])
    np.testing.assert_array_equal(batch.target_out.T, [[8, EOS, PAD, PAD], [9, 10, 11, EOS]])
    np.testing.assert_array_equal(batch.target_mask.T, [[True, True, False, False], [True, True, True, True]])
    np.testing.assert_array_equal(batch.indices, [3, 1])


@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=9))
def test_what_goes_into_a_batch_comes_out(pairs):
    sources, targets = zip(*pairs, strict=True)
    batch = collate(sources, targets, range(len(pairs)))
    for n, (source, target) in enumerate(pairs):
        assert batch.source[batch.source_mask[:, n], n].tolist() == [*source, EOS]
        assert batch.target_in[batch.target_mask[:, n], n].tolist() == [BOS, *target]
        assert batch.target_out[batch.target_mask[:, n], n].tolist() == [*target, EOS]
    for ids, mask in (
        (batch.source, batch.source_mask),
        (batch.target_in, batch.target_mask),
        (batch.target_out, batch.target_mask),
    ):
        assert ids.dtype == np.int64
        assert mask.dtype == bool
        assert ids.flags.c_contiguous
        assert mask.flags.c_contiguous
        assert (ids[~mask] == PAD).all(), "padding is PAD"
        assert (mask[:-1] >= mask[1:]).all(), "padding comes last"
        assert mask.any(axis=1).all(), "no step is padding for all"


def test_an_empty_source_still_has_something_to_read():
    batch = collate([[]], [[]], [0])
    assert batch.source.tolist() == [[EOS]]
    assert batch.target_in.tolist() == [[BOS]]
    assert batch.target_out.tolist() == [[EOS]]


def test_what_was_passed_in_is_not_changed():
    sources, targets = [[5], [6, 7]], [[8, 9], []]
    collate(sources, targets, [0, 1])
    assert (sources, targets) == ([[5], [6, 7]], [[8, 9], []])


def test_no_batch():
    assert collate([], [], []).source.shape == (0, 0)


@pytest.mark.parametrize(("targets", "indices"), [([[1]], [0, 1]), ([[1], [2]], [0])])
def test_parts_that_do_not_fit(targets, indices):
    with pytest.raises(ValueError, match="collate: 2 sources"):
        collate([[4], [5]], targets, indices)


def test_padding_of_nothing():
    ids, mask = pad([[], []])
    assert ids.shape == mask.shape == (0, 2)


# ----------------------------------------------------------------------------------------------------------- bucketing


@given(LENGTHS, st.integers(1, 20), st.integers(0, 3))
def test_every_example_comes_once(lengths, batch_size, seed):
    batches = bucket_batches(lengths, batch_size, np.random.default_rng(seed))
    together = np.concatenate(batches) if batches else np.array([], dtype=np.int64)
    assert sorted(together) == list(range(len(lengths)))
    sizes = sorted(map(len, batches), reverse=True)
    assert all(size == batch_size for size in sizes[:-1])
    assert all(0 < size <= batch_size for size in sizes)


@given(LENGTHS, st.integers(1, 20), st.integers(0, 3))
def test_batches_are_slices_of_the_sorted_examples(lengths, batch_size, seed):
    """So no other choice has less target padding."""
    batches = bucket_batches(lengths, batch_size, np.random.default_rng(seed))
    keys = sorted([(t, s) for s, t in lengths.tolist()])
    found = sorted(sorted((t, s) for s, t in lengths[batch].tolist()) for batch in batches)
    assert found == sorted(keys[k : k + batch_size] for k in range(0, len(keys), batch_size))


@given(LENGTHS, st.integers(1, 20), st.integers(0, 3))
def test_the_same_seed_gives_the_same_batches(lengths, batch_size, seed):
    one, other = (bucket_batches(lengths, batch_size, np.random.default_rng(seed)) for _ in range(2))
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in other]


@pytest.fixture
def lengths():
    """Sentences of two languages: 3 to 30 tokens, about as many on both sides."""
    rng = np.random.default_rng(0)
    source = 3 + rng.poisson(rng.gamma(3, 3, 20_000))
    return np.stack([source, np.maximum(source + rng.integers(-2, 4, len(source)), 1)], axis=1)


def test_batches_are_shuffled_and_so_are_examples_of_equal_length(lengths):
    first, second = (bucket_batches(lengths, 64, np.random.default_rng(seed)) for seed in (0, 1))
    means = [lengths[batch].mean() for batch in first]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2, "short and long batches take turns"
    same = {frozenset(batch) for batch in first} & {frozenset(batch) for batch in second}
    assert len(same) < 0.02 * len(first), "only the very longest have no other company"


@pytest.mark.parametrize("batch_size", [64, 128])
def test_little_is_wasted_where_random_batches_waste_much(lengths, batch_size):
    rng = np.random.default_rng(0)
    order = rng.permutation(len(lengths))
    random = [order[k : k + batch_size] for k in range(0, len(order), batch_size)]
    assert padding_waste(lengths[batch] for batch in random) > 0.4
    assert padding_waste(lengths[batch] for batch in bucket_batches(lengths, batch_size, rng)) < 0.08


def test_waste_is_what_the_masks_of_the_batches_say():
    rng = np.random.default_rng(0)
    sides = [[[4] * n for n in rng.integers(0, 9, 50)] for _ in range(2)]
    lengths = np.array([(len(s) + 1, len(t) + 1) for s, t in zip(*sides, strict=True)])  # with </s>
    chosen = bucket_batches(lengths, 8, rng)
    batches = [collate([sides[0][n] for n in c], [sides[1][n] for n in c], c) for c in chosen]
    masks = np.concatenate([m.ravel() for b in batches for m in (b.source_mask, b.target_mask)])
    assert padding_waste(lengths[c] for c in chosen) == pytest.approx(1 - masks.mean())


def test_waste_by_hand():
    assert padding_waste([np.array([[1, 2], [3, 2]])]) == pytest.approx(1 - 8 / 10)
    assert padding_waste([np.array([[4, 4]])]) == 0
    assert padding_waste([]) == 0


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_lengths_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"lengths has shape \(5.*expected \(n, 2\)"):
        bucket_batches(np.ones(shape, dtype=int), 2, np.random.default_rng(0))


def test_a_batch_of_none():
    with pytest.raises(ValueError, match="batch_size is 0"):
        bucket_batches(np.ones((5, 2), dtype=int), 0, np.random.default_rng(0))
