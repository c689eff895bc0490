"""A large bidirectional net gives each direction a core of its own; nobody may notice."""

import numpy as np
import pytest

from minis2s import backend, nn

T, N, D, H = 4, 70, 8, 64
MASK = np.arange(T)[:, None] < np.random.default_rng(0).integers(1, T + 1, size=N)


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_directions_side_by_side_are_directions_in_turn(layer, monkeypatch):
    assert N * H >= backend.PAYS
    x = np.random.default_rng(1).normal(size=(T, N, D)).astype(np.float32)

    def run():
        net = layer(D, H, num_layers=2, bidirectional=True, rng=np.random.default_rng(2))
        buffer = net.buffer
        (y, final), backward = net(x, None, MASK)
        dx, dinitial = backward(np.cos(y), final)
        return [y, *np.atleast_1d(final), dx, *np.atleast_1d(dinitial), buffer.grad]

    at_once = run()
    monkeypatch.setattr(backend, "_pool", lambda: None)
    for a, b in zip(at_once, run(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_same_numbers_every_time():
    """A run can be resumed bit by bit only if a step does not depend on which core was faster."""
    x = np.random.default_rng(1).normal(size=(T, N, D)).astype(np.float32)
    net = nn.LSTM(D, H, bidirectional=True, rng=np.random.default_rng(2))
    gradients = []
    for _ in range(5):
        net.zero_grad()
        (y, _), backward = net(x, None, MASK)
        backward(np.cos(y))
        gradients.append(net.buffer.grad.copy())
    for gradient in gradients[1:]:
        np.testing.assert_array_equal(gradient, gradients[0])
