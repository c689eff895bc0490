"""The record of a forward pass leads to the right gradients, whichever of NumPy's functions it is written with."""

import numpy as np
import pytest

from minis2s.gradcheck.diagnosis.tape.entries import Untraceable
from minis2s.gradcheck.diagnosis.tape.record import record

FUNCTIONS = {
    # elementwise
    "add, subtract, multiply, divide": lambda x, y, v: (x + y * 2 - x / (y * y + 1)) / 3 - 1 / (x * x + 1),
    "power": lambda x, y, v: x**3 + np.float_power(y * y, 1.5) + 2**x,
    "roots": lambda x, y, v: np.sqrt(x * x + 1) + np.cbrt(y + 9) + np.hypot(x, y),
    "exponentials": lambda x, y, v: np.exp(x) + np.expm1(y) + np.exp2(x),
    "logarithms": lambda x, y, v: np.log(x * x + 1) + np.log1p(y * y) + np.log2(x * x + 2) + np.log10(y * y + 1),
    "hyperbolic": lambda x, y, v: np.tanh(x) + np.sinh(y) * np.cosh(x),
    "angles": lambda x, y, v: np.sin(x) * np.cos(y) + np.arctan(x),
    "signs": lambda x, y, v: np.abs(x) + np.fabs(y) - np.negative(x) + np.positive(y) + x * np.sign(y),
    "limits": lambda x, y, v: np.maximum(x, 0) + np.minimum(x, y) + np.fmax(y, 0.1) + x.clip(-0.5, 0.5),
    "steps": lambda x, y, v: x * np.floor(y) + x * np.heaviside(y, 0) + y * (x // 1) + x * np.round(y),
    "logaddexp": lambda x, y, v: np.logaddexp(x, y),
    "choices": lambda x, y, v: np.where(x > 0, x, 0.1 * x) + np.select([x > 0, x < -1], [x * y, 2 * x], 0.5 * y),
    "nan_to_num": lambda x, y, v: np.nan_to_num(x * y),
    # sums and products
    "sums": lambda x, y, v: x.sum(axis=(0, 1), keepdims=True) + np.add.reduce(y, axis=0) + np.nansum(x, axis=0),
    "means": lambda x, y, v: x.mean(0) + np.average(y, axis=0) + np.average(x, 0, weights=[0.2, 0.3, 0.5]),
    "spread": lambda x, y, v: x.std(0) + x.var(0, ddof=1) + np.var(y, axis=0) + np.linalg.norm(x, axis=0),
    "largest": lambda x, y, v: x.max(1) + np.min(y, 1) + np.ptp(x, axis=1) + np.maximum.reduce(y, axis=1),
    "logaddexp.reduce": lambda x, y, v: np.logaddexp.reduce(x, axis=1),
    "prod": lambda x, y, v: np.prod(x, axis=0) + np.prod(v) + np.prod(y, axis=1, keepdims=True),
    "cumsum and diff": lambda x, y, v: np.diff(np.cumsum(x * x, axis=1), axis=1),
    "matmul and dot": lambda x, y, v: x @ y.T + np.dot(x, y.T) + x.dot(y.T) + np.linalg.multi_dot([x, y.T, x @ y.T]),
    "vectors": lambda x, y, v: np.outer(v, v) + np.multiply.outer(v, v) * np.vdot(v, v) + np.inner(v, v),
    "einsum": lambda x, y, v: np.einsum("ij,kj->ik", x, y, optimize=True) + np.tensordot(x, y, ([1], [1])),
    "convolve": lambda x, y, v: np.convolve(v, x[0]) + np.concatenate([np.correlate(v, x[0], "valid"), x[1], x[2, 2:]]),
    "convolve, same": lambda x, y, v: np.convolve(v, x[0], "same") + np.correlate(v, y[0], "same"),
    "trace": lambda x, y, v: np.trace(x @ y.T) * v,
    # places
    "reshape": lambda x, y, v: x.reshape(2, 6) * y.ravel().reshape((2, 6)) + np.reshape(y, (2, -1)),
    "axes": lambda x, y, v: x.T @ y + np.moveaxis(x, 0, 1) @ np.swapaxes(y, 0, 1).T + np.rollaxis(x, 1) @ x,
    "new axes": lambda x, y, v: x[:, None, :] * y[None] + np.expand_dims(x, 0) + np.atleast_2d(v)[..., :4],
    "squeeze": lambda x, y, v: np.squeeze(x[:, :1]) * y[:, 0],
    "joined": lambda x, y, v: np.hstack([x, y]) + np.concatenate([x, y], 1) + np.append(x, y, axis=1),
    "joined flat": lambda x, y, v: np.concatenate([x, y], axis=None) + np.append(y, x),
    "stacked": lambda x, y, v: np.stack([x, y], -1) * np.dstack([y, x]) * np.vstack([v, v])[0, 0],
    "columns": lambda x, y, v: np.column_stack([x, y, np.ones(3)]) + np.insert(np.hstack([x, y]), 8, 1.0, axis=1),
    "parts": lambda x, y, v: np.hsplit(x, 2)[0] * np.split(y, 2, 1)[1] + np.array_split(x, 2, 1)[0],
    "rows": lambda x, y, v: np.vsplit(x, 3)[0] + np.delete(y, 1, 0) + np.compress([True, False, True], x, axis=0),
    "picked": lambda x, y, v: x[np.ix_([0, 2], [1, 3])] + x.take([0, 2], axis=0)[:, :2] + np.take(y, [1, 1], 0)[:, :2],
    "by a mask": lambda x, y, v: x[x > 0],
    "along an axis": lambda x, y, v: np.take_along_axis(x, np.argmax(y, 1)[:, None], 1) + np.sort(x, 1),
    "choose": lambda x, y, v: np.choose([0, 1, 0, 1], [x[0], y[0]]),
    "the largest's place": lambda x, y, v: x[np.unravel_index(np.argmax(x), x.shape)] * v,
    "moved": lambda x, y, v: np.roll(x, 1, 0) + np.flip(y, 1) + np.flipud(x) * np.fliplr(y),
    "repeated": lambda x, y, v: np.repeat(x, 2, axis=0) + np.tile(y, (2, 1)),
    "turned": lambda x, y, v: np.rot90(x) * np.rot90(y),
    "diagonals": lambda x, y, v: np.diag(v) + np.eye(5) * np.diag(np.outer(v, v)),
    "triangles": lambda x, y, v: np.tril(x) + np.triu(y, 1),
    "padded": lambda x, y, v: np.pad(x, ((1, 0), (0, 2))),
    "windows": lambda x, y, v: np.lib.stride_tricks.sliding_window_view(v, 3) @ x[0, :3],
    "rows of a function": lambda x, y, v: np.apply_along_axis(lambda r: np.exp(r) / np.exp(r).sum(), 1, x),
    # written in place
    "in place": lambda x, y, v: _written(x.copy(), y),
    "diagonal filled": lambda x, y, v: _filled(x @ y.T),
    # lists
    "array of lists": lambda x, y, v: np.array([[np.dot(x[i], y[j]) for j in range(3)] for i in range(2)]),
    "array of rows": lambda x, y, v: np.array([x[0] * v[0], y[1]]) + np.sum([x[0], y[0]]),
    "r_ and c_": lambda x, y, v: np.r_[v, v[:2], 1.0] * np.c_[x, y][0, 0],
    "a buffer": lambda x, y, v: _in_a_buffer(x, v),
}  # fmt: skip


def _written(z, y):
    z += y
    z[0] *= 2
    z[:, 1] = y[:, 0] ** 2
    np.copyto(z, y, where=np.arange(12).reshape(3, 4) % 5 == 0)
    return z


def _filled(z):
    np.fill_diagonal(z, -1.0)
    return z


def _in_a_buffer(x, v):
    out = np.zeros((3, 4))
    for t in range(3):
        out[t] = x[t] * v[t] + (out[t - 1] if t else 0)
    return out


def inputs():
    rng = np.random.default_rng(0)
    return rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.standard_normal(5)


def central_differences(function, upstream, arrays, step=1e-6):
    found = []
    for k, x in enumerate(arrays):
        gradient = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            around = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[k][index] += sign * step
                around.append(np.array(function(*moved)))
            gradient[index] = np.sum(upstream * (around[0] - around[1])) / (2 * step)
        found.append(gradient)
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_record_leads_to_the_right_gradients(name):
    function, arrays = FUNCTIONS[name], inputs()
    value = np.array(function(*inputs()))
    tape = record(lambda *xs: (function(*xs), None), arrays, buffers=[globals()])
    entry, recorded = tape.outputs[0]
    assert entry is not None
    np.testing.assert_allclose(recorded, value, rtol=1e-12)
    upstream = np.random.default_rng(1).standard_normal(value.shape)
    for own, numeric in zip(tape.backward([upstream]), central_differences(function, upstream, arrays), strict=True):
        np.testing.assert_allclose(own, numeric, atol=1e-6, rtol=1e-5)


def test_what_it_does_not_know_is_said():
    with pytest.raises(Untraceable, match="inv"):
        record(lambda x: (np.linalg.inv(x), None), (np.eye(3),))
    with pytest.raises(Untraceable, match="remainder"):
        record(lambda x: (x % 1, None), (np.ones(3),))
