import numpy as np

from minis2s.lessons import right, wrong


@wrong("sum-missing", also=("unknown", "one-step-only"))
def last_row_only(x, w):
    return x * w, lambda dy: (dy * w, dy[-1] * x[-1])


@wrong("wrong-sign")
def minus(x, w):
    return x * w, lambda dy: (-dy * w, (dy * x).sum(axis=0))


@wrong("constant-factor")
def twice(x, w):
    return x * w, lambda dy: (dy * w, 2 * (dy * x).sum(axis=0))


@wrong("dy-changed")
def in_place(x, w):
    def backward(dy):
        dw = (dy * x).sum(axis=0)
        dy *= w
        return dy.copy(), dw

    return x * w, backward


@wrong("wrong-output")
def added(x, w):
    return x + w, lambda dy: (dy.copy(), dy.sum(axis=0))


@wrong("raises")
def breaks(x, w):
    return x * w, lambda dy: (dy @ w, (dy * x).sum(axis=0)) if dy is None else dy[len(dy)]


@right
def einsum(x, w):
    return x * w, lambda dy: (dy * w, np.einsum("nd,nd->d", dy, x))


@right
def loops(x, w):
    def backward(dy):
        dw = np.zeros_like(w)
        for row, dy_row in zip(x, dy, strict=True):
            dw += row * dy_row
        return dy * w, dw

    return x * w, backward


@right
def diagonal(x, w):
    return x @ np.diag(w), lambda dy: (dy @ np.diag(w).T, np.diag(x.T @ dy).copy())
