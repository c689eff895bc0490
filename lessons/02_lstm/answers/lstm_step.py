"""Answers to exercise 1 of lesson 2."""

import numpy as np

from minis2s.lessons import right, wrong


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def forward(x, h, c, weight_ih, weight_hh, bias):
    z = x @ weight_ih.T + h @ weight_hh.T + bias
    i, f, g, o = np.split(z, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c_next = f * c + i * g
    return i, f, g, o, c_next, o * np.tanh(c_next)


@wrong("activation-derivative-missing")
def no_slope_for_g(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next + dh_next * o * (1 - t**2)
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg, do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("missing-dc-carry", also=("branch-missing",))
def dc_not_handed_on(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dh_next * o * (1 - t**2)
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("branch-missing", also=("missing-dh-carry",))
def cell_only_from_the_next_step(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next.copy()
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("forget-gate-not-in-carry", also=("missing-factor",))
def f_not_in_dc(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next + dh_next * o * (1 - t**2)
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("permuted-gates")
def pytorch_order_forgotten(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next + dh_next * o * (1 - t**2)
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("wrong-gate")
def input_gate_fed_with_itself(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next + dh_next * o * (1 - t**2)
        di, df, dg = dc * i, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("broadcast-not-summed", also=("gradient-shape",))
def bias_not_summed(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next + dh_next * o * (1 - t**2)
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h, dz.copy()

    return (h_next, c_next), backward


@wrong("derivative-at-preactivation")
def slope_at_the_cell(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next + dh_next * o * (1 - c_next**2)
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("off-by-one")
def next_state_for_the_old_one(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next + dh_next * o * (1 - t**2)
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h_next, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("dy-changed")
def adds_to_the_upstream(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        dc_next += dh_next * o * (1 - t**2)
        di, df, dg, do = dc_next * g, dc_next * c, dc_next * i, dh_next * t
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc_next * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@wrong("missing-factor")
def output_gate_forgotten(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        t = np.tanh(c_next)
        do = dh_next * t
        dc = dc_next + dh_next * (1 - t**2)
        di, df, dg = dc * g, dc * c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)

    return (h_next, c_next), backward


@right
def gate_by_gate(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)
    H = h.shape[1]

    def backward(dh_next, dc_next):
        total = dc_next + dh_next * o / np.cosh(c_next) ** 2
        slopes = {
            0: total * g * i * (1 - i),
            1: total * c * f * (1 - f),
            2: total * i * (1 - g * g),
            3: dh_next * np.tanh(c_next) * o * (1 - o),
        }
        dx, dh = np.zeros_like(x), np.zeros_like(h)
        dweight_ih, dweight_hh, dbias = np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias)
        for k, dz in slopes.items():
            rows = slice(k * H, (k + 1) * H)
            dx += dz @ weight_ih[rows]
            dh += dz @ weight_hh[rows]
            dweight_ih[rows], dweight_hh[rows], dbias[rows] = dz.T @ x, dz.T @ h, dz.sum(axis=0)
        return dx, dh, total * f, dweight_ih, dweight_hh, dbias

    return (h_next, c_next), backward


@right
def one_product_for_both(x, h, c, weight_ih, weight_hh, bias):
    joined, weight = np.hstack([x, h]), np.hstack([weight_ih, weight_hh])
    z = joined @ weight.T + bias
    N, D = x.shape
    i, f, g, o = z.reshape(N, 4, -1).swapaxes(0, 1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c_next = i * g + c * f
    tanh_c = np.tanh(c_next)

    def backward(dh_next, dc_next):
        dc = dh_next * o * (1 - tanh_c) * (1 + tanh_c) + dc_next
        dz = np.stack(
            [dc * g * (i - i * i), dc * c * (f - f * f), dc * i * (1 - g * g), dh_next * tanh_c * (o - o * o)], axis=1
        ).reshape(N, -1)
        djoined, dweight = dz @ weight, dz.T @ joined
        return (
            djoined[:, :D].copy(),
            djoined[:, D:].copy(),
            f * dc,
            dweight[:, :D].copy(),
            dweight[:, D:].copy(),
            np.ones(N) @ dz,
        )

    return (tanh_c * o, c_next), backward


@right
def example_by_example(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o, c_next, h_next = forward(x, h, c, weight_ih, weight_hh, bias)

    def backward(dh_next, dc_next):
        dx, dh, dc = np.zeros_like(x), np.zeros_like(h), np.zeros_like(c)
        dweight_ih, dweight_hh, dbias = np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias)
        for n in range(len(x)):
            dcn = dc_next[n] + dh_next[n] * o[n] * (1 - np.tanh(c_next[n]) ** 2)
            dz = np.concatenate(
                [
                    dcn * g[n] * i[n] * (1 - i[n]),
                    dcn * c[n] * f[n] * (1 - f[n]),
                    dcn * i[n] * (1 - g[n] ** 2),
                    dh_next[n] * np.tanh(c_next[n]) * o[n] * (1 - o[n]),
                ]
            )
            dx[n], dh[n], dc[n] = weight_ih.T @ dz, weight_hh.T @ dz, dcn * f[n]
            dweight_ih += np.outer(dz, x[n])
            dweight_hh += np.outer(dz, h[n])
            dbias += dz
        return dx, dh, dc, dweight_ih, dweight_hh, dbias

    return (h_next, c_next), backward
