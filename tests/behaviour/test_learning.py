"""Models learn: thirty-two pairs by heart, and then they say exactly these."""

import numpy as np
import pytest

from minis2s.data.batching import collate
from minis2s.decoding import beam_search, greedy
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.optim import Adam, clip_global_norm

V, PAIRS = 20, 32

MODELS = {
    "gru": {},
    "lstm-additive": {"cell": "lstm", "score": "additive"},
    "rnn-location": {"cell": "rnn", "score": "location"},
    "gru-input_feeding-tied": {"input_feeding": True, "tied": True},
    "lstm-peeky-reversed": {"cell": "lstm", "context": "last", "peeky": True, "reverse_source": True},
    "gru-mean": {"context": "mean"},
    "gru-hard": {"hard_attention": True},
}


def pairs():
    """Sources of 1 to 7 tokens, all different, and unrelated targets of 0 to 6: there is no rule to find."""
    rng = np.random.default_rng(0)
    sources = [[*rng.integers(4, V, size=rng.integers(0, 6)).tolist(), 4 + n % 16] for n in range(PAIRS)]
    sources = [[*source, 4 + n // 16] for n, source in enumerate(sources)]
    targets = [rng.integers(4, V, size=rng.integers(0, 7)).tolist() for _ in range(PAIRS)]
    return sources, targets


def train(model, batch, steps, teacher_forcing=1.0):
    optimizer = Adam(model.buffer, lr=0.02)
    for _ in range(steps):
        model.zero_grad()
        loss, _ = model.loss_and_backward(batch, teacher_forcing)
        clip_global_norm(model.buffer, 1.0)
        optimizer.step()
    return float(loss)


@pytest.mark.parametrize("name", MODELS)
def test_thirty_two_pairs_by_heart(name):
    config = Seq2SeqConfig(V, V, **{"embedding": 32, "hidden": 32, "max_length": 10} | MODELS[name])
    model = Seq2Seq(config, np.random.default_rng(1))
    sources, targets = pairs()
    batch = collate(sources, targets, range(PAIRS))
    train(model, batch, 150)
    assert float(model.eval().loss(batch)[0]) < 0.1
    for search in (greedy, beam_search):
        assert [h.tokens for [h] in search(model, batch.source, batch.source_mask, 10)] == targets


def test_a_model_is_weaned_off_the_true_tokens():
    """Trained on its own words alone, it says the pairs too."""
    model = Seq2Seq(Seq2SeqConfig(V, V, embedding=32, hidden=32), np.random.default_rng(1))
    sources, targets = pairs()
    batch = collate(sources, targets, range(PAIRS))
    train(model, batch, 80)
    train(model, batch, 100, teacher_forcing=0.25)
    free, forced = (float(model.loss(batch, free_running=free)[0]) for free in (True, False))
    assert free < 0.1
    assert forced < 0.2
    assert [h.tokens for [h] in greedy(model, batch.source, batch.source_mask, 10)] == targets
