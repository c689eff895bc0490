"""Activations and softmax: closed forms, extremes, masks."""

import math

import numpy as np
import pytest

from minis2s import functional as F

X = np.array([-30.0, -5.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 2.0, 30.0])
CLOSED = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_form(name):
    y, _ = getattr(F, name)(X)
    np.testing.assert_allclose(y, [CLOSED[name](x) for x in X], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_neither_overflow_nor_warn(name, dtype):
    x = np.array([-1e9, -1000, -100, 100, 1000, 1e9], dtype=dtype)
    y, backward = getattr(F, name)(x)
    dx = backward(np.ones_like(x))
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    expected = {"sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, x[3:]), "gelu": (0, x[3:])}[name]
    np.testing.assert_allclose(y[:3], expected[0], atol=1e-37)
    np.testing.assert_allclose(y[3:], expected[1])


def test_relu_has_slope_zero_at_zero():
    _, backward = F.relu(np.zeros(3))
    np.testing.assert_array_equal(backward(np.ones(3)), 0)


def test_gelu_is_close_to_x_times_the_normal_distribution():
    x = np.linspace(-4, 4, 33)
    y, _ = F.gelu(x)
    np.testing.assert_allclose(y, [v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x], atol=1e-3)


def slow_softmax(row, real):
    exps = [math.exp(x) if r else 0.0 for x, r in zip(row, real, strict=True)]
    return [e / sum(exps) for e in exps]


def test_softmax_against_a_slow_loop():
    x = np.random.default_rng(0).normal(size=(4, 5))
    mask = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 1, 1]], dtype=bool)
    for real in (np.ones_like(mask), mask):
        expected = [slow_softmax(*pair) for pair in zip(x, real, strict=True)]
        y, _ = F.softmax(x, real)
        np.testing.assert_allclose(y, expected, rtol=1e-13)
        log_y, _ = F.log_softmax(x, real)
        np.testing.assert_allclose(np.exp(log_y), expected, rtol=1e-13)
        np.testing.assert_array_equal(np.isneginf(log_y), ~real)
    np.testing.assert_allclose(F.softmax(x)[0], F.softmax(x, np.ones_like(mask))[0], rtol=1e-13)


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_on_all_scores_changes_nothing(f, dtype):
    x = np.array([[0.0, 1.0, -2.0]], dtype=dtype)
    for shift in (-1e4, 1e4):
        np.testing.assert_allclose(f(x + dtype(shift))[0], f(x)[0], rtol=1e-3)
    extreme = np.array([[1e4, -1e4, 0.0]], dtype=dtype)
    np.testing.assert_array_equal(F.softmax(extreme)[0], [[1, 0, 0]])
    assert np.isfinite(F.log_softmax(extreme)[0]).all()


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax])
def test_what_a_mask_hides_has_no_say(f):
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    mask = np.array([[[1, 1, 0, 0]], [[1, 0, 1, 1]]], dtype=bool)  # broadcasts over the middle axis
    poisoned = np.where(mask, x, np.nan)
    y, backward = f(x, mask)
    z, poisoned_backward = f(poisoned, mask)
    np.testing.assert_array_equal(y, z)
    dy = np.where(mask, np.cos(x), 0)
    dx, dmask = backward(dy)
    assert dmask is None
    np.testing.assert_array_equal(np.where(mask, 0, dx), 0)
    np.testing.assert_array_equal(poisoned_backward(dy)[0], dx)


def test_log_softmax_ignores_the_gradient_of_masked_entries():
    x, mask = np.zeros((1, 3)), np.array([[True, True, False]])
    _, backward = F.log_softmax(x, mask)
    np.testing.assert_allclose(backward(np.array([[1.0, 0.0, np.nan]]))[0], [[0.5, -0.5, 0.0]])


def test_a_row_without_real_entries():
    x, mask = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[True, True], [False, False]])
    y, backward = F.softmax(x, mask)
    np.testing.assert_array_equal(y[1], 0)
    np.testing.assert_array_equal(backward(np.ones((2, 2)))[0][1], 0)
    log_y, backward = F.log_softmax(x, mask)
    np.testing.assert_array_equal(log_y[1], -np.inf)
    np.testing.assert_array_equal(backward(np.ones((2, 2)))[0][1], 0)


def test_the_gradient_of_a_distribution_sums_to_zero():
    x = np.random.default_rng(2).normal(size=(6, 9))
    for f in (F.softmax, F.log_softmax):
        dx, _ = f(x)[1](np.cos(x))
        np.testing.assert_allclose(dx.sum(axis=1), 0, atol=1e-14)
