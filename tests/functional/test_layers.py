"""Linear, embedding, layer norm and dropout: values, edges, errors."""

import numpy as np
import pytest

from minis2s import functional as F

R = np.random.default_rng(10)


# ------------------------------------------------------------------------------------------------- linear


def test_linear_against_a_slow_loop():
    x, weight, bias = R.normal(size=(2, 3, 4)), R.normal(size=(5, 4)), R.normal(size=5)
    y, _ = F.linear(x, weight, bias)
    expected = np.array(
        [
            [[sum(w * v for w, v in zip(row, x[t, n], strict=True)) for row in weight] for n in range(3)]
            for t in range(2)
        ]
    )
    np.testing.assert_allclose(y, expected + bias, rtol=1e-12)
    np.testing.assert_allclose(F.linear(x, weight)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (0, 4), (2, 0, 4), (2, 3, 1, 4)])
def test_linear_takes_any_leading_axes(shape):
    x, weight, bias = R.normal(size=shape), R.normal(size=(5, 4)), R.normal(size=5)
    y, backward = F.linear(x, weight, bias)
    assert y.shape == (*shape[:-1], 5)
    np.testing.assert_allclose(y, x @ weight.T + bias, rtol=1e-12, atol=1e-14)
    dx, dweight, dbias = backward(np.ones_like(y))
    assert (dx.shape, dweight.shape, dbias.shape) == (x.shape, weight.shape, bias.shape)
    np.testing.assert_allclose(dbias, y.size / 5)


def test_linear_names_what_does_not_fit():
    with pytest.raises(ValueError, match="linear: x has 3 features, weight expects 4"):
        F.linear(np.zeros((2, 3)), np.zeros((5, 4)))


# ------------------------------------------------------------------------------------------------- embedding


def test_a_token_that_occurs_twice_adds_its_gradient_twice():
    ids, weight = np.array([[2, 0, 2], [2, 1, 0]]), R.normal(size=(4, 3))
    y, backward = F.embedding(ids, weight)
    np.testing.assert_array_equal(y, [[weight[v] for v in row] for row in ids])
    dy = R.normal(size=y.shape)
    dids, dweight = backward(dy)
    expected = np.zeros_like(weight)
    np.add.at(expected, ids, dy)
    assert dids is None
    np.testing.assert_allclose(dweight, expected, rtol=1e-12)
    np.testing.assert_array_equal(dweight[3], 0)


def test_the_row_of_padding_gets_no_gradient():
    ids, weight = np.array([1, 0, 1]), R.normal(size=(3, 2))
    y, backward = F.embedding(ids, weight, padding_id=1)
    np.testing.assert_array_equal(y, weight[ids])
    _, dweight = backward(np.ones((3, 2)))
    np.testing.assert_array_equal(dweight, [[1, 1], [0, 0], [0, 0]])


def test_no_ids_at_all():
    y, backward = F.embedding(np.zeros((0, 2), dtype=np.int64), R.normal(size=(3, 2)))
    assert y.shape == (0, 2, 2)
    np.testing.assert_array_equal(backward(y)[1], np.zeros((3, 2)))


@pytest.mark.parametrize("ids", [[0, 3], [-1, 0]])
def test_ids_outside_the_table_are_refused(ids):
    """NumPy would take -1 for the last row, CuPy anything for some row."""
    with pytest.raises(IndexError, match=f"ids reach from {min(ids)} to {max(ids)}, weight has rows 0 to 2"):
        F.embedding(np.array(ids), np.zeros((3, 2)))


# ------------------------------------------------------------------------------------------------- layer norm


def test_layer_norm_gives_mean_0_and_variance_1():
    x = 5 * R.normal(size=(6, 7, 64)) + 3
    y, _ = F.layer_norm(x, np.ones(64), np.zeros(64))
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=-1), 1, rtol=1e-5)
    scaled, _ = F.layer_norm(x, np.full(64, 2.0), np.full(64, -1.0))
    np.testing.assert_allclose(scaled, 2 * y - 1, rtol=1e-12)


def test_layer_norm_does_not_see_shift_and_scale():
    x, weight, bias = R.normal(size=(3, 8)), R.normal(size=8), R.normal(size=8)
    y, _ = F.layer_norm(x, weight, bias, eps=0)
    np.testing.assert_allclose(F.layer_norm(7 * x + 100, weight, bias, eps=0)[0], y, rtol=1e-9, atol=1e-9)


def test_layer_norm_of_a_constant_is_its_bias():
    y, backward = F.layer_norm(np.full((2, 4), 9.0), np.ones(4), np.arange(4.0))
    np.testing.assert_allclose(y, [[0, 1, 2, 3]] * 2, atol=1e-12)
    assert np.isfinite(backward(R.normal(size=(2, 4)))[0]).all()


# ------------------------------------------------------------------------------------------------- dropout


def test_dropout_keeps_the_mean_and_drops_the_rate():
    x = np.ones((400, 500), dtype=np.float32)
    for rate in (0.1, 0.5, 0.9):
        y, backward = F.dropout(x, rate=rate, rng=np.random.default_rng(0))
        deviation = np.sqrt(rate * (1 - rate) / x.size)
        assert abs((y == 0).mean() - rate) < 4 * deviation
        np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)
        np.testing.assert_array_equal(backward(x), y)  # one mask for both passes
        np.testing.assert_array_equal(backward(x), y)


def test_dropout_draws_from_the_generator_it_is_given():
    x = np.ones(1000)
    rng = np.random.default_rng(0)
    first, second = (F.dropout(x, rate=0.5, rng=rng)[0] for _ in range(2))
    again = F.dropout(x, rate=0.5, rng=np.random.default_rng(0))[0]
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


def test_dropout_of_nothing():
    x = R.normal(size=10)
    y, backward = F.dropout(x, rate=0.0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(backward(x), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
def test_dropout_refuses_rates_outside_0_to_1(rate):
    with pytest.raises(ValueError, match="dropout: rate is"):
        F.dropout(np.zeros(3), rate=rate, rng=np.random.default_rng(0))
