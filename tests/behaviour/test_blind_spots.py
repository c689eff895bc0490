"""What no gradient check can see: a wrong model whose gradients are right. Each is caught by what it does."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from minis2s import functional as F
from minis2s.data.batching import collate
from minis2s.gradcheck import check

RNG = np.random.default_rng(2)
T, S, N, D, H, V = 4, 5, 3, 2, 3, 6
MASK = np.arange(S)[:, None] < np.array([S, 2, 3])
TARGET_MASK = np.arange(T)[:, None] < np.array([T, 2, 3])


def draw(*shape):
    return RNG.standard_normal(shape)


class BlindSpot(NamedTuple):
    """A wrong function, the right one, inputs for the check, and whether a function behaves as it should."""

    wrong: Callable[..., Any]
    right: Callable[..., Any]
    inputs: tuple
    behaves: Callable[[Callable[..., Any]], bool]


# ------------------------------------------------------------------------------------------- log-variance is not sigma


def exp_of_logvar(mean, logvar):
    noise = np.random.default_rng(3).standard_normal(mean.shape)
    sigma = np.exp(logvar)
    return mean + sigma * noise, lambda dz: (dz.copy(), dz * sigma * noise)


def right_reparameterise(mean, logvar):
    return F.reparameterise(mean, logvar, rng=np.random.default_rng(3))


def spread_is_sigma(function):
    """Draws of the variance 4 spread by 2."""
    z, _ = function(np.zeros((20_000, 1)), np.full((20_000, 1), np.log(4.0)))
    return abs(z.std() - 2) < 0.05


# ------------------------------------------------------------------------------------------------- the cell is dropped


def lstm_of_new_cells(x, h0, c0, *weights):
    """A decoder that hands h from step to step, and c not: every step starts with the first cell."""
    h, ys, backwards = h0, [], []
    for x_t in x:
        (h, c), step_backward = F.lstm_step(x_t, h, c0, *weights)
        ys.append(h)
        backwards.append(step_backward)

    def backward(dy, dh, dc):
        dx, totals, dc0 = np.zeros_like(x), [0.0] * len(weights), np.zeros_like(c0)
        for t in reversed(range(len(x))):
            dx[t], dh, dc_t, *dweights = backwards[t](dy[t] + dh, dc)
            dc = np.zeros_like(dc)
            dc0 += dc_t
            totals = [total + dw for total, dw in zip(totals, dweights, strict=True)]
        return dx, dh, dc0, *totals

    return (np.array(ys), h.copy(), c.copy()), backward


def right_lstm(x, h0, c0, *weights):
    y, backward = F.lstm(x, h0, c0, *weights, None)
    return y, lambda *dy: backward(*dy)[:-1]


def lstm_remembers(function):
    """Gates that forget nothing add one to the cell at every step, however many there are."""
    bias = np.array([20.0, 20.0, 20.0, 0.0])
    weights = np.zeros((4, 1)), np.zeros((4, 1)), bias, np.zeros(4)
    (_, _, c), _ = function(np.zeros((7, 1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), *weights)
    return np.allclose(c, 7, atol=1e-6)


LSTM_INPUTS = (draw(T, N, D), draw(N, H), draw(N, H), draw(4 * H, D), draw(4 * H, H), draw(4 * H), draw(4 * H))

# ------------------------------------------------------------------------------------------------ attention on padding


def attend_to_padding(scores, memory, mask):
    """The mask is handed on, and nobody looks at it."""
    y, backward = F.attend(scores, memory, None)
    return y, backward


def padding_does_not_matter(function):
    """What stands at padding may be anything."""
    scores, memory = np.random.default_rng(0).standard_normal((N, T, S)), np.ones((S, N, H))
    other = np.where(MASK[:, :, None], memory, 9.0)
    (context, _), (again, _) = function(scores, memory, MASK)[0], function(scores, other, MASK)[0]
    return np.allclose(context, again)


# ------------------------------------------------------------------------------------------- a loss that counts padding


def loss_over_padding(logits, target, mask):
    """The losses of real tokens, divided by the number of all places."""
    (loss, _), backward = F.cross_entropy(logits, target, mask)
    share = float(mask.mean())
    return loss * share, lambda dloss: backward(dloss * share)


def right_loss(logits, target, mask):
    (loss, _), backward = F.cross_entropy(logits, target, mask)
    return loss, backward


def more_padding_changes_nothing(function):
    """A longer neighbour in the batch makes no sentence better."""
    rng = np.random.default_rng(0)
    logits, target = rng.standard_normal((T, N, V)), rng.integers(0, V, (T, N))
    longer = [np.concatenate([x, x[:2]]) for x in (logits, target)]
    mask = np.concatenate([TARGET_MASK, np.zeros((2, N), bool)])
    return np.isclose(function(logits, target, TARGET_MASK)[0], function(*longer, mask)[0])


# ------------------------------------------------------------------------------------------------- statistics of others


def norm_over_the_batch(x, weight, bias):
    """Mean and variance over the wrong axis: a sentence is scaled by its neighbours."""
    (y, _, _), backward = F.batch_norm(x, weight, bias)
    return y, lambda dy: backward(dy)


def neighbours_do_not_matter(function):
    """A sentence alone has the same numbers as in its batch."""
    x, weight, bias = np.random.default_rng(0).standard_normal((4, 3)), np.ones(3), np.zeros(3)
    return np.allclose(function(x, weight, bias)[0][:2], function(x[:2], weight, bias)[0])


# ------------------------------------------------------------------------------------------------------ dropout's scale


def dropout_without_scale(x):
    keep = np.random.default_rng(3).random(x.shape) < 0.6
    return x * keep, lambda dy: dy * keep


def right_dropout(x):
    return F.dropout(x, rate=0.4, rng=np.random.default_rng(3))


def mean_is_kept(function):
    """In training a unit says on average what it will say in evaluation."""
    return abs(function(np.ones((200, 200)))[0].mean() - 1) < 0.02


BLIND_SPOTS = {
    "log-variance taken for sigma": BlindSpot(
        exp_of_logvar, right_reparameterise, (draw(N, D), draw(N, D)), spread_is_sigma
    ),
    "dropped cell state": BlindSpot(lstm_of_new_cells, right_lstm, LSTM_INPUTS, lstm_remembers),
    "attention on padding": BlindSpot(
        attend_to_padding, F.attend, (draw(N, T, S), draw(S, N, H), MASK), padding_does_not_matter
    ),
    "loss that counts padding": BlindSpot(
        loss_over_padding,
        right_loss,
        (draw(T, N, V), RNG.integers(0, V, (T, N)), TARGET_MASK),
        more_padding_changes_nothing,
    ),
    "statistics of the neighbours": BlindSpot(
        norm_over_the_batch, F.layer_norm, (draw(4, 3), draw(3), draw(3)), neighbours_do_not_matter
    ),
    "dropout without its scale": BlindSpot(dropout_without_scale, right_dropout, (draw(4, 5),), mean_is_kept),
}


@pytest.mark.parametrize("name", BLIND_SPOTS)
def test_a_gradient_check_passes_it(name):
    spot = BLIND_SPOTS[name]
    for function in (spot.wrong, spot.right):
        report = check(function, *spot.inputs)
        assert report.verdict == "right", str(report)


@pytest.mark.parametrize("name", BLIND_SPOTS)
def test_its_behaviour_gives_it_away(name):
    spot = BLIND_SPOTS[name]
    assert spot.behaves(spot.right)
    assert not spot.behaves(spot.wrong)


# ------------------------------------------------------------------------------------------------------ shifted targets


def next_tokens_are_asked_for(batch):
    """What is to be said at step t is what is read at step t + 1, and no step reads what it is to say."""
    follows = batch.target_mask[1:]
    return bool(np.all(batch.target_out[:-1][follows] == batch.target_in[1:][follows]))


def test_targets_are_shifted_by_one():
    batch = collate([[4, 5], [6]], [[7, 8, 9], [5, 4]], [0, 1])
    assert next_tokens_are_asked_for(batch)
    assert np.any(batch.target_in != batch.target_out)


def test_targets_that_were_not_shifted_are_noticed():
    """Such a model learns to copy its input: the loss falls to nothing, the translations are nonsense."""
    batch = collate([[4, 5], [6]], [[7, 8, 9], [5, 4]], [0, 1])
    copying = batch.__class__(**{**vars(batch), "target_out": batch.target_in})
    assert not next_tokens_are_asked_for(copying)
