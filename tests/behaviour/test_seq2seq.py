"""The encoder-decoder's options: gradients of what is drawn, scheduled sampling, the reading order, what is refused."""

from dataclasses import replace
from math import e, log

import numpy as np
import pytest
from batches import random_batch
from models_to_test import CONFIGS, V, make_batch, make_model

from minis2s.decoding import beam_search, greedy
from minis2s.models import ScheduledSampling, Seq2Seq, Seq2SeqConfig

SIZES = {"source_vocabulary": V, "target_vocabulary": V, "embedding": 5, "hidden": 4}


def build(**options):
    return Seq2Seq(Seq2SeqConfig(**SIZES | options), np.random.default_rng(1)).to(dtype=np.float64)


def restart(model, seed=11):
    """Every part that draws gets the same stream, from its start: a draw can be repeated."""
    rng = np.random.default_rng(seed)
    for module in model.modules():
        if hasattr(module, "rng"):
            module.rng = rng


def assert_gradients(model, objective):
    """The gradients in the model are the slopes of `objective()` along a random direction of each parameter."""
    rng = np.random.default_rng(4)
    gradients = {name: p.grad.copy() for name, p in model.named_parameters()}
    for name, p in model.named_parameters():
        direction, value, step = rng.normal(size=p.shape), p.data.copy(), 1e-5
        if name.endswith("embedding.weight") and not model.config.tied:
            direction[0] = 0  # the row of padding
        totals = []
        for sign in (1, -1):
            p.data[...] = value + sign * step * direction
            totals.append(objective())
        p.data[...] = value
        slope = (totals[0] - totals[1]) / (2 * step)
        assert (gradients[name] * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-9), name
        assert np.abs(gradients[name]).max() > 1e-8, f"{name} has no gradient"


# --------------------------------------------------------------------------------------- gradients of what is drawn


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.4},
        {"dropout": 0.4, "cell": "lstm", "layers": 2, "score": "additive"},
        {"dropout": 0.4, "input_feeding": True},
        {"dropout": 0.4, "context": "last", "peeky": True},
    ],
    ids=str,
)
def test_dropout(options):
    model, batch = build(**options), make_batch()

    def loss():
        restart(model)
        return model.loss_and_backward(batch)[0]

    model.zero_grad()
    loss()
    assert_gradients(model, loss)


def test_dropout_is_drawn_anew_each_time_and_not_in_evaluation():
    model, batch = build(dropout=0.4), make_batch()
    assert model.loss(batch)[0] != model.loss(batch)[0]
    model.eval()
    plain = build()
    plain.load_state_dict(model.state_dict())
    assert model.loss(batch)[0] == model.loss(batch)[0] == plain.loss(batch)[0]


@pytest.mark.parametrize("options", [{}, {"input_feeding": True}, {"dropout": 0.3, "score": "additive"}], ids=str)
def test_scheduled_sampling(options):
    """No gradient passes through a prediction: with the fed tokens fixed, all of it is the loss's."""
    model, batch = build(**options), make_batch()

    def loss():
        restart(model)
        return model.loss_and_backward(batch, 0.5)[0]

    model.zero_grad()
    loss()
    assert_gradients(model, loss)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"input_feeding": True}, {"cell": "lstm", "score": "additive"}], ids=str)
def test_hard_attention(options, training):
    """REINFORCE: its gradient is that of the loss plus weight * log p(draw), the weights being constants.

    The weights are -(reward - baseline) / M; the reward is the log-probability of the step's own token.
    """
    model, batch = build(hard_attention=True, **options).train(training), make_batch()
    restart(model)
    _, log_prob, nll = hard_forward(model, batch)
    model.baseline = -2.0
    weight = (nll + model.baseline) * batch.target_mask / batch.target_mask.sum()  # (T, N)

    def objective():
        restart(model)
        loss, log_prob, _ = hard_forward(model, batch)
        return loss + (weight.T * log_prob).sum()

    model.zero_grad()
    restart(model)
    model.loss_and_backward(batch)
    expected = 0.95 * -2.0 - 0.05 * (nll * batch.target_mask).sum() / batch.target_mask.sum()
    assert model.baseline == pytest.approx(expected, rel=1e-12)
    assert np.abs(log_prob).max() > 0.1
    assert_gradients(model, objective)


def hard_forward(model, batch):
    (source, carry), _ = model.encode(batch.source, batch.source_mask)
    (features, weights, log_prob), _ = model.decode(batch.target_in, carry, source, batch.target_mask)
    assert set(np.unique(weights)) == {0, 1}
    logits = model.decoder.output(features)[0]
    logits = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    nll = -np.take_along_axis(logits, batch.target_out[..., None], axis=2)[..., 0]
    return (nll * batch.target_mask).sum() / batch.target_mask.sum(), log_prob, nll


def test_hard_attention_looks_at_real_tokens_only():
    model, batch = build(hard_attention=True), make_batch(extra=3)
    for _ in range(20):
        (source, carry), _ = model.encode(batch.source, batch.source_mask)
        (_, weights, _), _ = model.decode(batch.target_in, carry, source, batch.target_mask)
        assert not weights[~np.broadcast_to(batch.source_mask.T[:, None], weights.shape)].any()


# ------------------------------------------------------------------------------------------------- counts


@pytest.mark.parametrize("name", CONFIGS)
def test_a_batch_split_in_two_adds_up(name):
    model, rng = make_model(name), np.random.default_rng(0)
    whole = random_batch(rng, [6, 1, 4, 3], [2, 5, 3, 1], V)

    def part(columns):
        source, target = whole.source_mask[:, columns].any(axis=1), whole.target_mask[:, columns].any(axis=1)
        cut = {"source": source, "target": target}
        fields = ("source", "source_mask", "target_in", "target_out", "target_mask")
        return replace(whole, **{k: getattr(whole, k)[cut[k.split("_")[0]]][:, columns] for k in fields})

    model.zero_grad()
    loss, count = model.loss_and_backward(whole)
    gradient = model.buffer.grad.copy()
    total, counts, gradients = 0, 0, 0
    for columns in ([0, 2, 3], [1]):
        model.zero_grad()
        part_loss, part_count = model.loss_and_backward(part(columns))
        total, counts = total + part_loss * part_count, counts + part_count
        gradients = gradients + model.buffer.grad * part_count
    assert count == counts == whole.target_mask.sum()
    assert loss == pytest.approx(total / counts, rel=1e-12)
    np.testing.assert_allclose(gradient, gradients / counts, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_stands_at_padding_does_not_matter_to_a_translation(name):
    model, batch = make_model(name), make_batch()
    model.buffer.data *= 4
    poisoned = np.where(batch.source_mask, batch.source, 7)
    for search in (greedy, beam_search):
        expected, got = (search(model, ids, batch.source_mask, 6) for ids in (batch.source, poisoned))
        for [a], [b] in zip(got, expected, strict=True):
            assert a.tokens == b.tokens
            assert a.log_prob == pytest.approx(b.log_prob, rel=1e-12)


# ------------------------------------------------------------------------------------------- scheduled sampling


@pytest.mark.parametrize("name", CONFIGS)
def test_always_the_true_token_is_teacher_forcing(name):
    """The route step by step against the one for all steps at once."""
    model, batch = make_model(name), make_batch()
    model.zero_grad()
    at_once, _ = model.loss_and_backward(batch)
    gradient = model.buffer.grad.copy()
    model.zero_grad()
    stepwise, _ = model.loss_and_backward(batch, 1 - 1e-12)
    assert stepwise == pytest.approx(at_once, rel=1e-13)
    np.testing.assert_allclose(model.buffer.grad, gradient, rtol=1e-10, atol=1e-15)


def fed_tokens(model, batch, teacher_forcing, monkeypatch):
    """The ids that each step of the decoder is fed: (T, N)."""
    fed, forward = [], model.decoder.forward
    monkeypatch.setattr(model.decoder, "forward", lambda ids, *rest: fed.append(ids) or forward(ids, *rest))
    model.loss_and_backward(batch, teacher_forcing)
    return np.concatenate(fed)


@pytest.mark.parametrize("teacher_forcing", [0.0, 0.3, 0.8])
def test_each_token_of_each_sentence_is_drawn(teacher_forcing, monkeypatch):
    model, rng = build(), np.random.default_rng(0)
    model.decoder.output.bias.data[5] = 100  # it always predicts 5
    batch = random_batch(rng, [4] * 200, [20] * 200, V)
    target = np.where(batch.target_in == 5, 6, batch.target_in)
    fed = fed_tokens(model, replace(batch, target_in=target), teacher_forcing, monkeypatch)
    np.testing.assert_array_equal(fed[0], 2)  # <s> is never drawn
    is_true, predicted = fed[1:] == target[1:], fed[1:] == 5
    assert (is_true | predicted).all()
    assert is_true.mean() == pytest.approx(teacher_forcing, abs=0.03)  # 6 standard deviations of 4000 coins
    if 0 < teacher_forcing < 1:
        assert (is_true.any(axis=0) & predicted.any(axis=0)).mean() > 0.9  # both kinds in one sentence
        assert (is_true.any(axis=1) & predicted.any(axis=1)).all()  # and at one step


def test_a_step_is_fed_the_prediction_of_the_step_before(monkeypatch):
    model, batch = build(hidden=20), random_batch(np.random.default_rng(0), [4, 2], [5, 5], V)
    model.buffer.data *= 8
    model.decoder.output.bias.data[...] = np.where(np.arange(V) < 4, -100, 0)  # words alone
    fed = fed_tokens(model, batch, 0.0, monkeypatch)
    written = [h.tokens for [h] in greedy(model, batch.source, batch.source_mask, 5)]
    assert fed[1:].T.tolist() == written
    assert len(np.unique(written)) > 2


def test_decay_curves():
    assert [ScheduledSampling()(step) for step in (0, 10**9)] == [1, 1]
    linear = ScheduledSampling("linear", k=100, final=0.2)
    assert [linear(step) for step in (0, 25, 80, 1000)] == pytest.approx([1, 0.75, 0.2, 0.2])
    exponential = ScheduledSampling("exponential", k=100)
    assert [exponential(step) for step in (0, 100, 200)] == pytest.approx([1, 1 / e, 1 / e**2])
    sigmoid = ScheduledSampling("inverse_sigmoid", k=100)
    assert sigmoid(0) == pytest.approx(100 / 101)
    assert sigmoid(round(100 * log(100))) == pytest.approx(0.5, abs=1e-2)
    for schedule in (linear, exponential, sigmoid):
        values = [schedule(step) for step in range(0, 10**6, 1000)]
        assert values == sorted(values, reverse=True)
        assert all(0 <= value <= 1 for value in values)
    with pytest.raises(ValueError, match="kind is 'cosine', expected one of none, linear"):
        ScheduledSampling("cosine")


# ------------------------------------------------------------------------------------------------- reading order


@pytest.mark.parametrize("mask", [True, False], ids=["ragged", "full"])
@pytest.mark.parametrize("reverse", [True, False])
def test_memories_stand_in_reading_order(reverse, mask):
    """Memory s belongs to token s, and knows the tokens that were read before it: read backwards, those after it."""
    model = build(bidirectional=False, score="dot", reverse_source=reverse)
    lengths = np.array([5, 3]) if mask else np.array([5, 5])
    real = np.arange(5)[:, None] < lengths
    ids = np.random.default_rng(0).integers(4, V, size=(5, 2)) * real

    def memory(ids):
        return model.encode(ids, real if mask else None)[0][0].memory

    before = memory(ids)
    for n, length in enumerate(lengths):
        for s in range(length):
            changed = ids.copy()
            changed[s, n] = 4 + (ids[s, n] - 3) % (V - 4)
            moved = np.abs(memory(changed) - before).max(axis=2) > 0
            knows = np.arange(5) <= s if reverse else np.arange(5) >= s
            np.testing.assert_array_equal(moved[:, n], knows & (np.arange(5) < length))
            assert not moved[:, 1 - n].any()


def test_turning_round_leaves_padding_where_it_is():
    from minis2s.models.seq2seq import reverse_tokens

    ids = np.array([[1, 5], [2, 6], [3, 0], [4, 0]])
    np.testing.assert_array_equal(reverse_tokens(ids, ids > 0), [[4, 6], [3, 5], [2, 0], [1, 0]])
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    np.testing.assert_array_equal(reverse_tokens(reverse_tokens(x, ids > 0), ids > 0), x)
    np.testing.assert_array_equal(reverse_tokens(x, None), x[::-1])


# ------------------------------------------------------------------------------------------------- the start


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"tied": True, "context": "last"}], ids=str)
def test_an_untrained_model_is_undecided(options):
    """Its loss is near log V: no token is preferred by much."""
    config = Seq2SeqConfig(300, 300, embedding=64, hidden=64, **options)
    batch = random_batch(np.random.default_rng(0), [8] * 50, [8] * 50, 300)
    loss, _ = Seq2Seq(config, np.random.default_rng(0)).loss(batch)
    assert loss == pytest.approx(log(300), rel=0.02)


def test_tied_weights_are_one():
    model = build(tied=True, embedding=4)
    assert model.decoder.output.weight is model.decoder.embedding.weight
    names = [name for name, _ in model.named_parameters()]
    assert "decoder.embedding.weight" in names
    assert "decoder.output.weight" not in names
    other = Seq2Seq(model.config, np.random.default_rng(2)).to(dtype=np.float64)
    other.load_state_dict(model.state_dict())
    assert other.loss(make_batch())[0] == model.loss(make_batch())[0]


def test_a_seed_is_a_model():
    first, again, other = (Seq2Seq(Seq2SeqConfig(**SIZES), np.random.default_rng(s)).buffer.data for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("score", ["general", "location"])
def test_a_source_that_is_too_long(score):
    model = build(score=score, max_length=5)
    ids = np.full((7, 2), 4)
    model.encode(ids[:6], None)  # five tokens and </s>
    with pytest.raises(ValueError, match="the source has 6 tokens, the model takes at most 5"):
        model.encode(ids, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "gated"}, "cell is 'gated', expected one of rnn, gru, lstm"),
        ({"context": "all"}, "context is 'all', expected one of last, mean, attention"),
        ({"score": "cosine"}, "score is 'cosine', expected one of dot, scaled_dot"),
        ({"peeky": True}, "peeky repeats one context vector; it needs context = last or mean"),
        ({"context": "last", "input_feeding": True}, "need context = attention"),
        ({"context": "mean", "hard_attention": True}, "need context = attention"),
        ({"tied": True}, "embedding is 5; tied embeddings need 4"),
        ({"tied": True, "context": "last", "peeky": True}, "tied embeddings need 12"),
    ],
    ids=str,
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=f"Seq2Seq: .*{message}"):
        build(**options)


@pytest.mark.parametrize("score", ["dot", "scaled_dot"])
def test_dot_products_need_equal_sizes(score):
    with pytest.raises(ValueError, match=f"Attention: {score} needs equal sizes, query has 4, memory has 8"):
        build(score=score)
