import numpy as np
import pytest

from minis2s.data.entropy import CAUTION, Coder, CodeStatistics


@pytest.fixture
def codes():
    return np.random.default_rng(0).normal(size=(50, 3, 4, 5)).astype(np.float32) * np.array([1, 5, 0.1])[:, None, None]


def between(low, high, shape):
    """Statistics that nothing was counted for."""
    return CodeStatistics(low.astype(np.float32), high.astype(np.float32), np.zeros((*shape, 256), np.int32))


@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_codes_are_half_a_step_away_at_most(codes, bits):
    low, high = codes.min(axis=(0, 2, 3)), codes.max(axis=(0, 2, 3))
    coder = Coder(between(low, high, codes.shape[1:]), bits)
    half = (high - low) / (2**bits - 1) / 2
    assert (np.abs(coder.dequantise(coder.quantise(codes)) - codes).max(axis=(0, 2, 3)) <= 1.01 * half).all()


def test_the_extent_is_that_of_nearly_all(codes):
    codes = np.tile(codes, (4, 1, 1, 1))
    codes[0, 0, 0, 0] = 1e6
    assert CodeStatistics.of(codes).high[0] < 10
    constant = Coder(CodeStatistics.of(np.zeros((4, 2, 3, 3), np.float32)), 8)
    assert np.isfinite(constant.dequantise(constant.quantise(np.zeros((4, 2, 3, 3))))).all()


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", [(4, 7, 7), (3,), (1, 1, 1)])
def test_levels_come_back_even_such_as_never_occurred(bits, shape):
    rng = np.random.default_rng(0)
    coder = Coder(CodeStatistics.of(rng.normal(size=(30, *shape))), bits)
    for _ in range(20):
        levels = rng.integers(0, 2**bits, shape).astype(np.uint8)
        np.testing.assert_array_equal(coder.unpack(coder.pack(levels)), levels)


def test_probabilities_are_those_of_the_place_drawn_towards_its_channel():
    levels = np.array([[[0, 0, 0, 255]], [[7, 7, 0, 255]]]).repeat(5, axis=0)  # (N, C, places) = (10, 1, 4)
    counts = np.stack([np.bincount(place, minlength=256) for place in levels.reshape(10, -1).T]).reshape(1, 4, 256)
    p = Coder(CodeStatistics(np.zeros(1), np.ones(1), counts), 8).probabilities
    channel = (20 + 1) / (40 + 256), (10 + 1) / (40 + 256), 1 / (40 + 256)  # of levels 0, 255, and one never seen
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p[0, 0], (5 + CAUTION * channel[0]) / (10 + CAUTION))
    np.testing.assert_allclose(p[3, 255], (10 + CAUTION * channel[1]) / (10 + CAUTION))
    np.testing.assert_allclose(p[3, 9], CAUTION * channel[2] / (10 + CAUTION))


def test_four_bits_join_the_levels_that_become_one():
    codes = np.random.default_rng(0).uniform(size=(2000, 1, 2)).astype(np.float32)
    statistics = CodeStatistics.of(codes)
    coder = Coder(statistics, 4)
    seen = np.bincount(coder.quantise(codes)[:, 0, 0], minlength=16) / 2000
    np.testing.assert_allclose(coder.probabilities[0], seen, atol=0.01)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_code_takes_as_many_bytes_as_its_entropy_says(bits):
    rng = np.random.default_rng(0)
    spread = np.geomspace(0.01, 1, 128)  # places that vary little beside such that vary much
    codes = (rng.normal(size=(3000, 2, 64)) * spread.reshape(2, 64)).astype(np.float32)
    coder = Coder(CodeStatistics.of(codes[:2000]), bits)
    held_out = coder.quantise(codes[2000:])
    size = np.mean([len(coder.pack(levels)) for levels in held_out])
    place = np.arange(128)
    entropy = np.mean([-np.log2(coder.probabilities[place, levels.reshape(-1)]).sum() / 8 for levels in held_out])
    assert entropy <= size <= entropy + 4.5  # whole words of four bytes
    assert size < 0.8 * 128 * bits / 8


def test_data_that_were_not_packed_so_are_refused():
    rng = np.random.default_rng(0)
    coder = Coder(CodeStatistics.of(rng.normal(size=(30, 1, 64))), 8)
    levels = rng.integers(0, 256, (1, 64)).astype(np.uint8)
    with pytest.raises(ValueError, match="left over"):
        coder.unpack(coder.pack(levels) + bytes(range(8)))
    with pytest.raises(ValueError, match="multiple"):
        coder.unpack(coder.pack(levels)[:-1])
