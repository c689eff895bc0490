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


def first_output(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`function` with keyword options, and of its outputs only the first: the others have no gradient."""

    def first(*inputs: Any) -> tuple[Any, Callable[..., Any]]:
        y, backward = function(*inputs, **options)
        return (y[0] if isinstance(y, tuple) else y), backward

    return update_wrapper(first, function)


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
        *(Case(f.__name__, f, (2 * r(N, D),)) for f in (F.sigmoid, F.tanh, F.gelu, F.silu, F.softplus)),
        *(Case(f.__name__, f, (away_from_kink,)) for f in (F.relu, F.leaky_relu, F.elu)),
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
    return found + picture_cases(rng) + picture_loss_cases(rng)


def picture_cases(rng: np.random.Generator) -> list[Case]:
    """Functions of pictures: unequal sides, sizes that stride and kernel do not divide, one picture, one channel."""

    def r(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    x, one = r(2, 4, 5, 7), r(1, 1, 6, 5)
    conv: dict[str, tuple[Any, ...]] = {
        "conv2d": (x, r(3, 4, 3, 2), r(3), {"stride": (2, 1), "padding": (1, 2)}),
        "conv2d, one": (one, r(1, 1, 2, 3), None, {}),
        "conv2d, stride over kernel": (x, r(3, 4, 2, 2), r(3), {"stride": (3, 4), "padding": 1}),
        "conv2d, dilation": (x, r(2, 4, 2, 3), r(2), {"dilation": (3, 2), "padding": (0, 3), "stride": 2}),
        "conv2d, groups": (x, r(6, 2, 3, 3), r(6), {"groups": 2, "padding": 1}),
        "conv2d, depthwise": (x, r(4, 1, 3, 3), r(4), {"groups": 4, "stride": 2}),
        "conv2d, pixelwise": (x, r(3, 4, 1, 1), r(3), {}),
        "conv2d, patches": (x, r(3, 4, 2, 3), r(3), {"stride": (2, 3)}),
    }
    small, dot = r(2, 4, 3, 2), r(1, 1, 2, 3)
    transposed: dict[str, tuple[Any, ...]] = {
        "conv_transpose2d": (small, r(4, 3, 3, 2), r(3), {"stride": (2, 1), "padding": (1, 0)}),
        "conv_transpose2d, one": (dot, r(1, 1, 2, 3), None, {}),
        "conv_transpose2d, stride over kernel": (small, r(4, 3, 2, 1), r(3), {"stride": (3, 2)}),
        "conv_transpose2d, output padding": (
            small,
            r(4, 2, 3, 4),
            r(2),
            {"stride": 2, "padding": 1, "output_padding": 1},
        ),
        "conv_transpose2d, dilation": (small, r(4, 2, 2, 3), r(2), {"dilation": (3, 2), "padding": (1, 2)}),
        "conv_transpose2d, groups": (small, r(4, 3, 3, 3), r(6), {"groups": 2, "stride": 2, "output_padding": (0, 1)}),
        "conv_transpose2d, patches": (small, r(4, 3, 2, 3), r(3), {"stride": (2, 3)}),
    }
    overlapping = {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}
    pools = (F.max_pool2d, F.max_pool2d_with_indices, F.avg_pool2d)
    apart = rng.permutation(x.size).reshape(x.shape) / 50  # no two so near that a step changes which is the largest
    maxima, places = F.max_pool2d_with_indices(apart, kernel_size=2)[0]
    return [
        *(Case(name, with_options(F.conv2d, **o), (x, w, b)) for name, (x, w, b, o) in conv.items()),
        *(Case(name, with_options(F.conv_transpose2d, **o), (x, w, b)) for name, (x, w, b, o) in transposed.items()),
        *(Case(f.__name__, first_output(f, kernel_size=2), (apart,)) for f in pools),
        *(Case(f"{f.__name__}, overlapping", first_output(f, **overlapping), (apart,)) for f in pools),
        Case("max_unpool2d", with_options(F.max_unpool2d, output_size=(5, 7)), (maxima, places)),
        Case("interpolate", with_options(F.interpolate, size=(10, 21)), (x,)),
        Case("interpolate, to less", with_options(F.interpolate, size=(4, 3)), (x,)),
        Case("interpolate, bilinear", with_options(F.interpolate, size=(8, 3), mode="bilinear"), (x,)),
        Case(
            "interpolate, corners",
            with_options(F.interpolate, size=(8, 9), mode="bilinear", align_corners=True),
            (x,),
        ),
        Case("flatten", F.flatten, (r(3, 2, 3, 4),)),
        Case("unflatten", with_options(F.unflatten, shape=(2, 3, 4)), (r(3, 24),)),
        Case("batch_norm", first_output(F.batch_norm), (x + 2, r(4), r(4))),
        Case("batch_norm, rows", first_output(F.batch_norm), (r(5, 3) - 1, r(3), r(3))),
        Case("group_norm", with_options(F.group_norm, num_groups=2), (x + 2, r(4), r(4))),
    ]


def picture_loss_cases(rng: np.random.Generator) -> list[Case]:
    """Losses of pictures and of their codes, and running statistics: what has constants that are no inputs here."""

    def r(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    x, target = r(3, 1, 2, 4), rng.random((3, 1, 2, 4))
    statistics = {"mean": r(4), "var": 0.5 + rng.random(4)}
    return [
        *(
            Case(f.__name__, with_options(lambda x, f=f: _without_target(f, x, target)), (2 * x,))
            for f in (F.mse, F.mae, F.binary_cross_entropy_with_logits)
        ),
        Case("gaussian_kl", F.gaussian_kl, (r(3, 4), r(3, 4))),
        Case("gaussian_kl, free bits", with_options(F.gaussian_kl, free_bits=0.5), (r(3, 4), r(3, 4))),
        Case("gaussian_kl_terms", F.gaussian_kl_terms, (r(3, 4), r(3, 4))),
        Case("reparameterise", with_stream(F.reparameterise), (r(3, 4), r(3, 4))),
        Case("batch_norm_running", with_options(F.batch_norm_running, **statistics), (r(2, 4, 3, 5), r(4), r(4))),
    ]


def _without_target(loss: Callable[..., Any], x: np.ndarray, target: np.ndarray) -> tuple[Any, Callable[..., Any]]:
    """A loss with a target, which is a constant to it."""
    value, backward = loss(x, target)
    return value, lambda dloss: backward(dloss)[0]


def _reinforce(log_prob: np.ndarray, mask: np.ndarray) -> tuple[Any, Callable[..., Any]]:
    """:func:`reinforce` with a reward, which is a constant to it."""
    loss, backward = F.reinforce(log_prob, np.linspace(-1, 2, log_prob.size).reshape(log_prob.shape), mask)
    return loss, lambda dloss: backward(dloss)[::2]
