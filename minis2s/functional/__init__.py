"""The course: pure functions, each returning its output and its own backward.

    y, backward = F.linear(x, weight, bias)
    dx, dweight, dbias = backward(dy)

Positional parameters are inputs, and `backward` answers with one gradient for each of them, in order (None for ids and
masks, the bare gradient where there is one input). Keyword-only parameters are options. A `backward` may be called
more than once; it changes neither its arguments nor the inputs, and returns no view of them.

Equations are numbered as in the lessons; (1') is the backward of (1).
"""

from minis2s.functional.activation import gelu, log_softmax, relu, sigmoid, softmax, tanh
from minis2s.functional.attention import (
    additive_scores,
    attend,
    dot_scores,
    general_scores,
    hard_attend,
    location_scores,
    masked_mean,
    scaled_dot_scores,
)
from minis2s.functional.dropout import dropout
from minis2s.functional.embedding import embedding
from minis2s.functional.gru import gru, gru_step
from minis2s.functional.linear import linear
from minis2s.functional.loss import cross_entropy, reinforce, token_losses
from minis2s.functional.lstm import lstm, lstm_step
from minis2s.functional.normalization import layer_norm
from minis2s.functional.rnn import rnn, rnn_step

__all__ = [
    "additive_scores",
    "attend",
    "cross_entropy",
    "dot_scores",
    "dropout",
    "embedding",
    "gelu",
    "general_scores",
    "gru",
    "gru_step",
    "hard_attend",
    "layer_norm",
    "linear",
    "location_scores",
    "log_softmax",
    "lstm",
    "lstm_step",
    "masked_mean",
    "reinforce",
    "relu",
    "rnn",
    "rnn_step",
    "scaled_dot_scores",
    "sigmoid",
    "softmax",
    "tanh",
    "token_losses",
]
