"""Recurrent layers: stacked, in one direction or both, with PyTorch's names, shapes and initial weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import sqrt
from typing import Any, ClassVar

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array, get_xp, side_by_side, side_by_side_pays
from minis2s.functional.activation import Backward
from minis2s.nn.layers import Dropout
from minis2s.nn.module import Module, Parameter, uniform

State = Any
"""(L * directions, N, H), and for an LSTM a pair (h, c) of them."""


class Recurrent(Module):
    """What RNN, GRU and LSTM share. All weights start uniform in +-1/sqrt(hidden_size).

    Parameters
    ----------
    input_size, hidden_size, num_layers
        D, H and L.
    dropout
        Between layers, not after the last.
    bidirectional
        A second network reads from the last real token to the first; outputs are joined, forward first.
    """

    function: ClassVar[Callable[..., Any]]
    gates: ClassVar[int]
    states: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: np.random.Generator,
    ):
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.directions = 2 if bidirectional else 1
        self.dropout = Dropout(dropout, rng=rng)
        bound, rows = 1 / sqrt(hidden_size), self.gates * hidden_size
        for layer in range(num_layers):
            columns = input_size if layer == 0 else self.directions * hidden_size
            for suffix in self._suffixes(layer):
                setattr(self, f"weight_ih{suffix}", uniform(rng, bound, (rows, columns)))
                setattr(self, f"weight_hh{suffix}", uniform(rng, bound, (rows, hidden_size)))
                setattr(self, f"bias_ih{suffix}", uniform(rng, bound, (rows,)))
                setattr(self, f"bias_hh{suffix}", uniform(rng, bound, (rows,)))

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self.directions]

    def _weights(self, suffix: str) -> list[Parameter]:
        return [getattr(self, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def forward(self, x: Array, state: State = None, mask: Array | None = None) -> tuple[tuple[Array, State], Backward]:
        """Read a batch of sequences.

        Parameters
        ----------
        x : array (T, N, D)
        state : array (L * directions, N, H), a pair of them for an LSTM, or None for zeros
        mask : bool array (T, N), True = a real token

        Returns
        -------
        y (T, N, directions * H), zero at padding, and the final state, in the shape of `state`;
        backward(dy, dstate=None) -> dx, dstate

        Raises
        ------
        ValueError
            If x does not have D features.
        """
        if x.shape[-1] != self.input_size:
            name = type(self).__name__
            raise ValueError(f"{name}: x has {x.shape[-1]} features, weight_ih_l0 expects {self.input_size}")
        xp = get_xp(x)
        initial = self._as_tuple(state, like=x)
        final = tuple(xp.empty_like(s) for s in initial)
        layer_backwards = []
        for layer in range(self.num_layers):
            if layer > 0:
                x, dropout_backward = self.dropout(x)
                layer_backwards.append(dropout_backward)
            x, layer_backward = self._layer(layer, x, initial, final, mask)
            layer_backwards.append(layer_backward)

        def backward(dy: Array, dstate: State = None) -> tuple[Array, State]:
            dfinal = self._as_tuple(dstate, like=dy)
            dinitial = tuple(xp.empty_like(s) for s in dfinal)
            for layer in reversed(range(self.num_layers)):
                dy = layer_backwards[2 * layer](dy, dfinal, dinitial)
                if layer > 0:
                    dy = layer_backwards[2 * layer - 1](dy)
            return dy, self._as_state(dinitial)

        return (x, self._as_state(final)), backward

    def _layer(
        self, layer: int, x: Array, initial: tuple, final: tuple, mask: Array | None
    ) -> tuple[Array, Callable[[Array, tuple, tuple], Array]]:
        """Run one layer in each direction; write its rows of the final state, later of the initial state's gradient."""
        H, runs = self.hidden_size, []
        for direction, suffix in enumerate(self._suffixes(layer)):
            runs.append(partial(self._direction, x, layer * self.directions + direction, suffix, initial, final, mask))
        if self.directions == 1:
            return runs[0]()
        (y, forward_backward), (y_reverse, reverse_backward) = side_by_side(runs[0], runs[1], like=initial[0][0])

        def backward(dy: Array, dfinal: tuple, dinitial: tuple) -> Array:
            dx, dx_reverse = side_by_side(
                lambda: forward_backward(dy[:, :, :H], dfinal, dinitial),
                lambda: reverse_backward(dy[:, :, H:], dfinal, dinitial),
                like=dfinal[0][0],
            )
            dx += dx_reverse
            return dx

        return get_xp(x).concatenate([y, y_reverse], axis=2), backward

    def _direction(
        self, x: Array, k: int, suffix: str, initial: tuple, final: tuple, mask: Array | None
    ) -> tuple[Array, Callable[[Array, tuple, tuple], Array]]:
        """Run one direction of one layer: row k of the states."""
        weights, states = self._weights(suffix), [s[k] for s in initial]
        function = partial(type(self).function, reverse=suffix.endswith("reverse"))
        if self.directions == 1 and side_by_side_pays(states[0]):
            function = partial(_in_halves, function, len(states))
        (y, *last), function_backward = function(x, *states, *(w.data for w in weights), mask)
        for s, value in zip(final, last, strict=True):
            s[k] = value

        def backward(dy: Array, dfinal: tuple, dinitial: tuple) -> Array:
            dx, *rest = function_backward(dy, *(s[k] for s in dfinal))
            for s, value in zip(dinitial, rest[: self.states], strict=True):
                s[k] = value
            for w, dweight in zip(weights, rest[self.states : -1], strict=True):
                w.grad += dweight
            return dx

        return y, backward

    def _as_tuple(self, state: State, like: Array) -> tuple[Array, ...]:
        if state is not None:
            return state if self.states > 1 else (state,)
        shape = (self.num_layers * self.directions, like.shape[1], self.hidden_size)
        return tuple(get_xp(like).zeros(shape, dtype=like.dtype) for _ in range(self.states))

    def _as_state(self, parts: tuple[Array, ...]) -> State:
        return parts if self.states > 1 else parts[0]


def _in_halves(
    function: Callable[..., Any], count: int, x: Array, *arguments: Array | None
) -> tuple[tuple[Array, ...], Backward]:
    """Run a recurrent function of `count` states on the two halves of a batch side by side. It looks like the whole."""
    xp, half = get_xp(x), x.shape[1] // 2
    states, weights, mask = arguments[:count], arguments[count:-1], arguments[-1]
    halves = slice(0, half), slice(half, x.shape[1])

    def run(rows: slice) -> tuple[tuple[Array, ...], Backward]:
        return function(x[:, rows], *(s[rows] for s in states), *weights, None if mask is None else mask[:, rows])

    runs = side_by_side(partial(run, halves[0]), partial(run, halves[1]), like=states[0])
    (first, first_backward), (second, second_backward) = runs

    def join(a: Sequence[Array], b: Sequence[Array]) -> list[Array]:
        """Sequences (T, N / 2, ...), then states (N / 2, H)."""
        return [xp.concatenate(pair, axis=1 if k == 0 else 0) for k, pair in enumerate(zip(a, b, strict=True))]

    def backward(dy: Array, *dlast: Array) -> tuple[Array | None, ...]:
        a, b = side_by_side(
            lambda: first_backward(dy[:, halves[0]], *(d[halves[0]] for d in dlast)),
            lambda: second_backward(dy[:, halves[1]], *(d[halves[1]] for d in dlast)),
            like=states[0],
        )
        inputs = count + 1
        for dweight, more in zip(a[inputs:-1], b[inputs:-1], strict=True):
            dweight += more
        return *join(a[:inputs], b[:inputs]), *a[inputs:]

    return tuple(join(first, second)), backward


class RNN(Recurrent):
    """Elman network: :func:`minis2s.functional.rnn`."""

    function = staticmethod(F.rnn)
    gates = 1


class GRU(Recurrent):
    """Gated recurrent unit: :func:`minis2s.functional.gru`."""

    function = staticmethod(F.gru)
    gates = 3


class LSTM(Recurrent):
    """Long short-term memory: :func:`minis2s.functional.lstm`. Its state is the pair (h, c)."""

    function = staticmethod(F.lstm)
    gates = 4
    states = 2
