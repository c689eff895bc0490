"""Losses: values by hand, what they divide by, padding, extremes."""

import math

import numpy as np
import pytest
from function_cases import TARGET_MASK, N, T, V

from minis2s import functional as F

R = np.random.default_rng(9)
LOGITS, TARGET = 3 * R.normal(size=(T, N, V)), R.integers(0, V, size=(T, N))


def slow_cross_entropy(logits, target, mask, eps):
    """Mean over real tokens of the cross-entropy with the smoothed target, one logarithm at a time."""
    total, count = 0.0, 0
    for place in np.ndindex(target.shape):
        if mask is not None and not mask[place]:
            continue
        log_z = math.log(sum(math.exp(v) for v in logits[place]))
        for v in range(V):
            q = (1 - eps) * (v == target[place]) + eps / V
            total -= q * (logits[place][v] - log_z)
        count += 1
    return total / count, count


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("mask", [None, TARGET_MASK])
def test_cross_entropy_against_a_slow_loop(mask, eps):
    (loss, count), _ = F.cross_entropy(LOGITS, TARGET, mask, label_smoothing=eps)
    expected, real = slow_cross_entropy(LOGITS, TARGET, mask, eps)
    assert loss == pytest.approx(expected, rel=1e-13)
    assert count == real
    assert np.shape(loss) == np.shape(count) == ()


def test_uniform_logits_cost_log_v():
    (loss, _), _ = F.cross_entropy(np.zeros((T, N, V)), TARGET, TARGET_MASK)
    assert loss == pytest.approx(math.log(V))


def test_a_batch_split_in_two_adds_up():
    (loss, count), backward = F.cross_entropy(LOGITS, TARGET, TARGET_MASK)
    halves = [F.cross_entropy(LOGITS[:, n], TARGET[:, n], TARGET_MASK[:, n]) for n in (slice(0, 1), slice(1, N))]
    (loss_1, count_1), (loss_2, count_2) = (outputs for outputs, _ in halves)
    assert count == count_1 + count_2
    assert loss == pytest.approx((loss_1 * count_1 + loss_2 * count_2) / count, rel=1e-13)
    whole = backward()[0]
    parts = [half()[0] * m / count for (_, half), m in zip(halves, (count_1, count_2), strict=True)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_padding_changes_nothing(eps):
    def call(logits, target):
        (loss, count), backward = F.cross_entropy(logits, target, TARGET_MASK, label_smoothing=eps)
        return loss, count, backward()[0]

    logits, target = LOGITS.copy(), TARGET.copy()
    logits[~TARGET_MASK] = 1e30
    target[~TARGET_MASK] = 0
    for got, expected in zip(call(logits, target), call(LOGITS, TARGET), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_gradient_is_zero_at_padding_and_sums_to_zero():
    _, backward = F.cross_entropy(LOGITS, TARGET, TARGET_MASK)
    dlogits, *rest = backward()
    assert rest == [None, None]
    np.testing.assert_array_equal(dlogits[~TARGET_MASK], 0)
    np.testing.assert_allclose(dlogits.sum(axis=2), 0, atol=1e-15)


def test_no_real_token_at_all():
    (loss, count), backward = F.cross_entropy(LOGITS, TARGET, np.zeros((T, N), dtype=bool))
    assert loss == count == 0
    np.testing.assert_array_equal(backward()[0], 0)


def test_upstream_scales_the_gradient():
    _, backward = F.cross_entropy(LOGITS, TARGET, TARGET_MASK)
    np.testing.assert_allclose(backward(2.5)[0], 2.5 * backward()[0], rtol=1e-13)
    np.testing.assert_array_equal(backward(0.0)[0], 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits(dtype):
    logits = np.array([[1e4, 0, -1e4], [-1e4, 0, 1e4]], dtype=dtype)
    (loss, _), backward = F.cross_entropy(logits, np.array([0, 0]))
    assert loss == pytest.approx(1e4)  # one certain and right, one certain and 2e4 nats wrong
    np.testing.assert_allclose(backward()[0], [[0, 0, 0], [-0.5, 0, 0.5]])


def test_large_batches_are_cut_in_blocks_that_agree():
    """More rows than a block of the cache holds; the result must not show it."""
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(500, 300)), rng.integers(0, 300, size=500)
    mask = rng.random(500) < 0.8
    (loss, count), backward = F.cross_entropy(logits, target, mask, label_smoothing=0.1)
    dlogits, _, _ = backward()
    rows = [F.cross_entropy(logits[k], target[k], mask[k], label_smoothing=0.1) for k in range(500)]
    assert loss * count == pytest.approx(sum(value for (value, _), _ in rows), rel=1e-12)
    expected = np.stack([row_backward()[0] for _, row_backward in rows]) / count
    np.testing.assert_allclose(dlogits, expected, rtol=1e-11, atol=1e-15)


def test_token_losses():
    losses = F.token_losses(LOGITS, TARGET)
    assert losses.shape == (T, N)
    (mean, count), _ = F.cross_entropy(LOGITS, TARGET, TARGET_MASK)
    assert (losses * TARGET_MASK).sum() / count == pytest.approx(mean, rel=1e-13)
    np.testing.assert_allclose(losses[1, 2], slow_cross_entropy(LOGITS[1, 2:], TARGET[1, 2:], None, 0.0)[0], rtol=1e-13)


def test_reinforce():
    log_prob, reward, mask = np.log([[0.5, 0.25]]), np.array([[2.0, -1.0]]), np.array([[True, True]])
    loss, backward = F.reinforce(log_prob, reward, mask)
    assert loss == pytest.approx(-(2 * np.log(0.5) - np.log(0.25)) / 2)
    dlog_prob, dreward, dmask = backward()
    np.testing.assert_allclose(dlog_prob, [[-1.0, 0.5]])
    assert dreward is dmask is None
    loss, backward = F.reinforce(log_prob, reward, np.array([[True, False]]))
    assert loss == pytest.approx(-2 * np.log(0.5))
    np.testing.assert_allclose(backward(3.0)[0], [[-6.0, 0.0]])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"target has shape \(3, 4\), logits \(4, 3, 7\) expect \(4, 3\)"):
        F.cross_entropy(LOGITS, TARGET.T)
    with pytest.raises(ValueError, match=r"mask has shape \(4,\)"):
        F.cross_entropy(LOGITS, TARGET, TARGET_MASK[:, 0])


@pytest.mark.parametrize("target", [-100, -1, V])
def test_targets_outside_the_vocabulary_are_refused(target):
    """NumPy would take -1 for the last token; PyTorch's mark for padding is -100, ours is the mask."""
    ids = TARGET.copy()
    ids[0, 0] = target
    with pytest.raises(IndexError, match="cross_entropy: targets reach from"):
        F.cross_entropy(LOGITS, ids, TARGET_MASK)
