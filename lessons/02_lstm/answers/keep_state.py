"""Answers to exercise 3 of lesson 2."""

import numpy as np

from minis2s.lessons import right, wrong


@wrong("mask-not-applied", also=("branch-missing",))
def everything_to_the_new_state(h_next, h, mask):
    y = np.where(mask[:, None], h_next, h)
    return y, lambda dy: (dy.copy(), np.zeros_like(h), None)


@wrong("mask-not-applied")
def to_both_states(h_next, h, mask):
    y = np.where(mask[:, None], h_next, h)
    return y, lambda dy: (dy.copy(), dy.copy(), None)


@wrong("mask-inverted", also=("swapped-gradients",))
def the_other_way_round(h_next, h, mask):
    y = np.where(mask[:, None], h_next, h)

    def backward(dy):
        return np.where(mask[:, None], 0, dy), np.where(mask[:, None], dy, 0), None

    return y, backward


@wrong("branch-missing", also=("zero-gradient",))
def old_state_forgotten(h_next, h, mask):
    y = np.where(mask[:, None], h_next, h)
    return y, lambda dy: (dy * mask[:, None], np.zeros_like(h), None)


@wrong("gradient-for-integers")
def a_gradient_for_the_mask(h_next, h, mask):
    real = mask[:, None].astype(float)

    def backward(dy):
        return dy * real, dy * (1 - real), (dy * (h_next - h)).sum(axis=1)

    return real * h_next + (1 - real) * h, backward


@wrong("wrong-output")
def padding_is_true(h_next, h, mask):
    y = np.where(mask[:, None], h, h_next)
    return y, lambda dy: (np.where(mask[:, None], 0, dy), np.where(mask[:, None], dy, 0), None)


@wrong("wrong-output")
def zero_at_padding(h_next, h, mask):
    return h_next * mask[:, None], lambda dy: (dy * mask[:, None], np.zeros_like(h), None)


@wrong("dy-changed")
def in_place(h_next, h, mask):
    y = np.where(mask[:, None], h_next, h)

    def backward(dy):
        dh = np.where(mask[:, None], 0, dy)
        dy[~mask] = 0
        return dy.copy(), dh, None

    return y, backward


@right
def by_arithmetic(h_next, h, mask):
    real = mask.astype(h.dtype)[:, None]
    return real * h_next + (1 - real) * h, lambda dy: (real * dy, (1 - real) * dy, None)


@right
def by_index(h_next, h, mask):
    y = h.copy()
    y[mask] = h_next[mask]

    def backward(dy):
        dh_next, dh = np.zeros_like(dy), dy.copy()
        dh_next[mask] = dy[mask]
        dh[mask] = 0
        return dh_next, dh, None

    return y, backward


@right
def example_by_example(h_next, h, mask):
    y = np.stack([new if real else old for new, old, real in zip(h_next, h, mask, strict=True)])

    def backward(dy):
        dh_next, dh = np.zeros_like(h_next), np.zeros_like(h)
        for n, real in enumerate(mask):
            (dh_next if real else dh)[n] += dy[n]
        return dh_next, dh, None

    return y, backward
