"""JAX's own functions behind the library's contract: `jax.vjp` is the same idea, and answers for the backward pass."""

from functools import partial
from math import sqrt

import jax
import numpy as np
from jax import numpy as jnp

from minis2s import functional as F
from mutants.otherwise import Register
from mutants.otherwise.shapes import D, H, N, S, T, arrays, attention, classes, convolution, masked_classes, unmasked


def adapted(function):
    """A JAX function as `(y, backward)` on NumPy arrays, in float64."""
    forward = jax.jit(function)

    @partial(jax.jit, static_argnums=0)
    def pull(places, inputs, dy):
        def of_floats(*floats):
            whole = list(inputs)
            for k, x in zip(places, floats, strict=True):
                whole[k] = x
            return function(*whole)

        _, vjp = jax.vjp(of_floats, *(inputs[k] for k in places))
        return vjp(dy)

    def call(*inputs):
        places = tuple(k for k, x in enumerate(inputs) if np.issubdtype(x.dtype, np.floating))
        with jax.enable_x64(True):
            y = forward(*inputs)

        def backward(*upstream):
            with jax.enable_x64(True):
                found = pull(places, inputs, upstream if isinstance(y, tuple) else upstream[0])
            grads = [None] * len(inputs)
            for k, dx in zip(places, found, strict=True):
                grads[k] = np.array(dx)
            return tuple(grads) if len(grads) > 1 else grads[0]

        return (tuple(map(np.array, y)) if isinstance(y, tuple) else np.array(y)), backward

    call.__name__ = f"jax_{function.__name__}"
    return call


rewritten = Register()


def taken(inputs, reference=None):
    """Register a JAX function."""
    return lambda function: rewritten(inputs, reference)(adapted(function))


@taken(arrays((T, N, D), (H, D), (H,)), F.linear)
def linear(x, weight, bias):
    return jnp.einsum("tnd,hd->tnh", x, weight) + bias


@taken(unmasked(4, 2), F.lstm)
def lstm_by_scan(x, h0, c0, w_ih, w_hh, b_ih, b_hh):
    def step(state, x_t):
        h, c = state
        i, f, g, o = jnp.split(x_t @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (h, c), y = jax.lax.scan(step, (h0, c0), x)
    return y, h, c


@taken(arrays((N, S), scale=2), F.softmax)
def softmax(x):
    return jax.nn.softmax(x)


@taken(arrays((N, S), scale=2), F.gelu)
def gelu(x):
    return jax.nn.gelu(x, approximate=True)


@taken(classes)
def cross_entropy(logits, target):
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, target[..., None], axis=-1).mean()


@taken(masked_classes)
def cross_entropy_masked(logits, target, mask):
    picked = (jax.nn.one_hot(target, logits.shape[-1]) * logits).sum(-1)
    return jnp.where(mask, jax.nn.logsumexp(logits, axis=-1) - picked, 0).sum() / mask.sum()


@taken(attention, F.attend)
def attend(scores, memory, mask):
    weights = jax.nn.softmax(scores, axis=-1, where=mask.T[:, None])
    return jnp.einsum("nts,snh->tnh", weights, memory), weights


@taken(arrays((2, T, H), (2, S, H), (2, S, H)))
def scaled_dot_product_attention(q, k, v):
    return jax.nn.softmax(q @ k.swapaxes(1, 2) / sqrt(q.shape[-1])) @ v


@taken(convolution)
def conv(x, weight, bias):
    return jax.lax.conv_general_dilated(x, weight, (2, 2), ((1, 1), (1, 1))) + bias[:, None, None]


@taken(arrays((T, N, D), (D,), (D,)), F.layer_norm)
def layer_norm(x, weight, bias):
    return jax.nn.standardize(x, axis=-1, epsilon=1e-5) * weight + bias
