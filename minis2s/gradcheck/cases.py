"""A hard case for every function of the library: ragged masks, repeated ids, states and biases that are not zero."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, NamedTuple

import numpy as np

from minis2s import functional as F

T, S, N, D, H, V = 4, 5, 3, 4, 3, 7  # source and target differ in length; the last sentence is all padding
SOURCE_MASK = np.arange(S)[:, None] < np.array([S, 2, 0])
TARGET_MASK = np.arange(T)[:, None] < np.array([3, T, 0])


class Case(NamedTuple):
    """A function with its options bound, which draws the same random numbers in every call, and its inputs."""

    name: str
    function: Callable[..., Any]
    inputs: tuple


def with_options(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`function` with keyword options; keeps its name and signature."""
    return update_wrapper(partial(function, **options), function)


def with_stream(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`function` with a random stream that starts anew in every call."""
    return update_wrapper(lambda *inputs: function(*inputs, rng=np.random.default_rng(3), **options), function)


def smooth_log_softmax(x: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, Callable[..., Any]]:
    """:func:`log_softmax` with its -inf at padding out of sight, where a difference of infinities would be NaN."""
    y, backward = F.log_softmax(x, mask)
    return np.where(mask, y, 0), backward


def cases(seed: int = 0) -> list[Case]:
    """All cases. Every public function with a backward has one."""
    rng = np.random.default_rng(seed)

    def r(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    scores, query, memory = 2 * r(N, T, S), r(T, N, H), r(S, N, H)
    logits, target = 3 * r(T, N, V), rng.integers(0, V, (T, N))
    away_from_kink = r(N, D)
    away_from_kink += 0.1 * np.sign(away_from_kink)
    found = [
        *(Case(f.__name__, f, (2 * r(N, D),)) for f in (F.sigmoid, F.tanh, F.gelu)),
        Case("relu", F.relu, (away_from_kink,)),
        Case("softmax", F.softmax, (scores, None)),
        Case("softmax, mask", F.softmax, (scores, SOURCE_MASK.T[:, None])),
        Case("log_softmax", F.log_softmax, (scores, None)),
        Case("log_softmax, mask", smooth_log_softmax, (2 * r(N, S), np.arange(S) < np.array([[S], [2], [1]]))),
        Case("linear", F.linear, (r(T, N, D), r(H, D), r(H))),
        Case("linear, no bias", F.linear, (r(N, D), r(H, D), None)),
        Case("embedding", F.embedding, (np.array([[1, 4, 1], [0, 1, 6]]), r(V, D))),
        Case("layer_norm", F.layer_norm, (r(T, N, D) + 2, r(D), r(D))),
        Case("dropout", with_stream(F.dropout, rate=0.4), (r(T, N, D),)),
        Case("cross_entropy", F.cross_entropy, (logits, target, TARGET_MASK)),
        Case("cross_entropy, smoothed", with_options(F.cross_entropy, label_smoothing=0.1), (logits, target, None)),
        Case("reinforce", with_options(lambda log_prob, mask: _reinforce(log_prob, mask)), (r(N, T), TARGET_MASK.T)),
        Case("dot_scores", F.dot_scores, (query, memory)),
        Case("scaled_dot_scores", F.scaled_dot_scores, (query, memory)),
        Case("general_scores", F.general_scores, (query, r(S, N, D), r(H, D))),
        Case("additive_scores", F.additive_scores, (query, memory, r(H))),
        Case("location_scores", with_options(F.location_scores, length=S), (query, r(S + 2, H))),
        Case("attend", F.attend, (scores, memory, SOURCE_MASK)),
        Case("hard_attend", with_stream(F.hard_attend), (scores, memory, SOURCE_MASK)),
        Case("masked_mean", F.masked_mean, (memory, SOURCE_MASK)),
    ]
    for cell, gates, states in (("rnn", 1, 1), ("gru", 3, 1), ("lstm", 4, 2)):
        step, sequence = getattr(F, f"{cell}_step"), getattr(F, cell)
        rows = gates * H
        weights = (0.7 * r(rows, D), 0.7 * r(rows, H), r(rows), r(rows))
        start = tuple(r(N, H) for _ in range(states))
        found += [
            Case(f"{cell}_step", step, (r(N, D), *start, *weights)),
            Case(cell, sequence, (r(S, N, D), *start, *weights, None)),
            Case(f"{cell}, mask", sequence, (r(S, N, D), *start, *weights, SOURCE_MASK)),
            Case(f"{cell}, reverse", with_options(sequence, reverse=True), (r(S, N, D), *start, *weights, SOURCE_MASK)),
        ]
    return found


def _reinforce(log_prob: np.ndarray, mask: np.ndarray) -> tuple[Any, Callable[..., Any]]:
    """:func:`reinforce` with a reward, which is a constant to it."""
    loss, backward = F.reinforce(log_prob, np.linspace(-1, 2, log_prob.size).reshape(log_prob.shape), mask)
    return loss, lambda dloss: backward(dloss)[::2]
