"""Answers to exercise 2 of lesson 2."""

import numpy as np

from minis2s.functional import lstm_step as library_step
from minis2s.lessons import right, wrong


def forward(x, h, c, weights):
    y, backwards = [], []
    for x_t in x:
        (h, c), step_backward = library_step(x_t, h, c, *weights)
        y.append(h)
        backwards.append(step_backward)
    return (np.stack(y), h, c), backwards


@wrong("missing-dh-carry")
def dh_not_handed_on(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, dc, *dweights_t = backwards[t](dy[t] if t < len(x) - 1 else dh + dy[t], dc)
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight
        return dx, dh, dc, *dweights

    return outputs, backward


@wrong("missing-dc-carry")
def dc_not_handed_on(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, dc, *dweights_t = backwards[t](dh + dy[t], dc if t == len(x) - 1 else np.zeros_like(dc))
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight
        return dx, dh, dc, *dweights

    return outputs, backward


@wrong("one-step-only")
def weights_of_the_first_step(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, dc, *dweights = backwards[t](dh + dy[t], dc)
        return dx, dh, dc, *dweights

    return outputs, backward


@wrong("branch-missing", also=("missing-factor", "zero-gradient"))
def dy_ignored(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, dc, *dweights_t = backwards[t](dh, dc)
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight
        return dx, dh, dc, *dweights

    return outputs, backward


@wrong("missing-dh-carry")
def forwards_in_time(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in range(len(x)):
            dx[t], dh, dc, *dweights_t = backwards[t](dh + dy[t], dc)
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight
        return dx, dh, dc, *dweights

    return outputs, backward


@wrong("off-by-one")
def dy_a_step_late(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, dc, *dweights_t = backwards[t](dh + dy[max(t - 1, 0)], dc)
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight
        return dx, dh, dc, *dweights

    return outputs, backward


@wrong("wrong-count")
def mean_over_time(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, dc, *dweights_t = backwards[t](dh + dy[t], dc)
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight
        dweights = [total / len(x) for total in dweights]
        return dx, dh, dc, *dweights

    return outputs, backward


@wrong("swapped-gradients")
def states_swapped(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, dc, *dweights_t = backwards[t](dh + dy[t], dc)
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight
        dh, dc = dc, dh
        return dx, dh, dc, *dweights

    return outputs, backward


@right
def lists(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        rows = []
        for t in range(len(x) - 1, -1, -1):
            dx_t, dh, dc, *more = backwards[t](dy[t] + dh, dc)
            rows.insert(0, dx_t)
            dweights = [total + dweight for total, dweight in zip(dweights, more, strict=True)]
        dx = np.stack(rows)
        return dx, dh, dc, *dweights

    return outputs, backward


@right
def sums_at_the_end(x, h0, c0, *weights):
    outputs, backwards = forward(x, h0, c0, weights)

    def backward(dy, dh, dc):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        found = []
        for step_backward, dy_t in zip(backwards[::-1], dy[::-1], strict=True):
            dx_t, dh, dc, *dweights_t = step_backward(dh + dy_t, dc)
            found.append((dx_t, dweights_t))
        dx = np.stack([dx_t for dx_t, _ in found[::-1]])
        dweights = [sum(parts) for parts in zip(*(d for _, d in found), strict=True)]
        return dx, dh, dc, *dweights

    return outputs, backward


@right
def recursive(x, h0, c0, *weights):
    def run(t, h, c):
        """The rest of the sequence, from step t on, and its backward."""
        if t == len(x):
            return [], h, c, lambda dy, dh, dc: ([], dh, dc, [np.zeros_like(w) for w in weights])
        (h, c), step_backward = library_step(x[t], h, c, *weights)
        y, h_last, c_last, rest_backward = run(t + 1, h, c)

        def backward(dy, dh, dc):
            dx, dh, dc, dweights = rest_backward(dy[1:], dh, dc)
            dx_t, dh, dc, *more = step_backward(dh + dy[0], dc)
            return [dx_t, *dx], dh, dc, [a + b for a, b in zip(dweights, more, strict=True)]

        return [h, *y], h_last, c_last, backward

    y, h, c, run_backward = run(0, h0, c0)

    def backward(dy, dh, dc):
        dx, dh0, dc0, dweights = run_backward(dy, dh, dc)
        return np.stack(dx), dh0, dc0, *dweights

    return (np.stack(y), h, c), backward
