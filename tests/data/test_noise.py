import numpy as np
import pytest

from minis2s.data.noise import LEVELS, NOISES, add_noise

GREY = np.full((4, 1, 40, 40), 0.5, dtype=np.float32)


@pytest.mark.parametrize("kind", NOISES)
def test_noise_is_seeded_stays_in_range_and_changes_nothing_it_was_given(kind):
    pixels = np.random.default_rng(0).random((3, 1, 9, 11), dtype=np.float32)
    before = pixels.copy()
    for level in LEVELS[kind]:
        first, again, other = (add_noise(pixels, kind, level, np.random.default_rng(seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.array_equal(first, other) == (kind == "blur")
        assert first.shape == pixels.shape
        assert first.dtype == np.float32
        assert 0 <= first.min() <= first.max() <= 1
        assert not np.shares_memory(first, pixels)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("kind", [kind for kind in NOISES if kind != "poisson"])
def test_level_zero_is_no_noise(kind):
    np.testing.assert_array_equal(add_noise(GREY, kind, 0.0, np.random.default_rng(0)), GREY)


def test_levels_mean_what_they_say():
    rng = np.random.default_rng(0)
    assert add_noise(GREY, "gaussian", 0.1, rng).std() == pytest.approx(0.1, rel=0.05)
    salted = add_noise(GREY, "salt_pepper", 0.3, rng)
    assert (salted == 0).mean() == pytest.approx(0.15, abs=0.02)
    assert (salted == 1).mean() == pytest.approx(0.15, abs=0.02)
    assert (add_noise(GREY, "masking", 0.4, rng) == 0).mean() == pytest.approx(0.4, abs=0.03)
    counted = add_noise(GREY / 2, "poisson", 20.0, rng)
    assert counted.mean() == pytest.approx(0.25, abs=0.01)
    assert counted.std() == pytest.approx(np.sqrt(0.25 / 20), rel=0.1)


def test_blur_keeps_the_light_and_has_its_width():
    point = np.zeros((1, 1, 41, 41), dtype=np.float32)
    point[..., 20, 20] = 1
    spread = add_noise(point, "blur", 2.0, np.random.default_rng(0))[0, 0].astype(float)
    assert spread.sum() == pytest.approx(1, rel=1e-3)
    assert np.sqrt((spread.sum(axis=0) * (np.arange(41) - 20) ** 2).sum()) == pytest.approx(2, rel=0.01)
    np.testing.assert_allclose(spread, spread.T, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "level"), [("snow", 1.0), ("gaussian", -1.0), ("masking", 1.5), ("poisson", 0.0), ("blur", np.nan)]
)
def test_what_there_is_not_is_refused(kind, level):
    with pytest.raises(ValueError, match="add_noise: (kind|level) is"):
        add_noise(GREY, kind, level, np.random.default_rng(0))
