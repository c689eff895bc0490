"""The mutants are what they say: right code with one mistake, in the backward pass alone."""

import numpy as np
import pytest

from minis2s import functional as F
from mutants import developed_on, held_out, library_case
from mutants.mending import mended

MENDED = mended()
MUTANTS = {mutant.name: mutant for mutant in [*developed_on(), *held_out()]}


def attention(q, k, v):
    """Of arrays (N, L, D), by the library."""
    scores, _ = F.scaled_dot_scores(q.swapaxes(0, 1), k.swapaxes(0, 1))
    return F.attend(scores, v.swapaxes(0, 1))[0][0].swapaxes(0, 1)


def heads(q, k, v):
    """Three heads of two features."""
    return np.concatenate([attention(*(a[:, :, h : h + 2] for a in (q, k, v))) for h in (0, 2, 4)], axis=2)


def network(x, h0, W, U, b):
    """An Elman network, batch first, weights (D, H) and (H, H)."""
    return F.rnn(x.swapaxes(0, 1), h0, W.T, U.T, b, 0 * b)[0][0].swapaxes(0, 1)


def memory(x, h0, W, U, b):
    """A long short-term memory, batch first, gates in the order i f o g, from a cell of zeros."""
    W, U, b = (np.concatenate([i, f, g, o]) for i, f, o, g in (np.split(w.T, 4) for w in (W, U, b)))
    return F.lstm(x.swapaxes(0, 1), h0, 0 * h0, W, U, b, 0 * b)[0][0].swapaxes(0, 1)


def gates(x, h, c, *weights):
    """One step, a matrix a gate, in the order f i g o."""
    (Wf, Wi, Wg, Wo), (Uf, Ui, Ug, Uo) = weights[:4], weights[4:]
    none = np.zeros(4 * h.shape[1])
    return F.lstm_step(x, h, c, np.hstack([Wi, Wf, Wg, Wo]).T, np.hstack([Ui, Uf, Ug, Uo]).T, none, none)[0]


REFERENCES = {
    "rnn_step_pair_linear": lambda x, h, W, U, b: F.rnn_step(x, h, W.T, U.T, b, 0 * b)[0],
    **dict.fromkeys(
        [
            "rnn_no_flow",
            "rnn_overwrites_weights",
            "time_rnn_never_cleared",
            "rnn_adds_the_carry_into_the_gradient_it_was_given",
        ],
        network,
    ),
    "lstm_drops_next_c": memory,
    **dict.fromkeys(["lstm_gates_apart_mixed_up", "lstm_gates_apart_returned_in_another_order"], gates),
    **dict.fromkeys(["softmax_as_if_sigmoid", "softmax_summed_over_the_batch"], lambda x: F.softmax(x)[0]),
    **dict.fromkeys(
        [
            "attention_softmax_passed_straight",
            "attention_softmax_backward_called_twice",
            "attention_key_unscaled",
            "attention_gradients_for_keys_and_values_swapped",
        ],
        attention,
    ),
    "multi_head_merged_wrongly": heads,
    **dict.fromkeys(
        ["cross_entropy_sum_not_mean", "cross_entropy_softmax_of_softmax"], lambda x, y: F.cross_entropy(x, y)[0][0]
    ),
    **dict.fromkeys(["mse_without_the_two", "mse_divided_by_the_batch"], lambda x, y: ((x - y) ** 2).mean()),
    "bce_target_first": lambda x, y: -np.where(y, *(np.log(F.sigmoid(s * x)[0]) for s in (1, -1))).mean(),
    "affine_pair_mean_bias": lambda x, w, b: F.linear(x.reshape(len(x), -1), w.T, b)[0],
    "affine_class_weight_not_turned": lambda x, w, b: F.linear(x, w.T, b)[0],
    "layernorm_pair_variance_constant": lambda *inputs: F.layer_norm(*inputs)[0],
    **dict.fromkeys(
        ["batchnorm_graph_mean_node_skipped", "batchnorm_one_less_than_the_batch"],
        lambda x, w, b: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * w + b,
    ),
    "group_norm_as_if_one_group": lambda x: F.group_norm(x, np.ones(4), np.zeros(4), num_groups=2)[0],
    "conv_dx_with_the_kernel_as_it_is": lambda *inputs: F.conv2d(*inputs, padding=1)[0],
    "conv_naive_padding_cut_at_one_end": lambda *inputs: F.conv2d(*inputs, stride=2, padding=1)[0],
    "conv_bias_of_the_last_image": lambda *inputs: F.conv2d(*inputs)[0],
    "transposed_conv_weight_axes": lambda x, w: F.conv_transpose2d(x, w, None, stride=2)[0],
    "max_pool_shares_with_all": lambda x: F.max_pool2d(x, kernel_size=2)[0],
    "average_pool_not_divided": lambda x: F.avg_pool2d(x, kernel_size=2)[0],
}


def first_of(function):
    return function[0] if isinstance(function, tuple) else function


def assert_same(y, expected):
    for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (y, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_all_are_mended():
    assert set(MENDED) == set(MUTANTS)


@pytest.mark.parametrize("name", MENDED)
def test_is_right_once_mended(name):
    report = MENDED[name].check()
    assert report.verdict == "right", str(report)


@pytest.mark.parametrize("name", [name for name, m in MENDED.items() if m.like or name in REFERENCES])
def test_gives_the_outputs_of_the_library(name):
    mutant = MENDED[name]
    y = first_of(mutant.function)(*mutant.inputs())[0]
    if mutant.like:
        expected = library_case(mutant.like).function(*mutant.inputs())[0]
    else:
        expected = REFERENCES[name](*mutant.inputs())
    assert_same(y, expected)


def test_each_rate_is_of_enough():
    assert len(MENDED) >= 100
    assert len(held_out()) >= len(MENDED) / 4
