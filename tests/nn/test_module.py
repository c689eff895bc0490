"""Modules: how parameters are found, named, moved, saved and loaded."""

import numpy as np
import pytest

from minis2s import nn
from minis2s.nn.module import Module, Parameter, ParameterBuffer


def rng(seed=0):
    return np.random.default_rng(seed)


class Block(Module):
    def __init__(self, seed=0):
        self.linear = nn.Linear(2, 3, rng=rng(seed))
        self.scale = Parameter(np.full(3, 2.0, np.float32))


class Model(Module):
    """Parameters of its own, a module, a list of modules with other things in it, and a tied weight."""

    def __init__(self, seed=0):
        self.blocks = [Block(seed), "not a module", Block(seed + 1)]
        self.embedding = nn.Embedding(4, 3, rng=rng(seed + 2))
        self.output = nn.Linear(3, 4, bias=False, rng=rng(seed + 3))
        self.output.weight = self.embedding.weight
        self.norm = nn.LayerNorm(3)
        self.nothing = None
        self.name = "model"


NAMES = [
    "blocks.0.scale",
    "blocks.0.linear.weight",
    "blocks.0.linear.bias",
    "blocks.2.scale",
    "blocks.2.linear.weight",
    "blocks.2.linear.bias",
    "embedding.weight",
    "norm.weight",
    "norm.bias",
]


def test_names_are_the_attributes():
    assert [name for name, _ in Model().named_parameters()] == NAMES


def test_a_tied_parameter_counts_once_but_is_saved_under_both_names():
    model = Model()
    assert len(list(model.parameters())) == len(NAMES)
    assert model.buffer.data.size == sum(p.data.size for p in model.parameters()) == 2 * (3 + 6 + 3) + 12 + 6
    state = model.state_dict()
    assert sorted(state) == sorted([*NAMES, "output.weight"])
    np.testing.assert_array_equal(state["output.weight"], state["embedding.weight"])
    model.to(dtype=np.float64)
    assert model.output.weight is model.embedding.weight


def test_modules_are_all_modules():
    model = Model()
    assert len(list(model.modules())) == 1 + 2 * 2 + 3
    model.eval()
    assert not any(module.training for module in model.modules())
    assert model.train() is model
    assert all(module.training for module in model.modules())


def test_a_state_is_a_copy_and_comes_back():
    model, other = Model(), Model(seed=10)
    state = model.state_dict()
    state["norm.bias"] += 1
    assert not model.norm.bias.data.any()
    other.load_state_dict(state)
    state["norm.bias"] += 1
    np.testing.assert_array_equal(other.norm.bias.data, 1)
    for name in set(NAMES) - {"norm.bias"}:
        np.testing.assert_array_equal(other.state_dict()[name], model.state_dict()[name])


def test_loading_keeps_the_models_dtype():
    model = Model().to(dtype=np.float64)
    model.load_state_dict(Model(seed=5).state_dict())
    assert model.norm.weight.data.dtype == np.float64
    np.testing.assert_array_equal(model.embedding.weight.data, Model(seed=5).embedding.weight.data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("norm.bias"), r"missing \['norm.bias'\], unknown \[\]"),
        (lambda s: s.update(bias=np.zeros(3)), r"missing \[\], unknown \['bias'\]"),
        (lambda s: s.update({"norm.bias": np.zeros(4)}), r"norm.bias has shape \(4,\), expected \(3,\)"),
        (lambda s: s.update({"embedding.weight": np.zeros((3, 4))}), r"embedding.weight has shape \(3, 4\)"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    model, state = Model(), Model(seed=10).state_dict()
    before = model.buffer.data.copy()
    change(state)
    with pytest.raises(ValueError, match=f"load_state_dict: {message}"):
        model.load_state_dict(state)
    np.testing.assert_array_equal(model.buffer.data, before)


def test_a_buffer_holds_all_parameters_one_after_the_other():
    model = Model()
    values = np.concatenate([p.data.reshape(-1) for p in model.parameters()])
    np.testing.assert_array_equal(model.buffer.data, values)
    model.buffer.data[...] = np.arange(len(values))
    np.testing.assert_array_equal(model.blocks[0].scale.data, [0, 1, 2])
    np.testing.assert_array_equal(model.norm.bias.data, np.arange(len(values))[-3:])


def test_a_buffer_of_nothing():
    assert ParameterBuffer([]).data.shape == (0,)
    assert Module().device == "cpu"
    assert Module().state_dict() == {}


def test_gradients_start_at_zero_and_are_zeroed():
    model = Model()
    assert not model.buffer.grad.any()
    model.embedding.weight.grad += 1
    assert model.buffer.grad.sum() == 12
    model.zero_grad()
    assert not model.embedding.weight.grad.any()


def test_float64_is_float32_and_more():
    model = Model()
    single = model.buffer.data.copy()
    assert single.dtype == np.float32
    assert model.to(dtype=np.float64) is model
    assert model.buffer.data.dtype == model.buffer.grad.dtype == np.float64
    np.testing.assert_array_equal(model.buffer.data, single)
    np.testing.assert_array_equal(model.to(dtype=np.float32).buffer.data, single)


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module does not define forward"):
        Module()(1)
