# ruff: noqa: RUF059 (students unpack every shape)
"""Long short-term memory with examples in columns, as one course writes it: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import draw_2, draw_5, sigmoid


def columns_2(rng):
    """Words (n_x, m, T), a state (n_a, m), then a matrix and a bias of each gate, for [state; word]."""
    n_x, m, T, n_a = 3, 4, 5, 2
    return draw_2((n_x, m, T), (n_a, m), *[(n_a, n_a + n_x), (n_a, 1)] * 4)(rng)


@mutant(
    "column_lstm_state_before_is_not_added",
    cause="missing-dh-carry",
    inputs=columns_2,
    wrong=("dx", "da0", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc", "dWo", "dbo"),
    note="da_prevt is computed at every step and used for da0 only",
)
def column_lstm_state_before_is_not_added(x, a0, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """From a cell of zeros."""
    n_x, m, T_x = x.shape
    n_a = len(a0)
    a, caches = np.zeros((n_a, m, T_x)), []
    a_prev, c_prev = a0, np.zeros_like(a0)
    for t in range(T_x):
        concat = np.concatenate([a_prev, x[:, :, t]])
        ft, it, ot = sigmoid(Wf @ concat + bf), sigmoid(Wi @ concat + bi), sigmoid(Wo @ concat + bo)
        cct = np.tanh(Wc @ concat + bc)
        c_next = ft * c_prev + it * cct
        caches.append((concat, c_prev, c_next, ft, it, cct, ot))
        a_prev, c_prev = ot * np.tanh(c_next), c_next
        a[:, :, t] = a_prev

    def backward(da):
        dx = np.zeros_like(x)
        da_prevt, dc_prevt = np.zeros_like(a0), np.zeros_like(a0)
        dW, db = [np.zeros_like(Wf) for _ in "fico"], [np.zeros_like(bf) for _ in "fico"]
        for t in reversed(range(T_x)):
            concat, c_prev, c_next, ft, it, cct, ot = caches[t]
            da_next = da[:, :, t]  # right: da_next = da[:, :, t] + da_prevt
            dc_next = dc_prevt + da_next * ot * (1 - np.tanh(c_next) ** 2)
            dft, dit = dc_next * c_prev * ft * (1 - ft), dc_next * cct * it * (1 - it)
            dcct, dot = dc_next * it * (1 - cct**2), da_next * np.tanh(c_next) * ot * (1 - ot)
            dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
            for k, d in enumerate((dft, dit, dcct, dot)):
                dW[k] += d @ concat.T
                db[k] += d.sum(axis=1, keepdims=True)
            da_prevt, dx[:, :, t], dc_prevt = dconcat[:n_a], dconcat[n_a:], dc_next * ft
        return dx, da_prevt, dW[0], db[0], dW[1], db[1], dW[2], db[2], dW[3], db[3]

    return a, backward


def column_step(rng):
    """One step: a word (n_x, m), state and cell (n_a, m), the matrices of f i c o, their biases."""
    n_x, m, n_a = 3, 5, 4
    return draw_2((n_x, m), (n_a, m), (n_a, m), *[(n_a, n_a + n_x)] * 4, *[(n_a, 1)] * 4)(rng)


@mutant(
    "column_lstm_cell_bracket_closed_too_late",
    cause="activation-derivative-missing",
    inputs=column_step,
    wrong=("dxt", "da_prev", "dWc", "dbc"),
    note="the slope of the candidate's tanh reaches one of two terms",
)
def column_lstm_cell_bracket_closed_too_late(xt, a_prev, c_prev, Wf, Wi, Wc, Wo, bf, bi, bc, bo):
    n_a = len(a_prev)
    concat = np.vstack((a_prev, xt))
    ft, it, ot = sigmoid(Wf @ concat + bf), sigmoid(Wi @ concat + bi), sigmoid(Wo @ concat + bo)
    cct = np.tanh(Wc @ concat + bc)
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)

    def backward(da_next, dc_next):
        slope = 1 - np.tanh(c_next) ** 2
        dot = da_next * np.tanh(c_next) * ot * (1 - ot)
        # right: dcct = (dc_next * it + ot * slope * it * da_next) * (1 - cct**2)
        dcct = dc_next * it + ot * slope * it * da_next * (1 - cct**2)
        dit = (dc_next * cct + ot * slope * cct * da_next) * it * (1 - it)
        dft = (dc_next * c_prev + ot * slope * c_prev * da_next) * ft * (1 - ft)
        gates = (dft, dit, dcct, dot)
        dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
        dc_prev = dc_next * ft + ot * slope * ft * da_next
        dW = [d @ concat.T for d in gates]
        db = [np.sum(d, axis=1, keepdims=True) for d in gates]
        return dconcat[n_a:], dconcat[:n_a], dc_prev, *dW, *db

    return (a_next, c_next), backward


@mutant(
    "lstm_cell_in_columns_one_of_four_matrices_not_turned",
    cause="transposed",
    inputs=draw_5((3, 2), (4, 2), (4, 2), (4, 7), (4, 1), (4, 7), (4, 1), (4, 7), (4, 1), (4, 7), (4, 1)),
    wrong=("da_prev",),
    note="the part of the matrix that meets the state is square",
)
def lstm_cell_in_columns_one_of_four_matrices_not_turned(xt, a_prev, c_prev, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """Columns are examples, and the matrices meet state and input on top of each other."""
    n_a = len(a_prev)
    concat = np.vstack([a_prev, xt])
    ft, it, ot = sigmoid(Wf @ concat + bf), sigmoid(Wi @ concat + bi), sigmoid(Wo @ concat + bo)
    cct = np.tanh(Wc @ concat + bc)
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)

    def backward(da_next, dc_next):
        dot = da_next * np.tanh(c_next) * ot * (1 - ot)
        dc = dc_next + da_next * ot * (1 - np.tanh(c_next) ** 2)
        dcct = dc * it * (1 - cct**2)
        dit = dc * cct * it * (1 - it)
        dft = dc * c_prev * ft * (1 - ft)
        da_prev = Wf[:, :n_a].T @ dft + Wi[:, :n_a].T @ dit + Wo[:, :n_a].T @ dot
        da_prev += Wc[:, :n_a] @ dcct  # right: da_prev += Wc[:, :n_a].T @ dcct
        dxt = Wf[:, n_a:].T @ dft + Wi[:, n_a:].T @ dit + Wc[:, n_a:].T @ dcct + Wo[:, n_a:].T @ dot
        pairs = [(d @ concat.T, d.sum(axis=1, keepdims=True)) for d in (dft, dit, dcct, dot)]
        return (dxt, da_prev, dc * ft, *(grad for pair in pairs for grad in pair))

    return (a_next, c_next), backward


def movie_of_columns(rng):
    """Input (n_x, m, T) and state (n_a, m), then for each gate a matrix on both and a column of biases."""
    n_x, n_a, m, T = 3, 4, 5, 4
    weights = (0.7 * rng.standard_normal(s) for s in [(n_a, n_a + n_x), (n_a, 1)] * 4)
    return (rng.standard_normal((n_x, m, T)), rng.standard_normal((n_a, m)), *weights)


@mutant(
    "lstm_formulas_typed_without_their_brackets",
    cause="activation-derivative-missing",
    inputs=movie_of_columns,
    wrong=("dx", "da0", "dWf", "dbf", "dWi", "dbi", "dWc", "dbc", "dWo", "dbo"),
    note="it * (1 - it) multiplies the second summand alone",
)
def lstm_formulas_typed_without_their_brackets(x, a0, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """The examples are columns, the last axis is time, the cell starts at zero."""
    n_a, T = a0.shape[0], x.shape[2]
    a_prev, c_prev, caches, a = a0, np.zeros_like(a0), [], []
    for t in range(T):
        concat = np.vstack([a_prev, x[:, :, t]])
        ft, it, ot = (sigmoid(W @ concat + b) for W, b in ((Wf, bf), (Wi, bi), (Wo, bo)))
        cct = np.tanh(Wc @ concat + bc)
        c_next = ft * c_prev + it * cct
        caches.append((concat, c_prev, ft, it, cct, ot, np.tanh(c_next)))
        a_prev, c_prev = ot * np.tanh(c_next), c_next
        a.append(a_prev)

    def backward(da):
        dx = np.zeros_like(x)
        grads = [np.zeros_like(p) for p in (Wf, bf, Wi, bi, Wc, bc, Wo, bo)]
        da_next, dc_next = np.zeros_like(a0), np.zeros_like(a0)
        for t in reversed(range(T)):
            concat, c_prev, ft, it, cct, ot, tc = caches[t]
            da_next = da_next + da[:, :, t]
            dot = da_next * tc * ot * (1 - ot)
            # right: dcct = (dc_next * it + ot * (1 - tc**2) * it * da_next) * (1 - cct**2)
            dcct = dc_next * it + ot * (1 - tc**2) * it * da_next * (1 - cct**2)
            # right: dit = (dc_next * cct + ot * (1 - tc**2) * cct * da_next) * it * (1 - it)
            dit = dc_next * cct + ot * (1 - tc**2) * cct * da_next * it * (1 - it)
            # right: dft = (dc_next * c_prev + ot * (1 - tc**2) * c_prev * da_next) * ft * (1 - ft)
            dft = dc_next * c_prev + ot * (1 - tc**2) * c_prev * da_next * ft * (1 - ft)
            for k, dgate in enumerate((dft, dit, dcct, dot)):
                grads[2 * k] += dgate @ concat.T
                grads[2 * k + 1] += dgate.sum(axis=1, keepdims=True)
            dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
            dc_next = dc_next * ft + ot * (1 - tc**2) * ft * da_next
            da_next, dx[:, :, t] = dconcat[:n_a], dconcat[n_a:]
        return (dx, da_next, *grads)

    return np.stack(a, axis=2), backward


def step_of_columns(rng):
    """Input (n_x, m), state and cell (n_a, m), then a matrix and a bias for forget, update, candidate, output."""
    n_x, n_a, m = 4, 3, 5
    weights = (0.7 * rng.standard_normal(s) for s in [(n_a, n_a + n_x), (n_a, 1)] * 4)
    return (rng.standard_normal((n_x, m)), *(rng.standard_normal((n_a, m)) for _ in "ac"), *weights)


@mutant(
    "lstm_cell_forget_gate_on_the_first_summand_alone",
    cause="forget-gate-not-in-carry",
    also=("missing-factor",),
    inputs=step_of_columns,
    wrong=("dc_prev",),
    note="dc_next * ft is on the sheet; what comes through a_next passes the same gate",
)
def lstm_cell_forget_gate_on_the_first_summand_alone(xt, a_prev, c_prev, Wf, bf, Wu, bu, Wc, bc, Wo, bo):
    n_a = a_prev.shape[0]
    stacked = np.concatenate((a_prev, xt))
    ft, ut, ot = (sigmoid(np.dot(W, stacked) + bias) for W, bias in ((Wf, bf), (Wu, bu), (Wo, bo)))
    cct = np.tanh(np.dot(Wc, stacked) + bc)
    c_next = ft * c_prev + ut * cct
    tanh_c = np.tanh(c_next)

    def backward(da_next, dc_next):
        through_a = da_next * ot * (1 - tanh_c**2)
        dgamma_o = da_next * tanh_c * ot * (1 - ot)
        dp_c = (dc_next + through_a) * ut * (1 - cct**2)
        dgamma_u = (dc_next + through_a) * cct * ut * (1 - ut)
        dgamma_f = (dc_next + through_a) * c_prev * ft * (1 - ft)
        dstacked = np.dot(Wf.T, dgamma_f) + np.dot(Wu.T, dgamma_u) + np.dot(Wc.T, dp_c) + np.dot(Wo.T, dgamma_o)
        # right: dc_prev = dc_next * ft + through_a * ft
        dc_prev = dc_next * ft + through_a
        grads = []
        for d in (dgamma_f, dgamma_u, dp_c, dgamma_o):
            grads.extend([np.dot(d, stacked.T), d.sum(axis=1, keepdims=True)])
        return (dstacked[n_a:].copy(), dstacked[:n_a].copy(), dc_prev, *grads)

    return (ot * tanh_c, c_next), backward
