"""Answers to exercise 2 of lesson 3."""

import numpy as np

from minis2s.lessons import right, wrong


def hidden(query, keys):
    return np.tanh(query[:, None] + keys[None])  # (T, S, A)


@wrong("activation-derivative-missing")
def no_slope(query, keys, vector):
    a = hidden(query, keys)

    def backward(dscores):
        dz = dscores[..., None] * vector
        return dz.sum(axis=1), dz.sum(axis=0), np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@wrong("missing-factor")
def vector_forgotten(query, keys, vector):
    a = hidden(query, keys)

    def backward(dscores):
        dz = dscores[..., None] * (1 - a**2)
        return dz.sum(axis=1), dz.sum(axis=0), np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@wrong("derivative-at-preactivation")
def slope_of_the_sum(query, keys, vector):
    z = query[:, None] + keys[None]
    a = np.tanh(z)

    def backward(dscores):
        dz = dscores[..., None] * vector * (1 - z**2)
        return dz.sum(axis=1), dz.sum(axis=0), np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@wrong("activation-derivative-doubled")
def slope_twice(query, keys, vector):
    a = hidden(query, keys)

    def backward(dscores):
        dz = dscores[..., None] * vector * (1 - a**2) ** 2
        return dz.sum(axis=1), dz.sum(axis=0), np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@wrong("sum-missing", also=("one-step-only",))
def last_memory_only(query, keys, vector):
    a = hidden(query, keys)

    def backward(dscores):
        dkeys = np.zeros_like(keys)
        for s in range(len(keys)):
            dz = dscores[:, s, None] * vector * (1 - a[:, s] ** 2)
            dquery = dz
            dkeys[s] = dz.sum(axis=0)
        return dquery, dkeys, np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@wrong("wrong-count")
def mean_over_the_memories(query, keys, vector):
    a = hidden(query, keys)

    def backward(dscores):
        dz = dscores[..., None] * vector * (1 - a**2)
        return dz.mean(axis=1), dz.sum(axis=0), np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@wrong("swapped-gradients", also=("gradient-shape",))
def sums_over_the_other_axis(query, keys, vector):
    a = hidden(query, keys)

    def backward(dscores):
        dz = dscores[..., None] * vector * (1 - a**2)
        return dz.sum(axis=0), dz.sum(axis=1), np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@wrong("wrong-sign")
def minus_the_keys(query, keys, vector):
    a = hidden(query, keys)

    def backward(dscores):
        dz = dscores[..., None] * vector * (1 - a**2)
        return dz.sum(axis=1), -dz.sum(axis=0), np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@wrong("wrong-output")
def difference_instead_of_sum(query, keys, vector):
    a = np.tanh(query[:, None] - keys[None])

    def backward(dscores):
        dz = dscores[..., None] * vector * (1 - a**2)
        return dz.sum(axis=1), -dz.sum(axis=0), np.einsum("ts,tsa->a", dscores, a)

    return a @ vector, backward


@right
def loops(query, keys, vector):
    T, S = len(query), len(keys)
    scores = np.array([[vector @ np.tanh(query[t] + keys[s]) for s in range(S)] for t in range(T)])

    def backward(dscores):
        dquery, dkeys, dvector = np.zeros_like(query), np.zeros_like(keys), np.zeros_like(vector)
        for t in range(T):
            for s in range(S):
                a = np.tanh(query[t] + keys[s])
                dz = dscores[t, s] * vector * (1 - a) * (1 + a)
                dquery[t] += dz
                dkeys[s] += dz
                dvector += dscores[t, s] * a
        return dquery, dkeys, dvector

    return scores, backward


@right
def einsum(query, keys, vector):
    a = hidden(query, keys)

    def backward(dscores):
        dz = np.einsum("ts,a,tsa->tsa", dscores, vector, 1 - a * a)
        return np.einsum("tsa->ta", dz), np.einsum("tsa->sa", dz), np.einsum("ts,tsa->a", dscores, a)

    return np.einsum("tsa,a->ts", a, vector), backward


@right
def as_one_long_list(query, keys, vector):
    T, S, A = len(query), len(keys), len(vector)
    z = np.repeat(query, S, axis=0) + np.tile(keys, (T, 1))  # (T * S, A)
    a = np.tanh(z)

    def backward(dscores):
        flat = dscores.reshape(-1, 1)
        dz = (flat * vector / np.cosh(z) ** 2).reshape(T, S, A)
        return dz.sum(1), dz.sum(0), (flat * a).sum(0)

    return (a @ vector).reshape(T, S), backward
