"""Answers to exercise 1 of lesson 3."""

import numpy as np

from minis2s.lessons import right, wrong


def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@wrong("branch-missing", also=("tied-counted-once",))
def only_through_the_mean(query, memory):
    w = softmax(query @ memory.T)

    def backward(dcontext):
        dw = dcontext @ memory.T
        dscores = w * (dw - (w * dw).sum(axis=1, keepdims=True))
        return dscores @ memory, w.T @ dcontext

    return w @ memory, backward


@wrong("branch-missing", also=("tied-counted-once",))
def only_through_the_scores(query, memory):
    w = softmax(query @ memory.T)

    def backward(dcontext):
        dw = dcontext @ memory.T
        dscores = w * (dw - (w * dw).sum(axis=1, keepdims=True))
        return dscores @ memory, dscores.T @ query

    return w @ memory, backward


@wrong("softmax-second-term-missing")
def softmax_like_a_sigmoid(query, memory):
    w = softmax(query @ memory.T)

    def backward(dcontext):
        dw = dcontext @ memory.T
        dscores = w * (1 - w) * dw
        return dscores @ memory, dscores.T @ query + w.T @ dcontext

    return w @ memory, backward


@wrong("softmax-second-term-missing")
def softmax_without_the_sum(query, memory):
    w = softmax(query @ memory.T)

    def backward(dcontext):
        dscores = w * (dcontext @ memory.T)
        return dscores @ memory, dscores.T @ query + w.T @ dcontext

    return w @ memory, backward


@wrong("wrong-sum-axis")
def softmax_sums_over_the_steps(query, memory):
    w = softmax(query @ memory.T)

    def backward(dcontext):
        dw = dcontext @ memory.T
        dscores = w * (dw - (w * dw).sum(axis=0, keepdims=True))
        return dscores @ memory, dscores.T @ query + w.T @ dcontext

    return w @ memory, backward


@wrong("missing-factor", also=("activation-derivative-missing",))
def no_softmax_in_the_backward(query, memory):
    w = softmax(query @ memory.T)

    def backward(dcontext):
        dscores = dcontext @ memory.T
        return dscores @ memory, dscores.T @ query + w.T @ dcontext

    return w @ memory, backward


@wrong("wrong-count")
def divided_by_the_steps(query, memory):
    w = softmax(query @ memory.T)

    def backward(dcontext):
        dw = dcontext @ memory.T
        dscores = w * (dw - (w * dw).sum(axis=1, keepdims=True))
        return dscores @ memory, (dscores.T @ query + w.T @ dcontext) / len(query)

    return w @ memory, backward


@wrong("swapped-gradients", also=("gradient-shape",))
def wrong_order(query, memory):
    w = softmax(query @ memory.T)

    def backward(dcontext):
        dw = dcontext @ memory.T
        dscores = w * (dw - (w * dw).sum(axis=1, keepdims=True))
        return dscores.T @ query + w.T @ dcontext, dscores @ memory

    return w @ memory, backward


@wrong("wrong-output")
def softmax_over_the_steps(query, memory):
    w = softmax((query @ memory.T).T).T

    def backward(dcontext):
        dw = dcontext @ memory.T
        dscores = w * (dw - (w * dw).sum(axis=0, keepdims=True))
        return dscores @ memory, dscores.T @ query + w.T @ dcontext

    return w @ memory, backward


@right
def step_by_step(query, memory):
    weights = [softmax((memory @ q)[None])[0] for q in query]

    def backward(dcontext):
        dquery, dmemory = np.zeros_like(query), np.zeros_like(memory)
        for t, w in enumerate(weights):
            dw = memory @ dcontext[t]
            dscore = (np.diag(w) - np.outer(w, w)) @ dw
            dquery[t] = memory.T @ dscore
            dmemory += np.outer(dscore, query[t]) + np.outer(w, dcontext[t])
        return dquery, dmemory

    return np.stack([w @ memory for w in weights]), backward


@right
def einsum(query, memory):
    w = softmax(np.einsum("th,sh->ts", query, memory))

    def backward(dcontext):
        dw = np.einsum("th,sh->ts", dcontext, memory)
        dscores = w * dw - w * np.einsum("ts,ts->t", w, dw)[:, None]
        return np.einsum("ts,sh->th", dscores, memory), np.einsum("ts,th->sh", dscores, query) + np.einsum(
            "ts,th->sh", w, dcontext
        )

    return np.einsum("ts,sh->th", w, memory), backward


@right
def better_than_the_context(query, memory):
    w = softmax(query @ memory.T)
    context = w @ memory

    def backward(dcontext):
        dmemory = w.T @ dcontext
        average = (context * dcontext).sum(axis=1, keepdims=True)  # the mean of dw, by the context itself
        dscores = w * (dcontext @ memory.T - average)
        dmemory += dscores.T @ query
        return dscores @ memory, dmemory

    return context, backward
