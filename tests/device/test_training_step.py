"""One whole training step on the device: the host's loss and gradients, one wait, and a budget of kernel launches.

A launch costs the host 10 to 20 microseconds, whatever the size of the arrays: at these models' sizes the count of
launches is the time of a step. A change that needs more launches has to change the budget, and say why.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from minis2s import backend
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.optim import Adam, clip_global_norm

S, T, N = 8, 6, 3  # time steps of source and target, sentences

CONFIGS = {
    "rnn": {"cell": "rnn"},
    "gru": {},
    "lstm": {"cell": "lstm"},
    "gru-one_direction-dot": {"score": "dot", "bidirectional": False},
    "gru-one_direction-scaled_dot": {"score": "scaled_dot", "bidirectional": False},
    "gru-additive": {"score": "additive"},
    "gru-location": {"score": "location"},
    "gru-hard": {"hard_attention": True},
    "gru-mean": {"context": "mean", "reverse_source": True},
    "gru-tied": {"embedding": 5, "tied": True},
    "lstm-last-peeky-reversed": {
        **{"cell": "lstm", "context": "last", "peeky": True, "reverse_source": True, "bidirectional": False},
    },
    "lstm-two_layers-dropout": {"cell": "lstm", "layers": 2, "dropout": 0.3, "label_smoothing": 0.1},
    "lstm-input_feeding": {"cell": "lstm", "input_feeding": True},
}

BUDGET = {  # launches of a step: zero the gradients, loss and backward, clip, Adam
    "rnn": 429,
    "gru": 789,
    "lstm": 842,
    "gru-one_direction-dot": 549,
    "gru-one_direction-scaled_dot": 551,
    "gru-additive": 801,
    "gru-location": 782,
    "gru-hard": 848,
    "gru-mean": 784,
    "gru-tied": 789,
    "lstm-last-peeky-reversed": 581,
    "lstm-two_layers-dropout": 1636,
    "lstm-input_feeding": 1331,
    "gru-no_padding": 730,
}


def make_batch():
    """A ragged batch, every sentence with at least one token."""
    rng = np.random.default_rng(4)
    source_mask = np.arange(S)[:, None] < np.array([S, S - 3, 1])
    target_mask = np.arange(T)[:, None] < np.array([T - 2, T, 2])
    return SimpleNamespace(
        source=rng.integers(4, 11, size=(S, N)) * source_mask,
        source_mask=source_mask,
        target_in=rng.integers(4, 9, size=(T, N)) * target_mask,
        target_out=rng.integers(4, 9, size=(T, N)) * target_mask,
        target_mask=target_mask,
    )


def make_model(name, where):
    shape = {"source_vocabulary": 11, "target_vocabulary": 9, "embedding": 6, "hidden": 5}
    model = Seq2Seq(Seq2SeqConfig(**shape | CONFIGS[name]), np.random.default_rng(1)).to(where)
    return model, Adam(model.buffer, lr=0.01)


def train_step(model, optimizer, batch, **options):
    model.zero_grad()
    loss, count = model.loss_and_backward(batch, **options)
    norm = clip_global_norm(model.buffer, 1.0)
    optimizer.step()
    return loss, count, norm


@pytest.mark.usefixtures("same_random_numbers")
@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_gives_the_hosts_numbers_without_waiting(name, device):
    batch, losses, gradients = make_batch(), {}, {}
    for where in ("cpu", "cuda"):
        model, optimizer = make_model(name, where)
        with device.strict():
            first = train_step(model, optimizer, batch)
        gradients[where] = backend.to_numpy(model.buffer.grad).copy()
        with device.strict():
            second = train_step(model, optimizer, batch)
        losses[where] = [backend.item(x) for x in (*first, *second)]
    np.testing.assert_allclose(gradients["cuda"], gradients["cpu"], rtol=device.tolerance, atol=device.tolerance)
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=10 * device.tolerance)


def test_scheduled_sampling_does_not_wait_either(device):
    model, optimizer = make_model("gru", "cuda")
    with device.strict():
        train_step(model, optimizer, make_batch(), teacher_forcing=0.5)


@pytest.mark.parametrize("name", CONFIGS)
def test_launches_stay_within_the_budget(name, fake_device):
    model, optimizer = make_model(name, "cuda")
    with fake_device.strict() as t:
        loss, _, _ = train_step(model, optimizer, make_batch())
    assert t.launches <= BUDGET[name], f"budget {BUDGET[name]}, got {t.report()}"
    assert t.uploads == 5  # the batch
    assert t.downloads == 0
    assert np.isfinite(backend.item(loss))


def test_a_batch_without_padding_pays_for_no_mask(fake_device):
    model, optimizer = make_model("gru", "cuda")
    batch = make_batch()
    batch.source_mask, batch.target_mask = np.ones_like(batch.source_mask), np.ones_like(batch.target_mask)
    with fake_device.strict() as t:
        train_step(model, optimizer, batch)
    assert t.uploads == 3
    assert t.launches <= BUDGET["gru-no_padding"], f"budget {BUDGET['gru-no_padding']}, got {t.report()}"


def test_reading_the_loss_is_the_one_wait_of_a_step(fake_device):
    import fakecupy

    model, optimizer = make_model("gru", "cuda")
    with fakecupy.trace() as t:
        loss, _, _ = train_step(model, optimizer, make_batch())
        backend.item(loss)
    assert (t.syncs, t.downloads) == (1, 1)
