"""The course: pure functions, each returning its output and its own backward.

    y, backward = F.linear(x, weight, bias)
    dx, dweight, dbias = backward(dy)

Positional parameters are inputs, and `backward` answers with one gradient for each of them, in order (None for ids and
masks, the bare gradient where there is one input). Keyword-only parameters are options. A `backward` may be called
more than once; it changes neither its arguments nor the inputs, and returns no view of them.

Equations are numbered as in the lessons; (1') is the backward of (1).
"""

from minis2s.functional.activation import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
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
from minis2s.functional.convolution import conv2d, conv_transpose2d
from minis2s.functional.dropout import dropout
from minis2s.functional.embedding import embedding
from minis2s.functional.flatten import flatten, unflatten
from minis2s.functional.gru import gru, gru_step
from minis2s.functional.linear import linear
from minis2s.functional.loss import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_kl,
    gaussian_kl_terms,
    mae,
    mse,
    reinforce,
    token_losses,
)
from minis2s.functional.lstm import lstm, lstm_step
from minis2s.functional.normalization import batch_norm, batch_norm_running, group_norm, layer_norm
from minis2s.functional.pooling import avg_pool2d, max_pool2d, max_pool2d_with_indices, max_unpool2d
from minis2s.functional.reparameterisation import reparameterise
from minis2s.functional.rnn import rnn, rnn_step
from minis2s.functional.upsampling import interpolate

__all__ = [
    "additive_scores",
    "attend",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_running",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "dot_scores",
    "dropout",
    "elu",
    "embedding",
    "flatten",
    "gaussian_kl",
    "gaussian_kl_terms",
    "gelu",
    "general_scores",
    "group_norm",
    "gru",
    "gru_step",
    "hard_attend",
    "interpolate",
    "layer_norm",
    "leaky_relu",
    "linear",
    "location_scores",
    "log_softmax",
    "lstm",
    "lstm_step",
    "mae",
    "masked_mean",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_unpool2d",
    "mse",
    "reinforce",
    "relu",
    "reparameterise",
    "rnn",
    "rnn_step",
    "scaled_dot_scores",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
    "token_losses",
    "unflatten",
]
