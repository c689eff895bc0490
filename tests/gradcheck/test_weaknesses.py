"""What makes a test blind is named, and what does not, is not."""

from dataclasses import dataclass

import numpy as np
import pytest

from minis2s import functional as F
from minis2s.gradcheck import check

T, S, N, D, H, V = 4, 5, 3, 4, 3, 7


def draw(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).standard_normal(shape)


def lstm_inputs(steps=S, **changed):
    named = {
        "x": draw(steps, N, D),
        "h": draw(N, H),
        "c": draw(N, H, seed=1),
        "weight_ih": draw(4 * H, D),
        "weight_hh": draw(4 * H, H),
        "bias_ih": draw(4 * H),
        "bias_hh": draw(4 * H, seed=1),
        "mask": np.arange(steps)[:, None] < np.array([steps, 2, 1]),
    }
    return tuple((named | changed).values())


def lstm(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, mask):
    return F.lstm(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, mask)


def dense(x, w, b):
    z, linear_backward = F.linear(x, w, b)
    y, relu_backward = F.relu(z)
    return y, lambda dy: linear_backward(relu_backward(dy))


def squashed(x, w, b):
    z, linear_backward = F.linear(x, w, b)
    y, tanh_backward = F.tanh(z)
    return y, lambda dy: linear_backward(tanh_backward(dy))


def kinds(report):
    assert report.passed, str(report)
    return {(weakness.kind, weakness.input) for weakness in report.weaknesses}


IDS, TABLE = np.array([[1, 4, 1], [0, 1, 6]]), draw(V, D)
QUERY = draw(4, 4)
WEAK = {
    "zero bias": (lstm, lstm_inputs(bias_ih=np.zeros(4 * H)), ("zero-bias", "bias_ih")),
    "zero b": (dense, (draw(5, D), draw(H, D), np.zeros(H)), ("zero-bias", "b")),
    "zero state": (lstm, lstm_inputs(c=np.zeros((N, H))), ("zero-state", "c")),
    "zero input": (lstm, lstm_inputs(x=np.zeros((S, N, D))), ("zero-input", "x")),
    "one step": (lstm, lstm_inputs(steps=1), ("one-time-step", "x")),
    "one batch": (
        lstm,
        (draw(S, 1, D), draw(1, H), draw(1, H, seed=1), *lstm_inputs()[3:7], None),
        ("one-time-step", "x"),
    ),
    "constant": (dense, (draw(5, D), np.ones((H, D)), draw(H)), ("constant-input", "w")),
    "symmetric": (dense, (QUERY, QUERY + QUERY.T, draw(4)), ("symmetric", "w")),
    "mask": (lstm, lstm_inputs(mask=np.ones((S, N), bool)), ("mask-masks-nothing", "mask")),
    "empty mask": (lstm, lstm_inputs(mask=np.zeros((S, N), bool)), ("mask-masks-all", "mask")),
    "constant ids": (F.embedding, (np.full((2, 3), 4), TABLE), ("constant-ids", "ids")),
    "unique ids": (F.embedding, (np.arange(6).reshape(2, 3), TABLE), ("no-repeated-ids", "ids")),
    "saturated": (squashed, (50 * draw(5, D), 50 * draw(H, D), draw(H)), ("saturated", "x")),
    "nearly saturated": (F.sigmoid, (20 + draw(5, D),), ("saturated", "x")),
    "dead": (dense, (draw(5, D), draw(H, D), np.full(H, -50.0) + draw(H)), ("dead-relu", "")),
}


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_test_is_named(name):
    function, inputs, expected = WEAK[name]
    report = check(function, *inputs)
    assert expected in kinds(report)
    assert "weak test" in str(report)


def small_sum(x):
    """Its values are small, and its derivatives no smaller."""
    e = 1e-6 * np.exp(x)
    return e.sum(), lambda dy: dy * e


GOOD = {
    "lstm": (lstm, lstm_inputs()),
    "no mask": (lstm, lstm_inputs(mask=None)),
    "two steps": (lstm, lstm_inputs(steps=2)),
    "dense": (dense, (draw(9, D), draw(H, D), draw(H))),
    "squashed": (squashed, (draw(5, D), draw(H, D), draw(H))),
    "embedding": (F.embedding, (IDS, TABLE)),
    "targets that differ": (F.cross_entropy, (draw(4, V), np.arange(4), None)),
    "one picture": (F.conv2d, (draw(1, 1, 6, 5), draw(1, 1, 2, 3), None)),
    "one query": (F.dot_scores, (draw(1, N, H), draw(S, N, H))),
    "relu": (F.relu, (draw(3, 4),)),
    "small": (small_sum, (draw(3, 4),)),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_test_is_not_blamed(name):
    function, inputs = GOOD[name]
    assert kinds(check(function, *inputs)) == set()


def test_a_batch_is_looked_into():
    from models_to_test import make_batch, make_model

    @dataclass(frozen=True)
    class Other:
        mask: np.ndarray

    assert check(make_model("gru-dot-one_direction").loss_and_backward, make_batch()).weaknesses == []
    report = check(lambda x, batch: (x**2, lambda dy: (2 * x * dy, None)), draw(3, 4), Other(np.ones((2, 3), bool)))
    assert ("mask-masks-nothing", "mask") in kinds(report)
