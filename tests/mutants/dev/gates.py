"""Gates of layers: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid


@mutant(
    "gated_skip_lets_back_one_plus_the_gate",
    cause="wrong-sign",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 4, 5), (5, 5), (5,), (5, 5)]),
    wrong=("dx",),
    note="a plus where the minus of 1 - gate belongs",
)
def gated_skip_lets_back_one_plus_the_gate(x, W, b, V):
    gate = 1 / (1 + np.exp(-(x @ W + b)))
    h = np.tanh(x @ V)
    y = gate * h + (1 - gate) * x

    def backward(dy):
        dz = dy * (h - x) * gate * (1 - gate)
        dv = dy * gate * (1 - h**2)
        rows = x.reshape(-1, x.shape[-1])
        # right: dx = dy * (1 - gate) + dz @ W.T + dv @ V.T
        dx = dy * (1 + gate) + dz @ W.T + dv @ V.T
        dW, dV = (rows.T @ d.reshape(-1, d.shape[-1]) for d in (dz, dv))
        return dx, dW, dz.sum(axis=(0, 1)), dV

    return y, backward


def gates_of_a_layer(rng):
    return (rng.standard_normal((6, 3)), *(0.7 * rng.standard_normal(s) for s in [(3, 4), (4, 5), (4, 5), (4, 5)]))


@mutant("gates_overwrite_the_gradient_of_their_layer", cause="branch-missing", inputs=gates_of_a_layer,
        wrong=("dx", "dE"))  # fmt: skip
def gates_overwrite_the_gradient_of_their_layer(x, E, Wi, Wo, Wg):
    """Two gates and a candidate look at the same hidden layer."""
    h = np.tanh(x @ E)
    i, o, g = 1 / (1 + np.exp(-h @ Wi)), 1 / (1 + np.exp(-h @ Wo)), np.tanh(h @ Wg)
    c = np.tanh(i * g)

    def backward(dy):
        dc = dy * o * (1 - c**2)
        di, do, dg = dc * g * i * (1 - i), dy * c * o * (1 - o), dc * i * (1 - g**2)
        dh = np.zeros_like(h)
        for d, W in ((di, Wi), (do, Wo), (dg, Wg)):
            dh = d @ W.T  # right: dh += d @ W.T
        da = dh * (1 - h**2)
        return da @ E.T, x.T @ da, h.T @ di, h.T @ do, h.T @ dg

    return o * c, backward


@mutant(
    "wavenet_unit_filter_opened_by_itself",
    cause="wrong-gate",
    also=("missing-factor",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 3), (3, 4), (4,), (3, 4), (4,)]),
    wrong=("dx", "dWf", "dbf"),
    note="of the two factors each gets the other, here the first got itself",
)
def wavenet_unit_filter_opened_by_itself(x, Wf, bf, Wg, bg):
    """What the filter sees, as far as the gate is open."""
    filt = np.tanh(x @ Wf + bf)
    gate = sigmoid(x @ Wg + bg)

    def backward(dout):
        dfilt = dout * filt  # right: dfilt = dout * gate
        dgate = dout * filt
        dzf = dfilt * (1 - filt**2)
        dzg = dgate * gate * (1 - gate)
        dx = dzf @ Wf.T + dzg @ Wg.T
        return dx, x.T @ dzf, dzf.sum(axis=0), x.T @ dzg, dzg.sum(axis=0)

    return filt * gate, backward


def gated_unit_inputs(rng):
    """Rows (N, D), then matrix and bias of the values, and of the gates."""
    return tuple(rng.standard_normal(s) for s in [(5, 3), (3, 4), (4,), (3, 4), (4,)])


@mutant(
    "gated_linear_unit_gate_without_its_value",
    cause="missing-factor",
    inputs=gated_unit_inputs,
    wrong=("dx", "dV", "dc"),
    note="the slope of the sigmoid is there, what the gate lets through is not",
)
def gated_linear_unit_gate_without_its_value(x, W, b, V, c):
    value = x @ W + b
    gate = 1 / (1 + np.exp(-(x @ V + c)))

    def backward(dout):
        dvalue = dout * gate
        dpre = dout * gate * (1 - gate)  # right: dpre = dout * value * gate * (1 - gate)
        dx = dvalue @ W.T + dpre @ V.T
        return dx, x.T @ dvalue, dvalue.sum(axis=0), x.T @ dpre, dpre.sum(axis=0)

    return value * gate, backward
