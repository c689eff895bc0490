"""Modules and whole models: inputs and every parameter, by name; gradients added to, not overwritten."""

import numpy as np
import pytest
from models_to_test import CONFIGS, make_batch, make_model

from minis2s import functional as F
from minis2s import nn
from minis2s.gradcheck import check
from minis2s.nn import Module, Parameter

RNG = np.random.default_rng(4)
X = RNG.standard_normal((4, 3, 5))
MASK = np.arange(4)[:, None] < np.array([4, 2, 1])


def state(layers, size=4):
    return RNG.standard_normal((layers, 3, size))


def layers():
    rng = np.random.default_rng(0)
    picture = rng.standard_normal((2, 4, 5, 6))
    return {
        "linear": (nn.Linear(5, 2, rng=rng), (X,)),
        "linear without bias": (nn.Linear(5, 2, bias=False, rng=rng), (X,)),
        "embedding": (nn.Embedding(7, 4, rng=rng), (np.array([[1, 2, 1], [3, 1, 0]]),)),
        "layer norm": (nn.LayerNorm(5), (X,)),
        "dropout": (nn.Dropout(0.4, rng=rng), (X,)),
        "rnn": (nn.RNN(5, 4, rng=rng), (X, state(1), MASK)),
        "gru": (nn.GRU(5, 4, 2, 0.3, True, rng=rng), (X, state(4), MASK)),
        "gru without state": (nn.GRU(5, 4, rng=rng), (X,)),
        "gru, mask only": (nn.GRU(5, 4, rng=rng), (X, None, MASK)),
        "lstm": (nn.LSTM(5, 4, rng=rng), (X, (state(1), state(1)), MASK)),
        "attention": (nn.Attention("general", 5, 4, rng=rng), (X, state(6), state(6), None)),
        "convolution": (nn.Conv2d(4, 2, 3, rng=rng), (picture,)),
        "batch norm": (nn.BatchNorm2d(4), (picture,)),
    }


@pytest.mark.parametrize("name", layers())
def test_layers_are_right(name):
    module, inputs = layers()[name]
    before = module.state_dict()
    report = check(module, *inputs)
    assert report.verdict == "right", str(report)
    floats = len([x for x in inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f"])
    floats += sum(len(x) for x in inputs if isinstance(x, tuple))
    parameters = [f"d{n}" for n, _ in module.named_parameters()]
    assert [g.name for g in report.gradients][floats:] == parameters
    assert len(report.gradients) == floats + len(parameters)
    assert all(np.array_equal(value, module.state_dict()[n]) for n, value in before.items())
    assert not any(np.any(p.grad) for p in module.parameters())
    assert all(p.data.dtype == np.float32 for p in module.parameters())


def test_a_state_in_a_tuple_has_names():
    names = [g.name for g in check(*layers()["lstm"][:1], *layers()["lstm"][1]).gradients]
    assert names[:4] == ["dx", "dstate.0", "dstate.1", "dweight_ih_l0"]


class Affine(Module):
    """A layer with two weights; how it takes its gradients down, a subclass may change."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.weight = Parameter(rng.standard_normal((2, 5)))
        self.bias = Parameter(rng.standard_normal(2))

    def take(self, dweight, dbias):
        self.weight.grad += dweight
        self.bias.grad += dbias

    def forward(self, x):
        y, linear_backward = F.linear(x, self.weight.data, self.bias.data)

        def backward(dy):
            dx, *gradients = linear_backward(dy)
            self.take(*gradients)
            return dx

        return y, backward


def with_take(take):
    return type("Layer", (Affine,), {"take": take})()


def assign(self, dweight, dbias):
    self.weight.grad = dweight
    self.bias.grad += dbias


def assign_in_place(self, dweight, dbias):
    self.weight.grad += dweight
    self.bias.grad[...] = dbias


def forget(self, dweight, dbias):
    self.weight.grad += dweight


def doubled(self, dweight, dbias):
    self.weight.grad += 2 * dweight
    self.bias.grad += dbias


def reshaped(self, dweight, dbias):
    self.weight.grad = self.weight.grad + dweight[:1]
    self.bias.grad = self.bias.grad[None] + dbias


@pytest.mark.parametrize(("take", "name"), [(assign, "weight"), (assign_in_place, "bias")])
def test_finds_gradients_that_are_overwritten(take, name):
    report = check(with_take(take), X)
    assert [problem.cause for problem in report.problems] == ["grad-overwritten"]
    assert f"the gradient of {name} is overwritten" in str(report)
    assert all(g.verdict == "right" for g in report.gradients)


@pytest.mark.parametrize(("take", "name"), [(forget, "dbias"), (doubled, "dweight")])
def test_finds_wrong_parameters(take, name):
    report = check(with_take(take), X)
    assert report.verdict == "wrong"
    assert [g.name for g in report.gradients if g.verdict == "wrong"] == [name]


def test_finds_gradients_of_another_shape():
    report = check(with_take(reshaped), X)
    assert "gradient-shape" in [problem.cause for problem in report.problems]


def test_tied_weights_are_one_parameter():
    class Twice(Module):
        def __init__(self):
            rng = np.random.default_rng(1)
            self.first, self.second = nn.Linear(5, 5, rng=rng), nn.Linear(5, 5, rng=rng)
            self.second.weight = self.first.weight

        def forward(self, x):
            hidden, first_backward = self.first(x)
            y, second_backward = self.second(hidden)
            return y, lambda dy: first_backward(second_backward(dy))

    report = check(Twice(), X)
    assert report.passed, str(report)
    assert [g.name for g in report.gradients] == ["dx", "dfirst.weight", "dfirst.bias", "dsecond.bias"]


@pytest.mark.parametrize("name", ["gru-dot-one_direction", "rnn-location"])
def test_a_model_with_its_loss(name):
    assert name in CONFIGS
    model = make_model(name)
    before = model.buffer.data.copy()
    for way_in in (model.loss_and_backward, model):
        report = check(way_in, make_batch())
        assert report.verdict == "right", str(report)
        assert [g.name for g in report.gradients] == [f"d{n}" for n, _ in model.named_parameters()]
        assert report.function == "Seq2Seq.loss_and_backward"
    np.testing.assert_array_equal(model.buffer.data, before)


def test_a_mistake_in_a_model_is_placed():
    class Halved(type(make_model("gru-dot-one_direction"))):
        def loss_and_backward(self, batch):
            before = self.bridge.h.bias.grad.copy()
            result = super().loss_and_backward(batch)
            self.bridge.h.bias.grad[...] = (self.bridge.h.bias.grad + before) / 2
            return result

    model = make_model("gru-dot-one_direction")
    report = check(Halved(model.config, np.random.default_rng(0)), make_batch())
    assert [g.name for g in report.gradients if g.verdict == "wrong"] == ["dbridge.h.bias"]
