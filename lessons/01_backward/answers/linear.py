"""Answers to exercise 1 of lesson 1."""

import numpy as np

from minis2s.lessons import right, wrong


@wrong("transposed", also=("gradient-shape",))
def weight_the_wrong_way(x, weight, bias):
    def backward(dy):
        return dy @ weight, x.T @ dy, dy.sum(axis=0)

    return x @ weight.T + bias, backward


@wrong("wrong-count")
def mean_of_the_bias(x, weight, bias):
    def backward(dy):
        return dy @ weight, dy.T @ x, dy.mean(axis=0)

    return x @ weight.T + bias, backward


@wrong("wrong-count")
def mean_of_both(x, weight, bias):
    batch_size = x.shape[0]

    def backward(dout):
        dw = np.dot(dout.T, x) / batch_size
        db = np.sum(dout, axis=0) / batch_size
        return np.dot(dout, weight), dw, db

    return x @ weight.T + bias, backward


@wrong("broadcast-not-summed", also=("gradient-shape",))
def bias_not_summed(x, weight, bias):
    def backward(dy):
        return dy @ weight, dy.T @ x, dy.copy()

    return x @ weight.T + bias, backward


@wrong("sum-missing", also=("one-step-only",))
def last_example_only(x, weight, bias):
    def backward(dy):
        for n in range(len(x)):
            dw = np.outer(dy[n], x[n])
        return dy @ weight, dw, dy.sum(axis=0)

    return x @ weight.T + bias, backward


@wrong("gradient-count")
def bias_forgotten(x, weight, bias):
    def backward(dy):
        return dy @ weight, dy.T @ x

    return x @ weight.T + bias, backward


@wrong("swapped-gradients", also=("gradient-shape",))
def wrong_order(x, weight, bias):
    def backward(dy):
        return dy.T @ x, dy @ weight, dy.sum(axis=0)

    return x @ weight.T + bias, backward


@wrong("wrong-sign")
def already_a_step(x, weight, bias):
    def backward(dy):
        return -dy @ weight, -dy.T @ x, -dy.sum(axis=0)

    return x @ weight.T + bias, backward


@wrong("constant-factor")
def twice(x, weight, bias):
    def backward(dy):
        return dy @ weight, 2 * dy.T @ x, dy.sum(axis=0)

    return x @ weight.T + bias, backward


@wrong("wrong-output")
def bias_left_out(x, weight, bias):
    def backward(dy):
        return dy @ weight, dy.T @ x, dy.sum(axis=0)

    return x @ weight.T, backward


@right
def einsum(x, weight, bias):
    y = np.einsum("nd,ed->ne", x, weight) + bias

    def backward(dy):
        return np.einsum("ne,ed->nd", dy, weight), np.einsum("ne,nd->ed", dy, x), np.einsum("ne->e", dy)

    return y, backward


@right
def loops(x, weight, bias):
    def backward(dy):
        dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(bias)
        for n in range(x.shape[0]):
            for e in range(weight.shape[0]):
                dbias[e] += dy[n, e]
                for d in range(x.shape[1]):
                    dx[n, d] += dy[n, e] * weight[e, d]
                    dweight[e, d] += dy[n, e] * x[n, d]
        return dx, dweight, dbias

    return x @ weight.T + bias, backward


@right
def transposed_twice(x, weight, bias):
    y = (weight @ x.T).T + bias

    def backward(dy):
        dw = (x.T @ dy).T
        db = np.ones(len(dy)) @ dy
        return (weight.T @ dy.T).T.copy(), dw.copy(), db

    return y, backward
