import numpy as np
import pytest

from minis2s.data.container import HEADER, Range, dequantise, from_file, pack, quantise, to_file, unpack
from minis2s.errors import DataError

MODEL = b"abcdefgh1234"


@pytest.fixture
def codes():
    return np.random.default_rng(0).normal(size=(50, 3, 4, 5)).astype(np.float32) * np.array([1, 5, 0.1])[:, None, None]


@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_codes_are_half_a_step_away_at_most(codes, bits):
    low, high = codes.min(axis=(0, 2, 3)), codes.max(axis=(0, 2, 3))
    extent = Range(low.astype(np.float32), high.astype(np.float32))
    back = dequantise(quantise(codes, extent, bits), extent, bits)
    half = (high - low) / (2**bits - 1) / 2
    assert (np.abs(back - codes).max(axis=(0, 2, 3)) <= 1.01 * half).all()


def test_the_range_is_that_of_nearly_all(codes):
    codes = np.tile(codes, (4, 1, 1, 1))
    codes[0, 0, 0, 0] = 1e6
    extent = Range.of(codes)
    assert extent.high[0] < 10
    constant = Range.of(np.zeros((4, 2, 3, 3), np.float32))
    assert np.isfinite(dequantise(quantise(np.zeros((4, 2, 3, 3)), constant, 8), constant, 8)).all()


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", [(1, 4, 7, 7), (1, 3), (1, 1, 1, 1)])
def test_a_file_comes_back(bits, shape):
    levels = np.random.default_rng(0).integers(0, 2**bits, shape).astype(np.uint8)
    np.testing.assert_array_equal(unpack(pack(levels, bits), shape, bits), levels)
    back, found = from_file("x.m2s", to_file(levels, bits, MODEL), shape, MODEL)
    np.testing.assert_array_equal(back, levels)
    assert found == bits


def test_a_file_cut_or_altered_anywhere_is_refused_by_name():
    whole = to_file(np.arange(60, dtype=np.uint8).reshape(1, 4, 3, 5), 8, MODEL)
    for length in range(len(whole)):
        with pytest.raises(DataError, match=r"x\.m2s"):
            from_file("x.m2s", whole[:length], (1, 4, 3, 5), MODEL)
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 4
        with pytest.raises(DataError, match=r"x\.m2s"):
            from_file("x.m2s", bytes(altered), (1, 4, 3, 5), MODEL)


def test_each_refusal_has_its_own_reason():
    whole = to_file(np.zeros((1, 4), np.uint8), 8, MODEL)
    for data, words in (
        (b"\x89PNG", "not a picture that"),
        (whole[:6] + b"\x07" + whole[7:], "version 7"),
        (whole[: HEADER.size + 1], "truncated or damaged"),
    ):
        with pytest.raises(DataError, match=words):
            from_file("x", data, (1, 4), MODEL)
    with pytest.raises(DataError, match="another model"):
        from_file("x", whole, (1, 4), b"ABCDEFGH")
    with pytest.raises(DataError, match="damaged"):
        from_file("x", whole, (1, 5), MODEL)
