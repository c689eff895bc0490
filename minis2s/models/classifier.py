"""A classifier on top of a trained encoder: what was learnt without labels is a start for learning with them."""

from __future__ import annotations

from math import prod

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array, get_xp, to_device
from minis2s.models.autoencoder import Autoencoder
from minis2s.nn import Dropout, Flatten, Linear, Module, ReLU, Sequential


class Classifier(Module):
    """Pictures to logits of classes, through the encoder of an autoencoder and one hidden layer.

    Parameters
    ----------
    autoencoder : Autoencoder
        Its encoder goes on learning here.
    classes, hidden : int
    dropout : float
        On the hidden layer.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        classes: int,
        *,
        rng: np.random.Generator,
        hidden: int = 128,
        dropout: float = 0.3,
    ):
        numbers = prod(autoencoder.config.code_shape)
        self.encoder = autoencoder.encoder
        self.head = Sequential(
            ReLU(),
            Flatten(),
            Linear(numbers, hidden, rng=rng),
            ReLU(),
            Dropout(dropout, rng=rng),
            Linear(hidden, classes, rng=rng),
        )

    def loss_and_backward(self, x: Array, labels: Array) -> tuple[Array, Array]:
        """Mean loss in nats per picture, and their number; gradients are added to `grad`."""
        code, encoder_backward = self.encoder(to_device(x, self.device))
        logits, head_backward = self.head(code)
        (loss, count), loss_backward = F.cross_entropy(logits, to_device(labels, self.device))
        dlogits, _, _ = loss_backward()
        encoder_backward(head_backward(dlogits))
        return loss, count

    def predict(self, x: Array) -> Array:
        """The likeliest class of each picture (N,)."""
        code, _ = self.encoder(to_device(x, self.device))
        logits, _ = self.head(code)
        return get_xp(logits).argmax(logits, axis=1)
