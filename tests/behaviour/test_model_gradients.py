"""The whole model's gradient, one parameter after the other, along a random direction."""

import numpy as np
import pytest
from models_to_test import CONFIGS, make_batch, make_model


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_along_random_directions(name):
    model, batch = make_model(name), make_batch()
    model.zero_grad()
    model.loss_and_backward(batch)
    gradients = {name: p.grad.copy() for name, p in model.named_parameters()}
    rng = np.random.default_rng(3)
    for parameter_name, p in model.named_parameters():
        direction = rng.normal(size=p.shape)
        if parameter_name.endswith("embedding.weight"):
            direction[0] = 0  # the row of padding stays as it is
        value, gradient, step = p.data.copy(), gradients[parameter_name], 1e-5
        losses = []
        for sign in (1, -1):
            p.data[...] = value + sign * step * direction
            losses.append(model.loss_and_backward(batch)[0])
        p.data[...] = value
        numeric = (losses[0] - losses[1]) / (2 * step)
        assert (gradient * direction).sum() == pytest.approx(numeric, rel=1e-6, abs=1e-9), parameter_name
        assert np.abs(gradient).max() > 1e-8, f"{parameter_name} has no gradient"


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_are_added_up(name):
    """Two backward passes without zeroing give twice the gradient."""
    model, batch = make_model(name), make_batch()
    model.zero_grad()
    model.loss_and_backward(batch)
    once = model.buffer.grad.copy()
    model.loss_and_backward(batch)
    np.testing.assert_allclose(model.buffer.grad, 2 * once, rtol=1e-12)
