"""The right rule of each kind of edge: from the gradient of what was made to that of what it was made of."""

from __future__ import annotations

import numpy as np

from minis2s.gradcheck.diagnosis.tape.entries import Edge


def unbroadcast(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum over the axes along which an array of `shape` was stretched."""
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + a for a, n in enumerate(shape) if n == 1 and gradient.shape[extra + a] != 1
    )
    return gradient.sum(axis=axes, keepdims=True).reshape(shape)


def factor(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of a product: times the other factor."""
    return unbroadcast(dy * edge.parts["factor"], edge.parent.value.shape)


def slope(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of an elementwise function: times its derivative."""
    return dy * edge.parts["slope"]


def written(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of what was written into a part: that part."""
    return unbroadcast(dy[edge.parts["index"]], edge.parent.value.shape)


def overwritten(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of what a part was written into: all but that part."""
    kept = dy.copy()
    kept[edge.parts["index"]] = 0
    return kept


def picked(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of what a part was taken from: zeros around it; repeated indices add up."""
    dx = np.zeros(edge.parent.value.shape)
    if edge.kind == "gather":
        np.add.at(dx, edge.parts["index"], dy)
    else:
        dx[edge.parts["index"]] = dy
    return dx


def left(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of a @ b the gradient of a."""
    b, shape = edge.parts["other"], edge.parent.value.shape
    if b.ndim == 1:
        return unbroadcast(dy[..., None] * b, shape)
    if len(shape) == 1:
        return unbroadcast((dy[..., None, :] * b).sum(-1), shape)
    return unbroadcast(dy @ b.swapaxes(-1, -2), shape)


def right(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of a @ b the gradient of b."""
    a, shape = edge.parts["other"], edge.parent.value.shape
    if a.ndim == 1:
        return unbroadcast(a[:, None] * dy[..., None, :] if len(shape) > 1 else a * dy, shape)
    if len(shape) == 1:
        return (a * dy[..., None]).reshape(-1, shape[0]).sum(axis=0)
    if len(shape) == 2 and a.ndim > 2:
        return a.reshape(-1, a.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
    return unbroadcast(a.swapaxes(-1, -2) @ dy, shape)


def spread(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of a sum or a mean: every summand receives the gradient, times `scale`."""
    shape = edge.parent.value.shape
    if not edge.parts["keepdims"]:
        dy = np.expand_dims(dy, edge.parts["axes"])
    dx = np.empty(shape)
    dx[...] = dy * edge.parts["scale"]
    return dx


def reshaped(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of another shape: the old one."""
    return dy.reshape(edge.parent.value.shape)


def transposed(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of another order of axes: the old one."""
    return dy.transpose(np.argsort(edge.parts["axes"]))


def softmax(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """y (dy - sum(y dy))."""
    y = edge.child.value
    return y * (dy - (y * dy).sum(axis=-1, keepdims=True))


def shared(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """Of the logarithm of a sum of exponentials: times the softmax."""
    return dy[..., None] * edge.parts["share"]


def einsum(edge: Edge, dy: np.ndarray) -> np.ndarray:
    """The same sum over letters with the gradient in the place of the operand."""
    before, own, others, arrays, result = (edge.parts[p] for p in ("before", "own", "others", "arrays", "result"))
    missing = [c for c in own if c not in result and not any(c in o for o in others)]
    reached = "".join(c for c in own if c not in missing)
    dx = np.einsum(",".join([result, *others]) + "->" + reached, dy, *arrays)
    for axis, letter in enumerate(own):
        if letter in missing:
            dx = np.expand_dims(dx, axis)
    return np.broadcast_to(dx, before).copy()
