"""PyTorch's own functions behind the library's contract: autograd answers for the backward pass."""

import numpy as np
import torch
from torch.nn import functional as TF

from minis2s import functional as F
from mutants.otherwise import Register
from mutants.otherwise.shapes import (
    D,
    H,
    N,
    S,
    T,
    V,
    arrays,
    attention,
    classes,
    convolution,
    image,
    step,
    table_first,
    transposed_convolution,
    unmasked,
)


def adapted(function):
    """A PyTorch function as `(y, backward)` on NumPy arrays."""

    def call(*inputs):
        tensors = [torch.tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]
        floats = [t for t in tensors if isinstance(t, torch.Tensor) and t.is_floating_point()]
        for t in floats:
            t.requires_grad_()
        y = function(*tensors)
        outputs = y if isinstance(y, tuple) else (y,)

        def backward(*upstream):
            dys = [torch.tensor(dy) for dy in upstream]
            found = iter(torch.autograd.grad(outputs, floats, dys, retain_graph=True))
            grads = tuple(next(found).numpy().copy() if any(t is f for f in floats) else None for t in tensors)
            return grads if len(grads) > 1 else grads[0]

        values = tuple(o.detach().numpy().copy() for o in outputs)
        return (values if isinstance(y, tuple) else values[0]), backward

    call.__name__ = f"torch_{function.__name__}"
    return call


rewritten = Register()


def taken(inputs, reference=None):
    """Register a PyTorch function."""
    return lambda function: rewritten(inputs, reference)(adapted(function))


def run(kind, x, states, weights):
    """Run PyTorch's recurrent layer with weights from outside."""
    layer = kind(x.shape[2], states[0].shape[1], dtype=x.dtype)
    names = [name for name, _ in layer.named_parameters()]
    state = tuple(s[None] for s in states)
    y, last = torch.func.functional_call(
        layer, dict(zip(names, weights, strict=True)), (x, state if len(state) > 1 else state[0])
    )
    return (y, *(s[0] for s in last)) if isinstance(last, tuple) else (y, last[0])


@taken(unmasked(1, 1), F.rnn)
def rnn(x, h0, *weights):
    return run(torch.nn.RNN, x, (h0,), weights)


@taken(unmasked(3, 1), F.gru)
def gru(x, h0, *weights):
    return run(torch.nn.GRU, x, (h0,), weights)


@taken(unmasked(4, 2), F.lstm)
def lstm(x, h0, c0, *weights):
    return run(torch.nn.LSTM, x, (h0, c0), weights)


@taken(step(4, 2), F.lstm_step)
def lstm_cell(x, h, c, w_ih, w_hh, b_ih, b_hh):
    cell = torch.nn.LSTMCell(x.shape[1], h.shape[1], dtype=x.dtype)
    parameters = {"weight_ih": w_ih, "weight_hh": w_hh, "bias_ih": b_ih, "bias_hh": b_hh}
    return torch.func.functional_call(cell, parameters, (x, (h, c)))


@taken(arrays((T, N, D), (H, D), (H,)), F.linear)
def linear(x, weight, bias):
    return TF.linear(x, weight, bias)


@taken(table_first)
def embedding(weight, ids):
    return TF.embedding(ids, weight)


@taken(arrays((N, T, S), scale=2), F.softmax)
def softmax(x):
    return TF.softmax(x, dim=-1)


@taken(arrays((N, S), scale=2), F.log_softmax)
def log_softmax(x):
    return TF.log_softmax(x, dim=-1)


@taken(arrays((N, S), scale=2), F.gelu)
def gelu(x):
    return TF.gelu(x, approximate="tanh")


@taken(arrays((N, S), scale=2))
def elu_then_swish(x):
    return TF.silu(TF.elu(x))


@taken(arrays((T, N, D), (D,), (D,)), F.layer_norm)
def layer_norm(x, weight, bias):
    return TF.layer_norm(x, weight.shape, weight, bias)


@taken(arrays((4, 3, 2, 2), (3,), (3,)))
def batch_norm(x, weight, bias):
    return TF.batch_norm(x, None, None, weight, bias, training=True)


@taken(arrays((2, 4, 3, 3), (4,), (4,)))
def group_norm(x, weight, bias):
    return TF.group_norm(x, 2, weight, bias)


@taken(convolution)
def conv2d(x, weight, bias):
    return TF.conv2d(x, weight, bias, stride=2, padding=1)


@taken(transposed_convolution)
def conv_transpose2d(x, weight, bias):
    return TF.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)


@taken(image)
def max_pool2d(x):
    return TF.max_pool2d(x, 3, stride=2, padding=1)


@taken(image)
def avg_pool2d(x):
    return TF.avg_pool2d(x, 2)


@taken(classes)
def cross_entropy(logits, target):
    return TF.cross_entropy(logits.reshape(-1, V), target.reshape(-1), label_smoothing=0.1)


@taken(lambda rng: (2 * rng.standard_normal((3, 4)), rng.random((3, 4))))
def binary_cross_entropy(logits, target):
    return TF.binary_cross_entropy_with_logits(logits, target)


@taken(arrays((2, T, H), (2, S, H), (2, S, H)))
def scaled_dot_product_attention(q, k, v):
    return TF.scaled_dot_product_attention(q, k, v)


@taken(attention, F.attend)
def attend(scores, memory, mask):
    weights = torch.softmax(scores.masked_fill(~mask.T[:, None], -torch.inf), dim=-1)
    return torch.einsum("nts,snh->tnh", weights, memory), weights
