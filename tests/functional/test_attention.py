"""Attention: scores and contexts against slow loops; masks; draws."""

from math import sqrt, tanh
from types import SimpleNamespace

import numpy as np
import pytest
from function_cases import SOURCE_MASK, D, H, N, S, T

from minis2s import functional as F

R = np.random.default_rng(6)
QUERY, MEMORY, WIDE_MEMORY = R.normal(size=(T, N, H)), R.normal(size=(S, N, H)), R.normal(size=(S, N, D))
BILINEAR, VECTOR, PLACES = R.normal(size=(H, D)), R.normal(size=H), R.normal(size=(S + 2, H))
SCORES = 2 * R.normal(size=(N, T, S))


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


SLOW = {  # one score, from one query and one memory
    "dot": (lambda: F.dot_scores(QUERY, MEMORY), lambda t, s, n: dot(QUERY[t, n], MEMORY[s, n])),
    "scaled_dot": (
        lambda: F.scaled_dot_scores(QUERY, MEMORY),
        lambda t, s, n: dot(QUERY[t, n], MEMORY[s, n]) / sqrt(H),
    ),
    "general": (
        lambda: F.general_scores(QUERY, WIDE_MEMORY, BILINEAR),
        lambda t, s, n: dot(QUERY[t, n], [dot(row, WIDE_MEMORY[s, n]) for row in BILINEAR]),
    ),
    "additive": (
        lambda: F.additive_scores(QUERY, MEMORY, VECTOR),
        lambda t, s, n: dot(VECTOR, [tanh(q + k) for q, k in zip(QUERY[t, n], MEMORY[s, n], strict=True)]),
    ),
    "location": (
        lambda: F.location_scores(QUERY, PLACES, length=S),
        lambda t, s, n: dot(PLACES[s], QUERY[t, n]),
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_scores_against_a_slow_loop(name):
    fast, slow = SLOW[name]
    scores, _ = fast()
    expected = [[[slow(t, s, n) for s in range(S)] for t in range(T)] for n in range(N)]
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_context_against_a_slow_loop():
    (context, weights), _ = F.attend(SCORES, MEMORY, SOURCE_MASK)
    for n in range(N):
        for t in range(T):
            real = [s for s in range(S) if SOURCE_MASK[s, n]]
            exps = {s: np.exp(SCORES[n, t, s]) for s in real}
            expected = [exps[s] / sum(exps.values()) if s in real else 0 for s in range(S)]
            np.testing.assert_allclose(weights[n, t], expected, rtol=1e-12)
            mean = sum((exps[s] / sum(exps.values()) * MEMORY[s, n] for s in real), start=np.zeros(H))
            np.testing.assert_allclose(context[t, n], mean, rtol=1e-12)


def test_weights_are_a_distribution_over_real_tokens():
    (_, weights), _ = F.attend(SCORES, MEMORY, SOURCE_MASK)
    np.testing.assert_allclose(weights.sum(axis=2), SOURCE_MASK.any(axis=0)[:, None] * np.ones(T), rtol=1e-12)
    assert (weights >= 0).all()
    np.testing.assert_array_equal(weights * ~SOURCE_MASK.T[:, None], 0)


@pytest.mark.parametrize("rng", [None, 3])
def test_nothing_to_attend_to_gives_zeros(rng):
    soft, soft_backward = F.attend(SCORES, MEMORY, SOURCE_MASK)
    hard, hard_backward = F.hard_attend(
        SCORES, MEMORY, SOURCE_MASK, rng=None if rng is None else np.random.default_rng(rng)
    )
    for outputs, gradients in (
        (soft, soft_backward(np.ones((T, N, H)), np.ones((N, T, S)))),
        (hard, hard_backward(np.ones((T, N, H)), np.ones((N, T)))),
    ):
        context, last = outputs[0], outputs[-1]
        np.testing.assert_array_equal(context[:, 2], 0)  # the last sentence is all padding
        np.testing.assert_array_equal(last[2], 0)
        dscores, dmemory, dmask = gradients
        np.testing.assert_array_equal(dscores[2], 0)
        np.testing.assert_array_equal(dmemory[:, 2], 0)
        assert dmask is None
    np.testing.assert_array_equal(hard[1][2], 0)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_poisoned_padding_changes_nothing(kind):
    def call(scores, memory):
        if kind == "soft":
            outputs, backward = F.attend(scores, memory, SOURCE_MASK)
            return outputs, backward(np.ones((T, N, H)), np.cos(SCORES))
        outputs, backward = F.hard_attend(scores, memory, SOURCE_MASK, rng=np.random.default_rng(1))
        return outputs, backward(np.ones((T, N, H)), np.cos(SCORES[:, :, 0]))

    memory, scores = MEMORY.copy(), SCORES.copy()
    memory[~SOURCE_MASK] = np.nan
    scores.swapaxes(1, 2)[~SOURCE_MASK.T] = np.nan
    for got, expected in zip(call(scores, memory), call(SCORES, MEMORY), strict=True):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_each_sentence_alone_is_as_in_the_batch():
    (context, weights), backward = F.attend(SCORES, MEMORY, SOURCE_MASK)
    dcontext = np.cos(context)
    dscores, dmemory, _ = backward(dcontext)
    for n, length in enumerate([S, 2]):
        (alone, w), alone_backward = F.attend(SCORES[n : n + 1, :, :length], MEMORY[:length, n : n + 1])
        np.testing.assert_allclose(context[:, n : n + 1], alone, rtol=1e-12)
        np.testing.assert_allclose(weights[n : n + 1, :, :length], w, rtol=1e-12)
        ds, dm, _ = alone_backward(dcontext[:, n : n + 1])
        np.testing.assert_allclose(dscores[n : n + 1, :, :length], ds, rtol=1e-11, atol=1e-15)
        np.testing.assert_allclose(dmemory[:length, n : n + 1], dm, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", SLOW)
def test_one_step_at_a_time_is_all_at_once(name):
    one_step = {
        "dot": lambda q: F.dot_scores(q, MEMORY),
        "scaled_dot": lambda q: F.scaled_dot_scores(q, MEMORY),
        "general": lambda q: F.general_scores(q, WIDE_MEMORY, BILINEAR),
        "additive": lambda q: F.additive_scores(q, MEMORY, VECTOR),
        "location": lambda q: F.location_scores(q, PLACES, length=S),
    }[name]
    scores, _ = one_step(QUERY)
    (context, _), _ = F.attend(scores, MEMORY, SOURCE_MASK)
    for t in range(T):
        now, _ = one_step(QUERY[t : t + 1])
        (context_now, _), _ = F.attend(now, MEMORY, SOURCE_MASK)
        np.testing.assert_allclose(now[:, 0], scores[:, t], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(context_now[0], context[t], rtol=1e-12, atol=1e-14)


def test_scaled_scores_have_variance_one():
    rng = np.random.default_rng(0)
    scores, _ = F.scaled_dot_scores(rng.normal(size=(50, 8, 256)), rng.normal(size=(60, 8, 256)))
    assert scores.var() == pytest.approx(1, abs=0.05)


def test_location_scores_leave_unused_rows_alone():
    _, backward = F.location_scores(QUERY, PLACES, length=S)
    _, dweight = backward(np.ones((N, T, S)))
    assert dweight.shape == PLACES.shape
    np.testing.assert_array_equal(dweight[S:], 0)


def test_masked_mean():
    poisoned = MEMORY.copy()
    poisoned[~SOURCE_MASK] = np.nan
    mean, backward = F.masked_mean(poisoned, SOURCE_MASK)
    np.testing.assert_allclose(mean[0], MEMORY[:, 0].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(mean[1], MEMORY[:2, 1].mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(mean[2], 0)
    dmemory, _ = backward(np.ones((N, H)))
    np.testing.assert_allclose(dmemory[:, :, 0], SOURCE_MASK / [5, 2, 1], rtol=1e-12)
    np.testing.assert_allclose(F.masked_mean(MEMORY)[0], MEMORY.mean(axis=0), rtol=1e-12)


# ------------------------------------------------------------------------------------------------- draws


def test_draws_follow_the_softmax():
    draws = 20_000
    scores = np.tile(np.array([0.3, -1.0, 1.2, 0.0, 5.0]), (draws, 1, 1))
    memory = np.broadcast_to(np.arange(5.0)[:, None, None], (5, draws, 1))
    mask = np.broadcast_to(np.array([True, True, True, True, False])[:, None], (5, draws))
    (context, log_prob, one_hot), _ = F.hard_attend(scores, memory, mask, rng=np.random.default_rng(0))
    p, _ = F.softmax(scores[0, 0], mask[:, 0])
    counts = one_hot.sum(axis=(0, 1))
    np.testing.assert_array_equal(one_hot.sum(axis=2), 1)
    assert counts[4] == 0
    chi_square = ((counts[:4] - draws * p[:4]) ** 2 / (draws * p[:4])).sum()
    assert chi_square < 16.3  # exceeded once in 1000, 3 degrees of freedom
    np.testing.assert_array_equal(context[0, :, 0], one_hot[:, 0] @ np.arange(5))
    np.testing.assert_allclose(np.exp(log_prob[:, 0]), p[one_hot[:, 0].argmax(axis=1)], rtol=1e-12)


@pytest.mark.parametrize(("u", "place"), [(0.0, 0), (1 - 2.0**-24, 4)])
def test_the_ends_of_a_draw(u, place):
    """In float32 the probabilities may sum to less than 1: the largest draw must not fall past the last."""
    rng = SimpleNamespace(random=lambda shape, dtype: np.full(shape, u, dtype))
    scores = np.random.default_rng(0).normal(size=(500, 1, 6)).astype(np.float32)
    mask = np.broadcast_to((np.arange(6) < 5)[:, None], (6, 500))
    (_, _, one_hot), _ = F.hard_attend(scores, np.zeros((6, 500, 1), np.float32), mask, rng=rng)
    np.testing.assert_array_equal(one_hot[:, 0].argmax(axis=1), place)


def test_without_rng_the_most_probable_memory_is_taken():
    (context, log_prob, one_hot), _ = F.hard_attend(SCORES, MEMORY, None, rng=None)
    best = SCORES.argmax(axis=2)
    np.testing.assert_array_equal(one_hot.argmax(axis=2), best)
    np.testing.assert_allclose(context, MEMORY[best.T, np.arange(N)], rtol=1e-15)
    np.testing.assert_allclose(log_prob, F.log_softmax(SCORES)[0].max(axis=2), rtol=1e-12)


def test_reinforce_is_unbiased_and_a_baseline_lowers_its_variance():
    """The mean of the estimates is the gradient of the expected reward, which is small enough to enumerate."""
    draws, score, reward = 40_000, np.array([0.5, -0.5, 0.1]), np.array([3.0, 5.0, 4.0])
    p = np.exp(score) / np.exp(score).sum()
    exact = p * (reward - p @ reward)  # d/dscore of sum_s p_s reward_s
    memory = np.zeros((3, draws, 1))
    spread = {}
    for baseline in (0.0, p @ reward):
        (_, log_prob, one_hot), backward = F.hard_attend(
            np.tile(score, (draws, 1, 1)), memory, rng=np.random.default_rng(1)
        )
        _, reinforce_backward = F.reinforce(log_prob, one_hot @ reward - baseline)
        dlog_prob, _, _ = reinforce_backward()
        estimates = -draws * backward(np.zeros((1, draws, 1)), dlog_prob)[0][:, 0]  # a loss is minus a reward
        error = estimates.std(axis=0) / np.sqrt(draws)
        assert (np.abs(estimates.mean(axis=0) - exact) < 4 * error).all()
        spread[baseline] = estimates.var()
    assert spread[p @ reward] < spread[0.0] / 5


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="dot_scores: query has 3 features, memory has 4"):
        F.dot_scores(QUERY, WIDE_MEMORY)
    with pytest.raises(ValueError, match="the source has 8 tokens, weight has rows for 7"):
        F.location_scores(QUERY, PLACES, length=8)
