"""Answers to exercise 3 of lesson 1."""

import numpy as np

from minis2s.lessons import right, wrong


def probabilities(x):
    y = np.exp(x - x.max(axis=1, keepdims=True))
    return y / y.sum(axis=1, keepdims=True)


@wrong("softmax-second-term-missing")
def without_the_sum(x):
    y = probabilities(x)
    return y, lambda dy: dy * y


@wrong("softmax-second-term-missing")
def like_a_sigmoid(x):
    y = probabilities(x)
    return y, lambda dy: dy * y * (1 - y)


@wrong("zero-gradient")
def lazy(x):
    return probabilities(x), lambda dy: np.zeros_like(x)


@wrong("wrong-sum-axis")
def sum_over_the_examples(x):
    y = probabilities(x)
    return y, lambda dy: y * (dy - (y * dy).sum(axis=0, keepdims=True))


@wrong("wrong-sum-axis")
def sum_over_everything(x):
    y = probabilities(x)
    return y, lambda dy: y * (dy - (y * dy).sum())


@wrong("wrong-count")
def divided_by_the_batch(x):
    y = probabilities(x)
    return y, lambda dy: y * (dy - (y * dy).sum(axis=1, keepdims=True)) / len(x)


@wrong("softmax-applied-twice")
def probabilities_of_probabilities(x):
    y = probabilities(x)

    def backward(dy):
        p = probabilities(y)
        return p * (dy - (p * dy).sum(axis=1, keepdims=True))

    return y, backward


@wrong("wrong-sign")
def difference_the_wrong_way(x):
    y = probabilities(x)
    return y, lambda dy: y * ((y * dy).sum(axis=1, keepdims=True) - dy)


@wrong("missing-factor")
def outer_factor_forgotten(x):
    y = probabilities(x)
    return y, lambda dy: dy - (y * dy).sum(axis=1, keepdims=True)


@right
def with_the_jacobian(x):
    y = probabilities(x)

    def backward(dy):
        dx = np.zeros_like(x)
        for n in range(len(x)):
            jacobian = np.diag(y[n]) - np.outer(y[n], y[n])
            dx[n] = jacobian @ dy[n]
        return dx

    return y, backward


@right
def in_two_terms(x):
    y = probabilities(x)

    def backward(dy):
        dx = y * dy
        dx -= y * dx.sum(axis=-1, keepdims=True)
        return dx

    return y, backward


@right
def through_the_quotient(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    total = e.sum(axis=1, keepdims=True)

    def backward(dy):
        de = dy / total
        dtotal = -(dy * e / total**2).sum(axis=1, keepdims=True)
        return (de + dtotal) * e

    return e / total, backward


@right
def einsum(x):
    y = probabilities(x)
    return y, lambda dy: y * dy - np.einsum("nj,nk,nk->nj", y, y, dy)
