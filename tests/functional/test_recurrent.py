"""Elman network, LSTM and GRU: the step against scalar arithmetic, the sequence against a loop over the step."""

from math import exp, tanh

import numpy as np
import pytest
from function_cases import SOURCE_MASK, D, H, N, S, _recurrent

from minis2s import functional as F

CELLS = {"rnn": (1, 1), "gru": (3, 1), "lstm": (4, 2)}  # gates, states
EXACT = {"rtol": 1e-11, "atol": 1e-13}
HOLES = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)  # padding anywhere
MASKS = {"none": None, "ragged": SOURCE_MASK, "full": np.ones((S, N), dtype=bool), "holes": HOLES}


@pytest.fixture(params=CELLS)
def cell(request):
    return request.param


def inputs_of(cell, seed=0):
    gates, states = CELLS[cell]
    return _recurrent(np.random.default_rng(seed), gates, states, sequence=True)


def forward(cell, inputs, mask=None, reverse=False):
    """Outputs as (y, final states) and the backward."""
    (y, *final), backward = getattr(F, cell)(*inputs, mask, reverse=reverse)
    return y, final, backward


# ------------------------------------------------------------------------------------------------- the step


def sigma(x):
    return 1 / (1 + exp(-x))


def slow_step(cell, x, states, weight_ih, weight_hh, bias_ih, bias_hh):
    """One sentence, one number at a time, as the textbook has it."""
    h = states[0]
    a = [sum(weight_ih[j, d] * x[d] for d in range(D)) + bias_ih[j] for j in range(len(bias_ih))]
    u = [sum(weight_hh[j, k] * h[k] for k in range(H)) + bias_hh[j] for j in range(len(bias_hh))]
    if cell == "rnn":
        return ([tanh(a[k] + u[k]) for k in range(H)],)
    if cell == "gru":
        r = [sigma(a[k] + u[k]) for k in range(H)]
        z = [sigma(a[H + k] + u[H + k]) for k in range(H)]
        n = [tanh(a[2 * H + k] + r[k] * u[2 * H + k]) for k in range(H)]
        return ([(1 - z[k]) * n[k] + z[k] * h[k] for k in range(H)],)
    i, f, o = ([sigma(a[g * H + k] + u[g * H + k]) for k in range(H)] for g in (0, 1, 3))
    g = [tanh(a[2 * H + k] + u[2 * H + k]) for k in range(H)]
    c = [f[k] * states[1][k] + i[k] * g[k] for k in range(H)]
    return [o[k] * tanh(c[k]) for k in range(H)], c


def test_step_against_scalar_arithmetic(cell):
    x, *rest = inputs_of(cell)
    count = CELLS[cell][1]
    states, weights = rest[:count], rest[count:]
    after, _ = getattr(F, f"{cell}_step")(x[0], *states, *weights)
    after = after if isinstance(after, tuple) else (after,)
    for n in range(N):
        expected = slow_step(cell, x[0, n], [s[n] for s in states], *weights)
        for got, value in zip(after, expected, strict=True):
            np.testing.assert_allclose(got[n], value, **EXACT)


# ------------------------------------------------------------------------------------------------- the sequence


def loop(cell, inputs, mask, reverse, dy, dfinal):
    """The sequence by one step after another, forward and backward: outputs, final states, gradients."""
    step, count = getattr(F, f"{cell}_step"), CELLS[cell][1]
    x, *rest = inputs
    states, weights = rest[:count], rest[count:]
    mask = np.ones(x.shape[:2], dtype=bool) if mask is None else mask
    order = range(len(x))[::-1] if reverse else range(len(x))
    y, backwards = np.zeros((len(x), N, H)), {}
    for t in order:
        after, backwards[t] = step(x[t], *states, *weights)
        after = after if isinstance(after, tuple) else (after,)
        real = mask[t][:, None]
        states = [np.where(real, new, old) for new, old in zip(after, states, strict=True)]
        y[t] = np.where(real, states[0], 0)
    dx, dstates, dweights = np.zeros_like(x), list(dfinal), [np.zeros_like(w) for w in weights]
    for t in reversed(order):
        real = mask[t][:, None]
        dstates[0] = dstates[0] + np.where(real, dy[t], 0)
        gradients = backwards[t](*(np.where(real, ds, 0) for ds in dstates))
        dx[t] = gradients[0]
        through = gradients[1 : 1 + count]
        dstates = [dstate + np.where(real, 0, old) for dstate, old in zip(through, dstates, strict=True)]
        for total, dweight in zip(dweights, gradients[1 + count :], strict=True):
            total += dweight
    return y, states, [dx, *dstates, *dweights]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_sequence_is_a_loop_over_the_step(cell, mask, reverse):
    inputs, mask = inputs_of(cell), MASKS[mask]
    rng = np.random.default_rng(1)
    y, final, backward = forward(cell, inputs, mask, reverse)
    dy, dfinal = rng.normal(size=y.shape), [rng.normal(size=s.shape) for s in final]
    expected_y, expected_final, expected = loop(cell, inputs, mask, reverse, dy, dfinal)
    np.testing.assert_allclose(y, expected_y, **EXACT)
    np.testing.assert_allclose(final, expected_final, **EXACT)
    *gradients, dmask = backward(dy, *dfinal)
    assert dmask is None
    for got, value in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(got, value, **EXACT)


def test_one_time_step_is_the_step(cell):
    x, *rest = inputs_of(cell)
    y, final, _ = forward(cell, (x[:1], *rest))
    after, _ = getattr(F, f"{cell}_step")(x[0], *rest)
    np.testing.assert_allclose(y[0], final[0], **EXACT)
    np.testing.assert_allclose(tuple(final) if isinstance(after, tuple) else final[0], after, **EXACT)


def test_two_halves_are_the_whole(cell):
    """The final state carries everything on."""
    x, *rest = inputs_of(cell)
    count = CELLS[cell][1]
    y, final, _ = forward(cell, (x, *rest))
    first, middle, _ = forward(cell, (x[:2], *rest))
    second, last, _ = forward(cell, (x[2:], *middle, *rest[count:]))
    np.testing.assert_allclose(np.concatenate([first, second]), y, **EXACT)
    np.testing.assert_allclose(last, final, **EXACT)


def test_reverse_is_forward_on_the_reversed_sequence(cell):
    x, *rest = inputs_of(cell)
    y, final, _ = forward(cell, (x, *rest), reverse=True)
    turned, same, _ = forward(cell, (x[::-1].copy(), *rest))
    np.testing.assert_allclose(y, turned[::-1], **EXACT)
    np.testing.assert_allclose(final, same, **EXACT)


# ------------------------------------------------------------------------------------------------- padding


@pytest.mark.parametrize("reverse", [False, True])
def test_each_sentence_alone_is_as_in_the_batch(cell, reverse):
    inputs, count = inputs_of(cell), CELLS[cell][1]
    lengths = [5, 2, 3]
    mask = np.arange(S)[:, None] < np.array(lengths)
    rng = np.random.default_rng(2)
    dy, dfinal = rng.normal(size=(S, N, H)), [rng.normal(size=(N, H)) for _ in range(count)]
    y, final, backward = forward(cell, inputs, mask, reverse)
    gradients = backward(dy, *dfinal)
    dweights = [np.zeros_like(w) for w in inputs[1 + count :]]
    for n, length in enumerate(lengths):
        x, *rest = inputs
        states = [s[n : n + 1] for s in rest[:count]]
        alone, last, alone_backward = forward(cell, (x[:length, n : n + 1], *states, *rest[count:]), None, reverse)
        np.testing.assert_allclose(y[:length, n : n + 1], alone, **EXACT)
        np.testing.assert_array_equal(y[length:, n], 0)
        for s, value in zip(final, last, strict=True):
            np.testing.assert_allclose(s[n : n + 1], value, **EXACT)
        dx, *others, _ = alone_backward(dy[:length, n : n + 1], *(ds[n : n + 1] for ds in dfinal))
        np.testing.assert_allclose(gradients[0][:length, n : n + 1], dx, **EXACT)
        np.testing.assert_array_equal(gradients[0][length:, n], 0)
        for got, value in zip(gradients[1 : 1 + count], others[:count], strict=True):
            np.testing.assert_allclose(got[n : n + 1], value, **EXACT)
        for total, dweight in zip(dweights, others[count:], strict=True):
            total += dweight
    for got, value in zip(gradients[1 + count : -1], dweights, strict=True):
        np.testing.assert_allclose(got, value, **EXACT)


@pytest.mark.parametrize("reverse", [False, True])
def test_poisoned_padding_changes_nothing(cell, reverse):
    inputs = inputs_of(cell)
    rng = np.random.default_rng(3)
    y, final, backward = forward(cell, inputs, SOURCE_MASK, reverse)
    dy, dfinal = rng.normal(size=y.shape), [rng.normal(size=s.shape) for s in final]
    poisoned_x, poisoned_dy = inputs[0].copy(), dy.copy()
    poisoned_x[~SOURCE_MASK] = poisoned_dy[~SOURCE_MASK] = np.nan
    again, same, poisoned_backward = forward(cell, (poisoned_x, *inputs[1:]), SOURCE_MASK, reverse)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(same, final)
    for got, expected in zip(poisoned_backward(poisoned_dy, *dfinal), backward(dy, *dfinal), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_sentence_of_padding_passes_its_state_through(cell):
    inputs, count = inputs_of(cell), CELLS[cell][1]
    y, final, backward = forward(cell, inputs, SOURCE_MASK)  # the last sentence is all padding
    rng = np.random.default_rng(4)
    dfinal = [rng.normal(size=s.shape) for s in final]
    gradients = backward(rng.normal(size=y.shape), *dfinal)
    np.testing.assert_array_equal(y[:, 2], 0)
    for s, s0, ds0, ds in zip(final, inputs[1 : 1 + count], gradients[1 : 1 + count], dfinal, strict=True):
        np.testing.assert_array_equal(s[2], s0[2])
        np.testing.assert_array_equal(ds0[2], ds[2])
    np.testing.assert_array_equal(gradients[0][:, 2], 0)


# ------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("t", range(S))
@pytest.mark.parametrize("reverse", [False, True])
def test_causality(cell, reverse, t):
    """What is read at t reaches nothing that was written before it was read."""
    x, *rest = inputs_of(cell)
    y, _, _ = forward(cell, (x, *rest), reverse=reverse)
    changed = x.copy()
    changed[t] += 1
    again, _, _ = forward(cell, (changed, *rest), reverse=reverse)
    before, after = (slice(t + 1, None), slice(0, t + 1)) if reverse else (slice(0, t), slice(t, None))
    np.testing.assert_array_equal(again[before], y[before])
    assert (np.abs(again[after] - y[after]).max(axis=(1, 2)) > 1e-6).all()


def test_large_inputs_saturate_without_overflow(cell):
    for dtype in (np.float32, np.float64):
        x, *rest = (a.astype(dtype) for a in inputs_of(cell))
        y, final, backward = forward(cell, (1e4 * x, *rest))
        gradients = backward(np.ones_like(y), *(np.ones_like(s) for s in final))
        assert np.isfinite(y).all()
        assert all(np.isfinite(dx).all() for dx in gradients if dx is not None)


def test_final_states_are_copies(cell):
    """Who changes the final state does not change the outputs, nor what the backward pass remembers."""
    inputs = inputs_of(cell)
    y, final, backward = forward(cell, inputs)
    dy, dfinal = np.ones_like(y), [np.ones_like(s) for s in final]
    expected = backward(dy, *dfinal)
    kept = y.copy()
    for s in final:
        s[...] = 7
    np.testing.assert_array_equal(y, kept)
    for got, value in zip(backward(dy, *dfinal), expected, strict=True):
        np.testing.assert_array_equal(got, value)
