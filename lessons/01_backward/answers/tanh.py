"""Answers to exercise 2 of lesson 1."""

import numpy as np

from minis2s.lessons import right, wrong


@wrong("activation-derivative-missing")
def no_slope(x):
    return np.tanh(x), lambda dy: dy.copy()


@wrong("derivative-at-preactivation")
def slope_of_the_input(x):
    return np.tanh(x), lambda dy: dy * (1 - x**2)


@wrong("activation-derivative-doubled")
def slope_twice(x):
    y = np.tanh(x)

    def backward(dy):
        dx = dy * (1 - y * y)
        return dx * (1 - y * y)

    return y, backward


@wrong("derivative-at-preactivation")
def squashed_twice(x):
    y = np.tanh(x)

    def backward(dy):
        return dy * (1 - np.tanh(y) ** 2)

    return y, backward


@wrong("zero-gradient")
def nothing(x):
    return np.tanh(x), lambda dy: np.zeros_like(x)


@wrong("wrong-sign")
def other_way_round(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (y**2 - 1)


@wrong("dy-changed")
def in_place(x):
    y = np.tanh(x)

    def backward(dy):
        dy *= 1 - y * y
        return dy.copy()

    return y, backward


@wrong("float32-inside", also=("gradient-dtype",))
def in_single_precision(x):
    y = np.tanh(x)
    slope = (1 - y * y).astype(np.float32)
    return y, lambda dy: dy * slope


@right
def with_cosh(x):
    return np.tanh(x), lambda dy: dy / np.cosh(x) ** 2


@right
def factored(x):
    y = (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))
    return y, lambda dy: dy * (1 - y) * (1 + y)


@right
def number_by_number(x):
    y = np.tanh(x)

    def backward(dy):
        dx = np.empty_like(x)
        for place in np.ndindex(x.shape):
            dx[place] = dy[place] - dy[place] * y[place] ** 2
        return dx

    return y, backward
