"""Every layer and optimizer on the device: the host's numbers, nothing leaks, nothing waits."""

from collections.abc import Callable

import numpy as np
import pytest
from function_cases import SOURCE_MASK, D, H, N, S, T, V

from minis2s import backend, nn
from minis2s.nn.attention import SCORES
from minis2s.optim import OPTIMIZERS, clip_global_norm

R = np.random.default_rng(8)
X, QUERY, MEMORY = (R.normal(size=shape).astype(np.float32) for shape in ((S, N, D), (T, N, H), (S, N, H)))
STATE = R.normal(size=(4, N, H)).astype(np.float32)


def attend(layer, query, memory, mask):
    """One look at the memory, keys included."""
    keys, keys_backward = layer.keys(memory)
    (context, _, log_prob), backward = layer(query, keys, memory, mask)

    def whole_backward(dcontext, dlog_prob=None):
        dquery, dkeys, dmemory = backward(dcontext, dlog_prob)
        return dquery, dmemory if dkeys is None else dmemory + keys_backward(dkeys)

    return (context, log_prob), whole_backward


def call(layer, *inputs):
    return layer(*inputs)


def rnn(kind, **options):
    return lambda rng: kind(D, H, num_layers=2, bidirectional=True, rng=rng, **options)


PICTURES, ROWS = R.normal(size=(3, 4, 6, 5)).astype(np.float32), R.normal(size=(6, 4)).astype(np.float32)
INDICES = np.arange(30).reshape(5, 6).T.reshape(1, 1, 6, 5).repeat(3, axis=0).repeat(4, axis=1)


def tracked(layer, x):
    """The running statistics too: they are part of what a step makes."""
    y, backward = layer(x)
    return (y, layer.running_mean.data, layer.running_var.data), lambda dy, *_: backward(dy)


def evaluated(layer, x):
    return layer.eval()(x)


PICTURE_LAYERS: dict[str, tuple[Callable, Callable, tuple]] = {
    "Conv2d": (lambda rng: nn.Conv2d(4, 6, (3, 2), 2, 1, rng=rng), call, (PICTURES,)),
    "Conv2d-groups": (lambda rng: nn.Conv2d(4, 6, 3, groups=2, bias=False, rng=rng), call, (PICTURES,)),
    "ConvTranspose2d": (lambda rng: nn.ConvTranspose2d(4, 3, 3, 2, 1, 1, rng=rng), call, (PICTURES,)),
    "BatchNorm2d": (lambda rng: nn.BatchNorm2d(4), tracked, (PICTURES,)),
    "BatchNorm2d-eval": (lambda rng: nn.BatchNorm2d(4), evaluated, (PICTURES,)),
    "BatchNorm1d": (lambda rng: nn.BatchNorm1d(4), tracked, (ROWS,)),
    "GroupNorm": (lambda rng: nn.GroupNorm(2, 4), call, (PICTURES,)),
    "MaxPool2d": (lambda rng: nn.MaxPool2d(2), call, (PICTURES,)),
    "AvgPool2d": (lambda rng: nn.AvgPool2d(3, 2, 1), call, (PICTURES,)),
    "MaxUnpool2d": (lambda rng: nn.MaxUnpool2d(2), call, (PICTURES, INDICES)),
    "Upsample": (lambda rng: nn.Upsample(scale_factor=2), call, (PICTURES,)),
    "Upsample-bilinear": (lambda rng: nn.Upsample((7, 9), mode="bilinear"), call, (PICTURES,)),
    "Sequential": (
        lambda rng: nn.Sequential(nn.Conv2d(4, 2, 3, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3, rng=rng)),
        call,
        (PICTURES,),
    ),
    "Flatten": (lambda rng: nn.Flatten(), call, (PICTURES,)),
    "Unflatten": (lambda rng: nn.Unflatten((2, 2, 1)), call, (ROWS,)),
    "LeakyReLU": (lambda rng: nn.LeakyReLU(0.2), call, (PICTURES,)),
    "ELU": (lambda rng: nn.ELU(0.7), call, (PICTURES,)),
    **{
        name: (lambda rng, name=name: getattr(nn, name)(), call, (PICTURES,))
        for name in ("ReLU", "SiLU", "Softplus", "Sigmoid", "Tanh")
    },
}

LAYERS: dict[str, tuple[Callable, Callable, tuple]] = {  # make, call, inputs
    "Linear": (lambda rng: nn.Linear(D, H, rng=rng), call, (X,)),
    "Linear-no_bias": (lambda rng: nn.Linear(D, H, bias=False, rng=rng), call, (X,)),
    "Embedding": (lambda rng: nn.Embedding(V, D, padding_idx=0, rng=rng), call, (np.array([[1, 0, 4], [1, 6, 0]]),)),
    "Dropout": (lambda rng: nn.Dropout(0.4, rng=rng), call, (X,)),
    "LayerNorm": (lambda rng: nn.LayerNorm(D), call, (X,)),
    "RNN": (rnn(nn.RNN, dropout=0.3), call, (X, STATE, SOURCE_MASK)),
    "GRU": (rnn(nn.GRU, dropout=0.3), call, (X, STATE, SOURCE_MASK)),
    "LSTM": (rnn(nn.LSTM, dropout=0.3), call, (X, (STATE, STATE[::-1].copy()), SOURCE_MASK)),
    "Attention-hard": (
        lambda rng: nn.Attention("general", H, H, rng=rng, hard=True),
        attend,
        (QUERY, MEMORY, SOURCE_MASK),
    ),
    **{
        f"Attention-{score}": (
            lambda rng, score=score: nn.Attention(score, H, H, rng=rng, max_length=S),
            attend,
            (QUERY, MEMORY, SOURCE_MASK),
        )
        for score in SCORES
    },
    **PICTURE_LAYERS,
}


def flat(x):
    """All arrays in nested tuples, on the host."""
    if isinstance(x, tuple):
        return [array for part in x for array in flat(part)]
    return [] if x is None else [backend.to_numpy(x)]


def upstream(outputs, rng):
    """Random gradients, in the structure of the outputs."""
    if outputs is None or isinstance(outputs, tuple):
        return outputs and tuple(upstream(y, rng) for y in outputs)
    return rng.normal(size=outputs.shape).astype(outputs.dtype)


def arguments(dy):
    return dy if isinstance(dy, tuple) else (dy,)


def test_every_layer_is_here():
    layers = {name for name in nn.__all__ if issubclass(getattr(nn, name), nn.Module)} - {"Module"}
    assert layers <= {name.split("-")[0] for name in LAYERS}


@pytest.mark.usefixtures("same_random_numbers")
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, device):
    make, forward, inputs = LAYERS[name]
    on_host = make(np.random.default_rng(1)).to("cpu")
    outputs, backward = forward(on_host, *inputs)
    dy = upstream(outputs, np.random.default_rng(2))
    dx = backward(*arguments(dy))

    layer = make(np.random.default_rng(1)).to("cuda")
    inputs, dy = device.put(inputs), device.put(dy)
    with device.strict():
        y, backward = forward(layer, *inputs)
        dx_on_device = backward(*arguments(dy))
    for got, expected in zip(
        flat((y, dx_on_device, layer.buffer.grad)), flat((outputs, dx, on_host.buffer.grad)), strict=True
    ):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=device.tolerance, atol=device.tolerance)


def test_state_dict_crosses_between_devices(device):
    on_host = nn.LSTM(D, H, rng=np.random.default_rng(1))
    on_device = nn.LSTM(D, H, rng=np.random.default_rng(2)).to("cuda")
    on_device.load_state_dict(on_host.state_dict())
    assert on_device.device == "cuda"
    back = on_device.state_dict()
    for name, value in on_host.state_dict().items():
        np.testing.assert_array_equal(back[name], value)
    on_device.to("cpu")
    assert on_device.device == "cpu"
    np.testing.assert_array_equal(on_device.weight_hh_l0.data, on_host.weight_hh_l0.data)
    assert np.shares_memory(on_device.weight_hh_l0.data, on_device.buffer.data)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name, device):
    def three_steps(where):
        layer = nn.Linear(D, H, rng=np.random.default_rng(1)).to(where)
        optimizer = OPTIMIZERS[name](layer.buffer, lr=0.1)
        norms = []
        rng = np.random.default_rng(2)
        gradients = [backend.to_device(rng.normal(size=15).astype(np.float32), where) for _ in range(3)]
        with device.strict():
            for gradient in gradients:
                layer.zero_grad()
                layer.buffer.grad += gradient
                norms.append(clip_global_norm(layer.buffer, 2.0))
                optimizer.step()
        return flat((layer.buffer.data, *norms)) + list(optimizer.state_dict().values()), optimizer

    expected, on_host = three_steps("cpu")
    got, on_device = three_steps("cuda")
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=device.tolerance, atol=device.tolerance)
    on_device.load_state_dict(on_host.state_dict())
    for key, value in on_host.state_dict().items():
        np.testing.assert_array_equal(on_device.state_dict()[key], value)
