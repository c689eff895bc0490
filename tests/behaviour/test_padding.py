"""What no gradient check can see: padding reaches no result, no sentence sees another, no step sees the future."""

from types import SimpleNamespace

import numpy as np
import pytest
from models_to_test import CONFIGS, LENGTHS, TARGET_LENGTHS, make_batch, make_model

every_model = pytest.mark.parametrize("name", CONFIGS)


def sentence(batch, n):
    """One sentence of a batch, without padding."""
    cut = {"source": LENGTHS[n], "target": TARGET_LENGTHS[n]}
    return SimpleNamespace(**{k: v[: cut[k.split("_")[0]], n : n + 1] for k, v in vars(batch).items()})


def loss_and_gradient(model, batch):
    model.zero_grad()
    loss, count = model.loss_and_backward(batch)
    return loss, count, model.buffer.grad.copy()


@every_model
def test_a_batch_is_its_sentences_one_by_one(name):
    model, batch = make_model(name), make_batch()
    loss, count, gradient = loss_and_gradient(model, batch)
    alone = [loss_and_gradient(model, sentence(batch, n)) for n in range(3)]
    assert count == sum(c for _, c, _ in alone) == sum(TARGET_LENGTHS)
    np.testing.assert_allclose(loss, sum(value * c for value, c, _ in alone) / count, rtol=1e-12)
    np.testing.assert_allclose(gradient, sum(g * c for _, c, g in alone) / count, rtol=1e-9, atol=1e-14)


@every_model
def test_more_padding_changes_nothing(name):
    model = make_model(name)
    loss, count, gradient = loss_and_gradient(model, make_batch())
    wide_loss, wide_count, wide_gradient = loss_and_gradient(model, make_batch(extra=3))
    assert count == wide_count
    np.testing.assert_allclose(wide_loss, loss, rtol=1e-12)
    np.testing.assert_allclose(wide_gradient, gradient, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "gru-tied"])  # whose logits are of <pad> too
def test_poisoned_padding_changes_nothing(name):
    """The embedding of <pad> is NaN: whatever touches it shows."""
    model, batch = make_model(name), make_batch()
    expected = loss_and_gradient(model, batch)
    for embedding in (model.encoder.embedding, model.decoder.embedding):
        embedding.weight.data[0] = np.nan
    got = loss_and_gradient(model, batch)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not model.encoder.embedding.weight.grad[0].any()


@every_model
def test_what_stands_at_padding_does_not_matter(name):
    model, batch = make_model(name), make_batch()
    expected = loss_and_gradient(model, batch)
    for ids, mask in (("source", "source"), ("target_in", "target"), ("target_out", "target")):
        getattr(batch, ids)[~getattr(batch, f"{mask}_mask")] = 7
    for a, b in zip(loss_and_gradient(model, batch), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-16)


@every_model
def test_no_step_sees_the_future(name):
    """Changing a target token changes no logit before it, and the next one."""
    model, batch = make_model(name), make_batch()

    def logits(target_in):
        (source, carry), _ = model.encode(batch.source, batch.source_mask)
        (features, *_), _ = model.decode(target_in, carry, source, batch.target_mask)
        return model.decoder.output(features)[0]

    before = logits(batch.target_in)
    for t in range(1, TARGET_LENGTHS[1]):
        changed = batch.target_in.copy()
        changed[t, 1] = 4 + (changed[t, 1] + 1) % 8
        after = logits(changed)
        np.testing.assert_array_equal(after[:t], before[:t])
        np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])  # nor another sentence
        assert np.abs(after[t, 1] - before[t, 1]).max() > 1e-6


@every_model
def test_every_source_token_has_a_say(name):
    """A decoder that ignores the encoder would train, and nobody would notice."""
    model, batch = make_model(name), make_batch()
    loss, _ = model.loss(batch)
    for n, length in enumerate(LENGTHS):
        for s in range(length):
            changed = SimpleNamespace(**vars(batch) | {"source": batch.source.copy()})
            changed.source[s, n] = 4 + (changed.source[s, n] + 1) % 8
            assert abs(model.loss(changed)[0] - loss) > 1e-9


def test_attention_looks_at_real_tokens_only():
    model, batch = make_model("gru-general"), make_batch(extra=2)
    (source, carry), _ = model.encode(batch.source, batch.source_mask)
    (_, weights, _), _ = model.decode(batch.target_in, carry, source, batch.target_mask)
    np.testing.assert_array_equal(weights * ~batch.source_mask.T[:, None], 0)
    np.testing.assert_allclose(weights.sum(axis=2), 1, rtol=1e-12)


def test_loss_says_what_it_divides_by():
    """Smoothing and dropout belong to training: `loss` is plain nats per real token."""
    model, batch = make_model("gru-smoothed"), make_batch()
    plain = make_model("gru-general")
    plain.load_state_dict(model.state_dict())
    assert model.loss(batch)[0] == pytest.approx(plain.loss_and_backward(batch)[0], rel=1e-13)
    assert model.loss_and_backward(batch)[0] != pytest.approx(model.loss(batch)[0], rel=1e-6)


def test_free_running_feeds_its_own_words():
    """With the model's own predictions as the target, feeding either is the same; with others it is not."""
    model, batch = make_model("gru-general"), make_batch()
    whole = SimpleNamespace(**vars(batch))
    whole.target_mask = np.ones_like(batch.target_mask)
    whole.target_in = np.full_like(batch.target_in, 2)
    for t in range(len(whole.target_in) - 1):
        (source, carry), _ = model.encode(whole.source, whole.source_mask)
        (features, *_), _ = model.decode(whole.target_in, carry, source, None)
        whole.target_in[t + 1] = model.decoder.output(features)[0][t].argmax(axis=1)
    assert model.loss(whole, free_running=True)[0] == pytest.approx(model.loss(whole)[0], rel=1e-12)
    assert model.loss(batch, free_running=True)[0] != pytest.approx(model.loss(batch)[0], rel=1e-6)
