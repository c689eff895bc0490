"""From a model to an answer: what each search promises, whatever the model says."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from batches import random_batch
from models_to_test import CONFIGS

from minis2s import backend, decoding
from minis2s.data.batching import collate
from minis2s.decoding import beam_search, force, greedy, length_penalty, sample
from minis2s.models import Seq2Seq, Seq2SeqConfig

V = 7  # the target's; <unk> and three words can be written
LENGTHS = [5, 1, 3, 4, 2]
LONGEST = 6

MODELS = {name: options for name, options in CONFIGS.items() if name != "gru-smoothed"} | {
    "gru-hard": {"hard_attention": True},
    "gru-dropout": {"dropout": 0.5, "input_feeding": True, "reverse_source": True},
}
every_model = pytest.mark.parametrize("name", MODELS)


def make_model(name="gru-input_feeding-reversed", scale=4.0, seed=1, **options):
    """Weights so large that answers differ, and end at different steps."""
    sizes = {"source_vocabulary": 12, "target_vocabulary": V, "embedding": 12, "hidden": 12}
    config = Seq2SeqConfig(**sizes | MODELS[name] | {"embedding": 12} | options)
    model = Seq2Seq(config, np.random.default_rng(seed)).to(dtype=np.float64)
    model.buffer.data *= scale
    model.decoder.output.bias.data[...] = 0
    return model


SOURCES = random_batch(np.random.default_rng(3), LENGTHS, [0] * len(LENGTHS), 12)
INPUT = (SOURCES.source, SOURCES.source_mask)


def alone(n):
    """One sentence of the batch, without padding."""
    return SOURCES.source[: LENGTHS[n] + 1, n : n + 1], SOURCES.source_mask[: LENGTHS[n] + 1, n : n + 1]


def forced_log_probs(model, n, answers):
    """Log-probability of each of these answers to sentence n."""
    source = SOURCES.source[: LENGTHS[n], n].tolist()
    return force(model, collate([source] * len(answers), answers, range(len(answers))))


def assert_same(got, expected):
    """Equal hypotheses, but for the last bits."""
    assert [h.tokens for h in got] == [h.tokens for h in expected]
    for a, b in zip(got, expected, strict=True):
        assert (a.score, a.log_prob) == pytest.approx((b.score, b.log_prob), rel=1e-9)
        assert (a.attention is None) == (b.attention is None)
        if a.attention is not None:
            np.testing.assert_allclose(a.attention, b.attention, rtol=1e-7, atol=1e-12)


class FixedStream:
    """The numbers of a generator for some of the sentences: a row a step."""

    def __init__(self, columns):
        self.numbers, self.columns, self.step = np.random.default_rng(5).random((50, 9)), columns, -1

    def random(self, size, dtype):
        self.step += 1
        assert size == len(self.columns)
        return self.numbers[self.step, self.columns].astype(dtype)


SEARCHES = {
    "greedy": lambda model, source, mask, columns: greedy(model, source, mask, LONGEST),
    "sample": lambda model, source, mask, columns: sample(model, source, mask, LONGEST, rng=FixedStream(columns)),
    "beam 3": lambda model, source, mask, columns: beam_search(model, source, mask, LONGEST, beam=3, n_best=3),
    "beam 50": lambda model, source, mask, columns: beam_search(model, source, mask, 3, beam=50, n_best=50),
}
every_search = pytest.mark.parametrize("search", SEARCHES)


def search_all(model, search):
    return SEARCHES[search](model, *INPUT, list(range(len(LENGTHS))))


# ------------------------------------------------------------------------------------------------- every search


@every_search
@every_model
def test_a_sentence_does_not_depend_on_its_batch(name, search):
    model = make_model(name)
    together = search_all(model, search)
    for n in range(len(LENGTHS)):
        [by_itself] = SEARCHES[search](model, *alone(n), [n])
        assert_same(together[n], by_itself)


@every_search
def test_nor_on_its_place_in_it(search):
    model, order = make_model(), [3, 0, 4, 2, 1]
    together = search_all(model, search)
    turned = SEARCHES[search](model, *(x[:, order] for x in INPUT), order)
    for place, n in enumerate(order):
        assert_same(turned[place], together[n])


@every_search
@every_model
def test_a_hypothesis_carries_its_probability(name, search):
    model = make_model(name)
    for n, hypotheses in enumerate(search_all(model, search)):
        log_probs = forced_log_probs(model, n, [h.tokens for h in hypotheses])
        np.testing.assert_allclose([h.log_prob for h in hypotheses], log_probs, rtol=1e-9)


@every_search
@every_model
def test_a_hypothesis_carries_its_attention(name, search):
    """A row for each token and one for </s>; a column for each real source token, its </s> included."""
    model = make_model(name)
    for length, hypotheses in zip(LENGTHS, search_all(model, search), strict=True):
        for h in hypotheses:
            if model.config.context != "attention":
                assert h.attention is None
                continue
            assert h.attention.shape == (len(h.tokens) + 1, length + 1)
            np.testing.assert_allclose(h.attention.sum(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("name", [name for name, options in MODELS.items() if "context" not in options])
def test_the_attention_is_that_of_the_model(name):
    model = make_model(name).eval()
    for n, [h, *_] in enumerate(search_all(model, "beam 3")):
        batch = collate([SOURCES.source[: LENGTHS[n], n].tolist()], [h.tokens], [0])
        (source, carry), _ = model.encode(batch.source, batch.source_mask)
        (_, weights, _), _ = model.decode(batch.target_in, carry, source, None)
        np.testing.assert_allclose(h.attention, weights[0], rtol=1e-7, atol=1e-12)


@every_search
@pytest.mark.parametrize("seed", range(4))
def test_special_tokens_are_never_an_answer(search, seed):
    model = make_model(seed=seed)
    model.decoder.output.bias.data[[0, 2]] = 50  # it would like to say <pad> and <s>
    for hypotheses in search_all(model, search):
        for h in hypotheses:
            assert not {0, 2, 3} & set(h.tokens)
            assert all(isinstance(token, int) for token in h.tokens)
            assert np.isfinite(h.log_prob)


@every_search
def test_dropout_is_off_and_the_mode_comes_back(search):
    model, plain = make_model("gru-dropout"), make_model()
    plain.load_state_dict(model.state_dict())
    for training in (True, False):
        model.train(training)
        for got, expected in zip(search_all(model, search), search_all(plain, search), strict=True):
            assert_same(got, expected)
        assert {module.training for module in model.modules()} == {training}
    model.step = None  # whatever goes wrong inside
    model.train()
    with pytest.raises(TypeError):
        search_all(model, search)
    assert model.encoder.dropout.training


@every_search
def test_nothing_is_changed(search):
    model, before = make_model(), [x.copy() for x in INPUT]
    weights = model.buffer.data.copy()
    search_all(model, search)
    np.testing.assert_array_equal(model.buffer.data, weights)
    for x, y in zip(INPUT, before, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("longest", [0, 1, 4])
@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_the_longest_answer(search, longest):
    """A model that never wants to stop is stopped after so many tokens, </s> not counted; no later, no earlier."""
    model = make_model()
    model.decoder.output.bias.data[3] = -100
    found = greedy(model, *INPUT, longest) if search == "greedy" else beam_search(model, *INPUT, longest, beam=4)
    for n, [h] in enumerate(found):
        assert len(h.tokens) == longest
        assert h.log_prob < -50  # the </s> is paid for
        assert h.log_prob == pytest.approx(forced_log_probs(model, n, [h.tokens])[0])


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_a_model_that_stops_at_once(search):
    model = make_model()
    model.decoder.output.bias.data[3] = 100
    found = greedy(model, *INPUT, 5) if search == "greedy" else beam_search(model, *INPUT, 5, beam=4)
    for length, [h] in zip(LENGTHS, found, strict=True):
        assert h.tokens == []
        assert h.log_prob == pytest.approx(0, abs=1e-9)
        assert h.attention.shape == (1, length + 1)


@pytest.mark.parametrize("search", [greedy, beam_search])
def test_two_cores_are_one(search, monkeypatch):
    """A large batch is decoded by every core there is; dropout stays off until the last of them is done."""
    model = make_model("gru-dropout", target_vocabulary=100)
    batch = random_batch(np.random.default_rng(0), np.arange(70) % 9, [0] * 70, 12)
    assert model.buffer.data.size >= backend.PAYS
    assert batch.source.shape[1] >= 2 * decoding.EACH_CORE
    shared = search(model, batch.source, batch.source_mask, LONGEST)
    monkeypatch.setattr(backend, "_pool", lambda: None)
    for a, b in zip(search(model, batch.source, batch.source_mask, LONGEST), shared, strict=True):
        assert_same(a, b)


# ------------------------------------------------------------------------------------------------- greedy


@every_model
def test_greedy_takes_the_likeliest_token_at_each_step(name):
    model = make_model(name).eval()
    answers = greedy(model, *INPUT, LONGEST)
    for n, [h] in enumerate(answers):
        source, mask = alone(n)
        (memory, carry), _ = model.encode(source, mask)
        target = np.array([[2, *h.tokens]]).T
        (features, *_), _ = model.decode(target, carry, memory, None)
        logits = model.decoder.output(features)[0][:, 0]
        logits[:, [0, 2]] = -np.inf
        best = [*h.tokens, 3][:LONGEST]
        assert logits.argmax(axis=1)[:LONGEST].tolist() == best


def test_answers_end_at_different_steps():
    """Or the tests above would not see a finished sentence leave the batch."""
    kinds = {name: len({len(h.tokens) for [h] in greedy(make_model(name), *INPUT, LONGEST)}) for name in MODELS}
    assert kinds["gru-input_feeding-reversed"] == 3
    assert sum(kind > 2 for kind in kinds.values()) >= 4


# ------------------------------------------------------------------------------------------------- sampling


def test_a_cold_sample_is_greedy():
    model, expected = make_model(), greedy(make_model(), *INPUT, LONGEST)
    got = sample(model, *INPUT, LONGEST, rng=np.random.default_rng(0), temperature=1e-3)
    for a, b in zip(got, expected, strict=True):
        assert_same(a, b)


def test_whole_answers_come_as_often_as_they_are_likely():
    """Chi-square over all answers of at most two tokens; longer ones are cut off."""
    model, count = make_model(scale=1.0), 4000
    source, mask = (np.repeat(x, count, axis=1) for x in alone(0))
    found = [tuple(h.tokens) for [h] in sample(model, source, mask, 2, rng=np.random.default_rng(1))]
    words = (1, 4, 5, 6)
    answers = [(), *((w,) for w in words), *product(words, words)]
    p = np.array([probability(model, answer) for answer in answers])
    assert p.sum() == pytest.approx(1)
    counts = np.array([found.count(answer) for answer in answers])
    assert counts.sum() == count
    assert ((counts - count * p) ** 2 / (count * p)).sum() < 45.3  # once in 1000, 20 degrees of freedom


def probability(model, answer):
    """Product over the steps, <pad> and <s> left out of each distribution; </s> is certain after two tokens."""
    source, mask = alone(0)
    (memory, carry), _ = model.encode(source, mask)
    total, token = 1.0, 2
    for t, following in enumerate((*answer, 3)):
        logits, carry, _ = model.step(np.array([token]), carry, memory)
        p = np.exp(logits[0]) * (np.arange(V) % 2 + (np.arange(V) > 3) > 0)
        total *= 1 if t == 2 else p[following] / p.sum()
        token = following
    return total


def test_a_seed_is_a_sample():
    model = make_model(scale=1.0)
    first, again, other = (
        [h.tokens for [h] in sample(model, *INPUT, LONGEST, rng=np.random.default_rng(seed))] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("temperature", [0, -1.0])
def test_a_temperature_is_above_zero(temperature):
    with pytest.raises(ValueError, match=f"temperature is {temperature}, expected > 0"):
        sample(make_model(), *INPUT, 3, rng=np.random.default_rng(0), temperature=temperature)


# ------------------------------------------------------------------------------------------------- beam search


@every_model
@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_a_beam_of_one_is_greedy(name, alpha):
    model = make_model(name)
    for [a], [b] in zip(
        beam_search(model, *INPUT, LONGEST, beam=1, alpha=alpha), greedy(model, *INPUT, LONGEST), strict=True
    ):
        assert a.tokens == b.tokens
        assert a.log_prob == pytest.approx(b.log_prob, rel=1e-9)
        assert b.score == b.log_prob
        assert a.score == pytest.approx(a.log_prob / length_penalty(len(a.tokens) + 1, alpha), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("name", ["gru-general", "lstm-last-peeky-reversed", "gru-input_feeding-reversed"])
def test_a_beam_that_is_wide_enough_is_exhaustive(name, alpha):
    """All 85 answers of at most three tokens, in the order of their scores."""
    model, words = make_model(name, scale=2.0), (1, 4, 5, 6)
    answers = [list(a) for length in range(4) for a in product(words, repeat=length)]
    found = beam_search(model, *INPUT, 3, beam=len(answers), alpha=alpha, n_best=len(answers))
    for n, hypotheses in enumerate(found):
        log_probs = forced_log_probs(model, n, answers)
        scores = log_probs / np.array([length_penalty(len(a) + 1, alpha) for a in answers])
        assert sorted(h.tokens for h in hypotheses) == sorted(answers)
        np.testing.assert_allclose([h.score for h in hypotheses], np.sort(scores)[::-1], rtol=1e-9)
        assert hypotheses[0].tokens == answers[scores.argmax()]


@pytest.mark.parametrize("beam", [2, 3, 5])
def test_the_n_best_are_distinct_and_sorted(beam):
    for hypotheses in beam_search(make_model(), *INPUT, LONGEST, beam=beam, n_best=beam):
        assert len(hypotheses) == beam
        assert len({tuple(h.tokens) for h in hypotheses}) == beam
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)


def test_fewer_answers_than_asked_for():
    """There is one answer of no token, and four more of one."""
    for hypotheses in beam_search(make_model(), *INPUT, 1, beam=20, n_best=20):
        assert len(hypotheses) == 5


def test_the_n_best_begin_with_the_best():
    model = make_model()
    several, one = (beam_search(model, *INPUT, LONGEST, beam=4, n_best=k) for k in (3, 1))
    for hypotheses, [best] in zip(several, one, strict=True):
        assert_same(hypotheses[:1], [best])


def test_a_wider_beam_finds_what_greedy_misses():
    model, gain = make_model(scale=2.0), []
    for [a], [b] in zip(
        beam_search(model, *INPUT, LONGEST, beam=20, alpha=0), greedy(model, *INPUT, LONGEST), strict=True
    ):
        gain.append(a.log_prob - b.log_prob)
    assert max(gain) > 0.01
    assert min(gain) > -1e-9


def test_length_penalty():
    """GNMT's, equation 14: 1 for a length of 1, and no penalty at alpha 0."""
    assert length_penalty(1, 0.6) == 1
    assert length_penalty(7, 1.0) == 2
    assert length_penalty(100, 0.0) == 1
    model = make_model(scale=2.0)
    mean = {
        alpha: np.mean([len(h.tokens) for [h] in beam_search(model, *INPUT, LONGEST, beam=20, alpha=alpha)])
        for alpha in (0.0, 3.0)
    }
    assert mean[3.0] > mean[0.0]  # dividing a negative number by more favours the longer


@pytest.mark.parametrize(("beam", "n_best"), [(3, 4), (3, 0), (0, 0)])
def test_more_answers_than_the_beam_is_wide(beam, n_best):
    with pytest.raises(ValueError, match=f"n_best is {n_best}, expected 1 to beam = {beam}"):
        beam_search(make_model(), *INPUT, 3, beam=beam, n_best=n_best)


# ------------------------------------------------------------------------------------------------- forced scoring


@every_model
def test_forced_scores_are_the_loss_of_each_sentence(name):
    model = make_model(name).eval()
    batch = random_batch(np.random.default_rng(7), LENGTHS, [3, 0, 5, 1, 2], V)
    loss, count = model.loss(batch)
    scores = force(model, batch)
    assert scores.shape == (len(LENGTHS),)
    assert -scores.sum() == pytest.approx(loss * count, rel=1e-12)


@every_model
def test_forced_scores_sum_to_one(name):
    """Over all answers of at most two tokens, and all that go on: </s> or any token follows each prefix."""
    model = make_model(name, scale=2.0)
    prefixes = [list(a) for a in product(range(V), repeat=2) if 3 not in a]
    closed = [[], *([w] for w in range(V) if w != 3)]
    batch = collate([[5, 6]] * len(prefixes), prefixes, range(len(prefixes)))
    open_ended = SimpleNamespace(**vars(batch) | {"target_mask": batch.target_mask & (np.arange(3) < 2)[:, None]})
    finished = collate([[5, 6]] * len(closed), closed, range(len(closed)))
    assert np.exp(force(model, open_ended)).sum() + np.exp(force(model, finished)).sum() == pytest.approx(1)
