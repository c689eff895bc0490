"""Decoding on the device: the host's answers, and no more waits than a step needs."""

from types import SimpleNamespace

import fakecupy
import numpy as np
import pytest

from minis2s import decoding
from minis2s.models import Seq2Seq, Seq2SeqConfig

V, S, N, LONGEST = 9, 5, 4, 6
SOURCE_MASK = np.arange(S)[:, None] < np.array([5, 2, 4, 1])
SOURCE = np.random.default_rng(0).integers(4, V, size=(S, N)) * SOURCE_MASK

CONFIGS = {
    "gru": {},
    "lstm-input_feeding": {"cell": "lstm", "input_feeding": True, "score": "additive"},
    "lstm-peeky": {"cell": "lstm", "context": "last", "peeky": True, "reverse_source": True, "layers": 2},
    "gru-hard": {"hard_attention": True},
}
DECODERS = {
    "greedy": lambda model: decoding.greedy(model, SOURCE, SOURCE_MASK, LONGEST),
    "sample": lambda model: decoding.sample(model, SOURCE, SOURCE_MASK, LONGEST, rng=np.random.default_rng(3)),
    "beam": lambda model: decoding.beam_search(model, SOURCE, SOURCE_MASK, LONGEST, beam=3, n_best=2),
}


def make_model(name, where):
    model = Seq2Seq(Seq2SeqConfig(V, V, embedding=6, hidden=5, **CONFIGS[name]), np.random.default_rng(7))
    model.buffer.data *= 3  # far from uniform: no answer hangs on the last bit
    return model.to(where)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_device_gives_the_hosts_answers(decoder, config, device):
    expected, got = (DECODERS[decoder](make_model(config, where)) for where in ("cpu", "cuda"))
    for ours, theirs in zip(got, expected, strict=True):
        assert [h.tokens for h in ours] == [h.tokens for h in theirs]
        for a, b in zip(ours, theirs, strict=True):
            assert a.score == pytest.approx(b.score, rel=10 * device.tolerance)
            if b.attention is not None:
                np.testing.assert_allclose(a.attention, b.attention, atol=device.tolerance)


def test_forced_scores(device):
    target = np.array([[5, 6, 7, 3], [3, 4, 3, 0], [0, 3, 0, 0]])
    start = np.full((1, N), 2)
    batch = SimpleNamespace(
        source=SOURCE,
        source_mask=SOURCE_MASK,
        target_in=np.concatenate([start, target[:-1]]),
        target_out=target,
        target_mask=target > 0,
    )
    expected, got = (decoding.force(make_model("gru", where), batch) for where in ("cpu", "cuda"))
    np.testing.assert_allclose(got, expected, rtol=10 * device.tolerance)


@pytest.mark.parametrize(("decoder", "waits"), [("greedy", 3), ("sample", 3), ("beam", 3)])
def test_waits_of_a_step(decoder, waits, fake_device):
    """Tokens, scores and attention weights come to the host, once a step and not once a sentence."""
    model, steps = make_model("gru", "cuda"), []
    step = model.step
    model.step = lambda *args: steps.append(1) or step(*args)
    with fakecupy.trace() as t, fakecupy.no_float64():
        DECODERS[decoder](model)
    assert len(steps) > 2
    assert t.syncs <= waits * len(steps)
    assert fake_device
