"""The flat buffer: every parameter is a view of it, whatever is done to the model."""

import numpy as np
import pytest

from minis2s import nn


class Two(nn.Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.first, self.second = nn.Linear(3, 3, rng=rng), nn.Linear(3, 3, rng=rng)


def is_whole(model):
    buffer = model.buffer
    pairs = [(p.data, buffer.data) for p in model.parameters()] + [(p.grad, buffer.grad) for p in model.parameters()]
    return all(np.shares_memory(part, whole) for part, whole in pairs)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.first.load_state_dict(m.second.state_dict()),
        lambda m: m.load_state_dict(Two().state_dict()),
        lambda m: m.first.state_dict(),
        lambda m: m.first.device,
        lambda m: m.zero_grad(),
        lambda m: m.to("cpu", np.float64),
        lambda m: m.eval(),
    ],
)
def test_parameters_stay_views_of_the_models_buffer(change):
    model = Two()
    assert is_whole(model)
    change(model)
    assert is_whole(model)


def test_an_optimizer_reaches_weights_that_were_loaded_into_a_part():
    model = Two()
    buffer = model.buffer
    model.first.load_state_dict(model.second.state_dict())
    np.testing.assert_array_equal(model.first.weight.data, model.second.weight.data)
    buffer.data += 1
    np.testing.assert_array_equal(buffer.data[:9].reshape(3, 3), model.first.weight.data)


def test_a_buffer_made_late_keeps_the_gradients():
    layer = nn.Linear(3, 2, rng=np.random.default_rng(0))
    y, backward = layer(np.ones((1, 3), np.float32))
    backward(np.ones_like(y))
    before = layer.weight.grad.copy()
    assert before.any()
    np.testing.assert_array_equal(layer.buffer.grad[:6].reshape(2, 3), before)
    np.testing.assert_array_equal(layer.to(dtype=np.float64).weight.grad, before)
