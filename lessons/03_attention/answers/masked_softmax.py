"""Answers to exercise 3 of lesson 3."""

import numpy as np

from minis2s.lessons import right, wrong


def masked(scores, mask):
    e = np.where(mask, np.exp(scores), 0)
    total = e.sum(axis=1, keepdims=True)
    return e / np.where(total == 0, 1, total)


@wrong("wrong-output")
def mask_forgotten(scores, mask):
    e = np.exp(scores)
    w = e / e.sum(axis=1, keepdims=True)
    return w, lambda dw: (w * (dw - (w * dw).sum(axis=1, keepdims=True)), None)


@wrong("wrong-output")
def mask_after_the_softmax(scores, mask):
    e = np.exp(scores)
    w = e / e.sum(axis=1, keepdims=True) * mask
    return w, lambda dw: (w * (dw - (w * dw).sum(axis=1, keepdims=True)), None)


@wrong("wrong-output")
def score_zero_at_padding(scores, mask):
    e = np.exp(scores * mask)
    w = e / e.sum(axis=1, keepdims=True)
    return w, lambda dw: (w * (dw - (w * dw).sum(axis=1, keepdims=True)) * mask, None)


@wrong("wrong-output")
def true_means_padding(scores, mask):
    w = masked(scores, ~mask)
    return w, lambda dw: (w * (dw - (w * dw).sum(axis=1, keepdims=True)), None)


@wrong("softmax-second-term-missing")
def without_the_sum(scores, mask):
    w = masked(scores, mask)
    return w, lambda dw: (w * dw, None)


@wrong("mask-not-applied", also=("softmax-applied-twice",))
def backward_of_all_scores(scores, mask):
    w = masked(scores, mask)

    def backward(dw):
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        return p * (dw - (p * dw).sum(axis=1, keepdims=True)), None

    return w, backward


@wrong("gradient-count")
def no_answer_for_the_mask(scores, mask):
    w = masked(scores, mask)
    return w, lambda dw: w * (dw - (w * dw).sum(axis=1, keepdims=True))


@wrong("wrong-sum-axis")
def sum_over_the_steps(scores, mask):
    w = masked(scores, mask)
    return w, lambda dw: (w * (dw - (w * dw).sum(axis=0, keepdims=True)), None)


@wrong("mask-inverted")
def padding_gets_the_gradient(scores, mask):
    w = masked(scores, mask)

    def backward(dw):
        p = masked(scores, ~mask)
        return p * (dw - (p * dw).sum(axis=1, keepdims=True)), None

    return w, backward


@right
def minus_infinity(scores, mask):
    s = np.where(mask, scores, -np.inf)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    w = e / e.sum(axis=1, keepdims=True)
    return w, lambda dw: (w * (dw - (w * dw).sum(axis=1, keepdims=True)), None)


@right
def only_the_real_entries(scores, mask):
    w = np.zeros_like(scores)
    for n, real in enumerate(mask):
        e = np.exp(scores[n, real])
        w[n, real] = e / e.sum()

    def backward(dw):
        dscores = np.zeros_like(scores)
        for n, real in enumerate(mask):
            p, dp = w[n, real], dw[n, real]
            dscores[n, real] = p * dp - p * (p @ dp)
        return dscores, None

    return w, backward


@right
def renormalised(scores, mask):
    e = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask
    total = e.sum(axis=1, keepdims=True)

    def backward(dw):
        de = dw / total - (dw * e).sum(axis=1, keepdims=True) / total**2
        return de * e, None

    return e / total, backward


@right
def row_by_row(scores, mask):
    rows = [masked(row[None], real[None])[0] for row, real in zip(scores, mask, strict=True)]

    def backward(dw):
        return np.stack([(np.diag(w) - np.outer(w, w)) @ d for w, d in zip(rows, dw, strict=True)]), None

    return np.stack(rows), backward
