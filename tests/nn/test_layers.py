"""Layers: they hand their function the right weights, and add its gradients to the right ones."""

import numpy as np
import pytest
from numeric import numeric_gradients, relative_error

from minis2s import functional as F
from minis2s import nn

S, T, N, D, H = 5, 4, 3, 4, 3
MASK = np.arange(S)[:, None] < np.array([5, 2, 4])


def rng(seed=0):
    return np.random.default_rng(seed)


LAYERS = {
    "Linear": (lambda: nn.Linear(D, H, rng=rng()), (T, N, D)),
    "Linear-no_bias": (lambda: nn.Linear(D, H, bias=False, rng=rng()), (T, N, D)),
    "LayerNorm": (lambda: nn.LayerNorm(D), (T, N, D)),
    "Embedding": (lambda: nn.Embedding(6, H, rng=rng()), None),
    "Embedding-padding": (lambda: nn.Embedding(6, H, padding_idx=0, rng=rng()), None),
    "Dropout": (lambda: nn.Dropout(0.5, rng=rng()), (T, N, D)),
}
IDS = np.array([[1, 4, 1], [5, 1, 2]])


def assert_gradients(layer, call, inputs):
    """Gradients by every input and every weight, with a random upstream; and a second backward adds them again.

    `call(*inputs)` gives a tuple of outputs and a backward that takes and gives tuples.
    """
    outputs, backward = call(*inputs)
    upstream = tuple(rng(9).normal(size=y.shape) for y in outputs)
    layer.zero_grad()
    gradients = backward(*upstream)
    once = layer.buffer.grad.copy()
    parameters = list(layer.parameters())

    def whole(*arrays):
        for p, value in zip(parameters, arrays[len(inputs) :], strict=True):
            p.data[...] = value
        return call(*arrays[: len(inputs)])

    numeric = numeric_gradients(whole, (*inputs, *(p.data.copy() for p in parameters)), upstream)
    for analytic, expected in zip((*gradients, *(p.grad for p in parameters)), numeric, strict=True):
        if expected is None:
            assert analytic is None
            continue
        assert np.abs(expected).max() > 1e-3
        assert relative_error(analytic, expected) < 1e-7
    backward(*upstream)
    np.testing.assert_allclose(layer.buffer.grad, 2 * once, rtol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name):
    make, shape = LAYERS[name]
    layer = make().to(dtype=np.float64)
    layer.buffer.data += rng(3).normal(size=layer.buffer.data.shape)  # no bias of zeros, no scale of ones

    def call(x):
        if name == "Dropout":
            layer.rng = rng(7)
        y, backward = layer(x)
        return (y,), lambda dy: (backward(dy),)

    assert_gradients(layer, call, (IDS if shape is None else rng(1).normal(size=shape),))


@pytest.mark.parametrize(("name", "bound"), [("weight", 1 / 10), ("bias", 1 / 10)])
def test_linear_starts_uniform(name, bound):
    data = getattr(nn.Linear(100, 400, rng=rng()), name).data
    assert data.dtype == np.float32
    assert np.abs(data).max() <= bound
    assert np.abs(data).max() > 0.98 * bound
    assert data.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)


def test_embedding_starts_normal_and_its_padding_at_zero_for_good():
    layer = nn.Embedding(500, 40, padding_idx=3, rng=rng())
    assert not layer.weight.data[3].any()
    rest = np.delete(layer.weight.data, 3, axis=0)
    assert (rest.mean(), rest.std()) == pytest.approx((0, 1), abs=0.03)
    _, backward = layer(np.array([3, 4, 3]))
    backward(np.ones((3, 40), np.float32))
    assert not layer.weight.grad[3].any()
    np.testing.assert_array_equal(layer.weight.grad[4], 1)
    assert nn.Embedding(5, 4, rng=rng()).weight.data[0].any()


def test_dropout_only_in_training_and_only_above_zero():
    x = np.ones((50, 50))
    layer = nn.Dropout(0.5, rng=rng())
    assert 0.4 < (layer(x)[0] == 0).mean() < 0.6
    for quiet in (nn.Dropout(0.5, rng=rng()).eval(), nn.Dropout(0.0, rng=rng())):
        y, backward = quiet(x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(backward(x), x)
    before = rng()
    nn.Dropout(0.0, rng=before)(x)
    assert before.random() == rng().random()  # nothing was drawn


# ------------------------------------------------------------------------------------------------- recurrent nets


CELLS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}
every_cell = pytest.mark.parametrize("cell", CELLS)


def recurrent(cell, *, seed=0, **options):
    """A net in float64 whose weights are all of the size of one."""
    net = CELLS[cell](D, H, rng=rng(seed), **options).to(dtype=np.float64)
    net.buffer.data[...] = 0.6 * rng(seed + 1).normal(size=net.buffer.data.shape)
    return net


def flat(state):
    return state if isinstance(state, tuple) else (state,)


def states(net, seed=4):
    shape = (net.num_layers * net.directions, N, H)
    return tuple(rng(seed + k).normal(size=shape) for k in range(net.states))


def as_state(net, parts):
    return tuple(parts) if net.states > 1 else parts[0]


@every_cell
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_gradients_of_recurrent_nets(cell, num_layers, bidirectional):
    """By the input, every initial state and every weight; outputs and every final state have an upstream."""
    net = recurrent(cell, num_layers=num_layers, bidirectional=bidirectional, dropout=0.3)

    def call(x, *initial):
        net.dropout.rng = rng(8)
        (y, final), backward = net(x, as_state(net, initial), MASK)

        def flat_backward(dy, *dfinal):
            dx, dinitial = backward(dy, as_state(net, dfinal))
            return dx, *flat(dinitial)

        return (y, *flat(final)), flat_backward

    x = rng(1).normal(size=(S, N, D))
    assert_gradients(net, call, (x, *states(net)))


@every_cell
def test_a_deep_net_is_its_layers_one_after_the_other(cell):
    net, x = recurrent(cell, num_layers=2, bidirectional=True), rng(1).normal(size=(S, N, D))
    initial = states(net)
    (y, final), _ = net(x, as_state(net, initial), MASK)
    for layer in range(2):
        outputs = []
        for direction, suffix in enumerate(("", "_reverse")):
            k = 2 * layer + direction
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [getattr(net, f"{kind}_l{layer}{suffix}").data for kind in kinds]
            function = getattr(F, cell.lower())
            (out, *last), _ = function(x, *(s[k] for s in initial), *weights, MASK, reverse=direction == 1)
            outputs.append(out)
            for s, value in zip(flat(final), last, strict=True):
                np.testing.assert_allclose(s[k], value, rtol=1e-13)
        x = np.concatenate(outputs, axis=2)
    np.testing.assert_allclose(y, x, rtol=1e-13)


@every_cell
def test_no_state_is_a_state_of_zeros(cell):
    net, x = recurrent(cell, num_layers=2), rng(1).normal(size=(S, N, D))
    zeros = as_state(net, [np.zeros((2, N, H)) for _ in range(net.states)])
    (y, final), backward = net(x, None, MASK)
    (expected, expected_final), expected_backward = net(x, zeros, MASK)
    np.testing.assert_array_equal(y, expected)
    for a, b in zip(flat(final), flat(expected_final), strict=True):
        np.testing.assert_array_equal(a, b)
    dy = rng(2).normal(size=y.shape)
    np.testing.assert_array_equal(backward(dy)[0], expected_backward(dy, zeros)[0])


@every_cell
def test_dropout_stands_between_layers_and_not_after_the_last(cell):
    x = rng(1).normal(size=(S, N, D))
    one, two = (recurrent(cell, num_layers=n, dropout=0.9) for n in (1, 2))
    np.testing.assert_array_equal(one(x)[0][0], one.eval()(x)[0][0])
    assert not (two(x)[0][0] == 0).any()
    assert (two(x)[0][0] != two(x)[0][0]).any()
    np.testing.assert_array_equal(two.eval()(x)[0][0], two(x)[0][0])


@every_cell
def test_weights_start_within_one_over_the_root_of_h(cell):
    net = CELLS[cell](10, 64, num_layers=2, bidirectional=True, rng=rng())
    for _, p in net.named_parameters():
        assert 0.9 / 8 < np.abs(p.data).max() <= 1 / 8
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[cell]
    assert net.weight_ih_l0_reverse.shape == (gates * 64, 10)
    assert net.weight_ih_l1.shape == (gates * 64, 128)
    assert net.weight_hh_l1.shape == (gates * 64, 64)


@every_cell
def test_features_that_do_not_fit(cell):
    with pytest.raises(ValueError, match=f"{cell}: x has 7 features, weight_ih_l0 expects 4"):
        recurrent(cell)(np.zeros((S, N, 7)))


# ------------------------------------------------------------------------------------------------- attention


SCORES = ("dot", "scaled_dot", "general", "additive", "location")


def attention(score, hard=False):
    layer = nn.Attention(score, H, H, rng=rng(), max_length=7, hard=hard).to(dtype=np.float64)
    layer.buffer.data[...] = rng(5).normal(size=layer.buffer.data.shape)
    return layer


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_gradients_of_attention(score, hard):
    """By query and memory, which it sees as memory and as keys, and by its weights."""
    layer = attention(score, hard)

    def call(query, memory):
        layer.rng = rng(6)
        keys, keys_backward = layer.keys(memory)
        (context, weights, log_prob), backward = layer(query, keys, memory, MASK)
        assert (log_prob is not None) == hard
        assert weights.shape == (N, T, S)

        def whole(dcontext, *dlog_prob):
            dquery, dkeys, dmemory = backward(dcontext, *dlog_prob)
            return dquery, dmemory if dkeys is None else dmemory + keys_backward(dkeys)

        return (context, log_prob) if hard else (context,), whole

    assert_gradients(layer, call, (rng(1).normal(size=(T, N, H)), rng(2).normal(size=(S, N, H))))


def test_hard_attention_draws_in_training_and_decides_in_use():
    layer = attention("general", hard=True)
    query, memory = rng(1).normal(size=(1, 1, H)), 0.1 * rng(2).normal(size=(S, 1, H))
    keys, _ = layer.keys(memory)
    drawn = {int(layer(query, keys, memory)[0][1].argmax()) for _ in range(200)}
    assert len(drawn) == S
    layer.eval()
    decided = {int(layer(query, keys, memory)[0][1].argmax()) for _ in range(50)}
    scores, _ = layer._scores(query, keys)
    assert decided == {int(scores.argmax())}


def test_scores_that_are_not_known():
    with pytest.raises(ValueError, match="Attention: score is 'cosine', expected one of dot, scaled_dot, general"):
        nn.Attention("cosine", H, H, rng=rng())
    with pytest.raises(ValueError, match="Attention: dot needs equal sizes, query has 3, memory has 4"):
        nn.Attention("dot", 3, 4, rng=rng())


def test_a_source_longer_than_the_location_score_knows():
    layer = attention("location")
    memory = rng(1).normal(size=(8, N, H))
    with pytest.raises(ValueError, match="the source has 8 tokens, weight has rows for 7"):
        layer(rng(2).normal(size=(T, N, H)), memory, memory)
