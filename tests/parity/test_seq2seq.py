"""Whole models and optimizers against PyTorch: equal weights and batches give equal losses, gradients and training."""

import numpy as np
import pytest
from batches import random_batch

from minis2s import nn, optim
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.nn.module import Parameter, ParameterBuffer

pytestmark = pytest.mark.parity

V, W = 23, 19  # source and target vocabulary
SCORES = ("dot", "scaled_dot", "general", "additive", "location")


def make_models(dtype, **options):
    """Ours and the twin, with the same weights."""
    from twin import TorchSeq2Seq

    config = Seq2SeqConfig(V, W, **{"embedding": 7, "hidden": 6, "max_length": 12} | options)
    ours = Seq2Seq(config, np.random.default_rng(3)).to(dtype=dtype)
    return ours, TorchSeq2Seq.like(ours)


def gradients(torch_model):
    return {name: p.grad.numpy() for name, p in torch_model.named_parameters()}


def assert_same_step(ours, theirs, batch):
    """Loss and every gradient of one batch, in float64."""
    ours.zero_grad()
    loss, count = ours.loss_and_backward(batch)
    expected = theirs(batch)
    expected.backward()
    assert count == batch.target_mask.sum()
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    own = {name: p.grad for name, p in ours.named_parameters()}
    wanted = gradients(theirs)
    assert own.keys() == wanted.keys()
    for name, gradient in own.items():
        assert np.abs(wanted[name]).max() > 0, f"{name} has no gradient: nothing is compared"
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("bidirectional", "score"),
    [(True, "general"), (True, "additive"), (True, "location"), *((False, score) for score in SCORES)],
)  # a dot product needs a decoder as wide as the memory: not that of two directions
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_loss_and_gradients(torch, cell, bidirectional, score):
    ours, theirs = make_models(np.float64, cell=cell, bidirectional=bidirectional, score=score)
    batch = random_batch(np.random.default_rng(5), [7, 2, 5, 1], [3, 6, 1, 4], min(V, W))
    assert_same_step(ours, theirs, batch)


@pytest.mark.parametrize(
    "options",
    [{"label_smoothing": 0.1}, {"layers": 2}, {"layers": 2, "cell": "lstm", "label_smoothing": 0.2}],
    ids=str,
)
def test_options(torch, options):
    ours, theirs = make_models(np.float64, **options)
    assert_same_step(ours, theirs, random_batch(np.random.default_rng(6), [7, 2, 5], [3, 6, 1], min(V, W)))


def test_a_batch_without_padding(torch):
    ours, theirs = make_models(np.float64)
    assert_same_step(ours, theirs, random_batch(np.random.default_rng(6), [4, 4, 4], [3, 3, 3], min(V, W)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-9)])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_first_50_losses(torch, cell, dtype, tolerance):
    """Adam, clipping and ragged batches, from the same weights."""
    from parity import largest_difference, losses_side_by_side

    options = {"cell": cell, "embedding": 16, "hidden": 24, "label_smoothing": 0.1}
    ours, theirs = make_models(dtype, **options)
    rng = np.random.default_rng(8)
    batches = [random_batch(rng, rng.integers(1, 11, 12), rng.integers(1, 11, 12), min(V, W)) for _ in range(50)]
    own, wanted = losses_side_by_side(ours, theirs, batches, lr=0.01, max_norm=0.5)
    assert own[0] - own[-1] > 0.1  # they learn
    assert largest_difference(own, wanted) <= tolerance


# ----------------------------------------------------------------------------------------------------- optimizers


OPTIMIZERS = {
    "sgd": (optim.SGD, "SGD", {}),
    "momentum": (optim.SGD, "SGD", {"momentum": 0.9}),
    "adagrad": (optim.Adagrad, "Adagrad", {}),
    "rmsprop": (optim.RMSProp, "RMSprop", {}),
    "adam": (optim.Adam, "Adam", {}),
    "adam-betas": (optim.Adam, "Adam", {"betas": (0.5, 0.9), "eps": 1e-3}),
    "adam-l2": (optim.Adam, "Adam", {"weight_decay": 0.1}),
    "adamw": (optim.AdamW, "AdamW", {}),
    "adamw-decay": (optim.AdamW, "AdamW", {"weight_decay": 0.3}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(torch, name):
    """Every parameter after each of 20 steps, gradients of all sizes and the learning rate changing on the way."""
    ours, theirs, options = OPTIMIZERS[name]
    rng = np.random.default_rng(9)
    buffer = ParameterBuffer([Parameter(rng.normal(size=shape)) for shape in ((3, 4), (5,))])
    tensors = [torch.nn.Parameter(torch.tensor(p.data)) for p in buffer.parameters]
    own, wanted = ours(buffer, lr=0.05, **options), getattr(torch.optim, theirs)(tensors, lr=0.05, **options)
    for step in range(20):
        buffer.grad[...] = rng.normal(size=buffer.grad.shape) * 10.0 ** rng.integers(-4, 3, buffer.grad.shape)
        for p, tensor in zip(buffer.parameters, tensors, strict=True):
            tensor.grad = torch.tensor(p.grad)
        own.lr = wanted.param_groups[0]["lr"] = 0.05 / (1 + step)
        own.step()
        wanted.step()
        for p, tensor in zip(buffer.parameters, tensors, strict=True):
            np.testing.assert_allclose(p.data, tensor.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping(torch, max_norm):
    rng = np.random.default_rng(1)
    buffer = ParameterBuffer([Parameter(rng.normal(size=shape)) for shape in ((3, 4), (5,))])
    buffer.grad[...] = rng.normal(size=buffer.grad.shape)
    tensors = [torch.nn.Parameter(torch.tensor(p.data)) for p in buffer.parameters]
    for p, tensor in zip(buffer.parameters, tensors, strict=True):
        tensor.grad = torch.tensor(p.grad)
    norm = optim.clip_global_norm(buffer, max_norm)
    assert float(norm) == pytest.approx(torch.nn.utils.clip_grad_norm_(tensors, max_norm).item(), rel=1e-12)
    for p, tensor in zip(buffer.parameters, tensors, strict=True):
        np.testing.assert_allclose(p.grad, tensor.grad.numpy(), rtol=1e-13)


# ----------------------------------------------------------------------------------------------------- state_dict


LAYERS = {
    "RNN": lambda m, **k: m.RNN(5, 4, **k),
    "GRU": lambda m, **k: m.GRU(5, 4, **k),
    "GRU-2-bidirectional": lambda m, **k: m.GRU(5, 4, 2, bidirectional=True, **k),
    "LSTM": lambda m, **k: m.LSTM(5, 4, **k),
    "LSTM-2-bidirectional": lambda m, **k: m.LSTM(5, 4, 2, bidirectional=True, **k),
    "Linear": lambda m, **k: m.Linear(5, 4, **k),
    "Linear-no_bias": lambda m, **k: m.Linear(5, 4, bias=False, **k),
    "Embedding": lambda m, **k: m.Embedding(5, 4, **k),
    "LayerNorm": lambda m, **k: m.LayerNorm(5, **{name: v for name, v in k.items() if name != "rng"}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_weights_go_both_ways(torch, name):
    """Ours, theirs, ours again: the same names, shapes, and bits; and the two layers then say the same."""
    first, second = (LAYERS[name](nn, rng=np.random.default_rng(seed)) for seed in (1, 2))
    theirs = LAYERS[name](torch.nn)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in first.state_dict().items()})
    second.load_state_dict(theirs.state_dict())
    for key, value in first.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[key], value)
    x = np.random.default_rng(3).normal(size=(6, 3, 5)).astype(np.float32)
    x = np.abs(x).astype(np.int64) if name == "Embedding" else x
    y, _ = second(x)
    expected = theirs(torch.from_numpy(x))
    if isinstance(expected, tuple):  # a recurrent net: outputs and the final state
        (y, state), (expected, their_state) = y, expected
        pairs = zip(state, their_state, strict=True) if isinstance(state, tuple) else [(state, their_state)]
        for s, t in pairs:
            np.testing.assert_allclose(s, t.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_whole_models_weights_go_both_ways(torch):
    ours, theirs = make_models(np.float32, cell="lstm", layers=2)
    other = Seq2Seq(ours.config, np.random.default_rng(99))
    other.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(other.buffer.data, ours.buffer.data)


# ------------------------------------------------------------------------------------------- initial distributions


SHAPES = {
    "RNN": lambda m, **k: m.RNN(50, 64, **k),
    "GRU": lambda m, **k: m.GRU(50, 64, **k),
    "LSTM": lambda m, **k: m.LSTM(50, 64, 2, bidirectional=True, **k),
    "Linear": lambda m, **k: m.Linear(100, 80, **k),
    "Embedding": lambda m, **k: m.Embedding(200, 50, padding_idx=0, **k),
    "LayerNorm": lambda m, **k: m.LayerNorm(5, **{name: v for name, v in k.items() if name != "rng"}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_initial_weights_have_the_same_distribution(torch, name):
    """Mean, spread, and for uniform ones the bounds; and an embedding's padding row is zero in both."""
    torch.manual_seed(0)
    ours = SHAPES[name](nn, rng=np.random.default_rng(0)).state_dict()
    theirs = {key: value.numpy() for key, value in SHAPES[name](torch.nn).state_dict().items()}
    assert list(ours) == list(theirs)
    for key, own in ours.items():
        wanted = theirs[key]
        assert own.dtype == wanted.dtype
        error = wanted.std() / np.sqrt(own.size)  # of a mean
        assert abs(own.mean() - wanted.mean()) <= 6 * error, key
        assert own.std() == pytest.approx(wanted.std(), abs=6 * error), key
        if name != "Embedding":
            assert np.abs(own).max() == pytest.approx(np.abs(wanted).max(), rel=20 / own.size), key
            assert np.abs(own).max() <= 1 / np.sqrt(ours["weight_hh_l0"].shape[1] if "weight_hh_l0" in ours else 1)
    if name == "Embedding":
        assert not ours["weight"][0].any()
        assert not theirs["weight"][0].any()
