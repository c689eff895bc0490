"""Attention with its weights: one of the scores, then a weighted mean, or a draw."""

from __future__ import annotations

from math import sqrt

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array
from minis2s.functional.activation import Backward
from minis2s.nn.layers import Linear
from minis2s.nn.module import Module, uniform

SCORES = ("dot", "scaled_dot", "general", "additive", "location")


class Attention(Module):
    """Attend from a decoder's outputs to an encoder's.

    Parameters
    ----------
    score : one of dot, scaled_dot, general, additive, location
        See the functions of these names in :mod:`minis2s.functional`.
    query_size, memory_size : int
        Features of the decoder's and the encoder's outputs; dot and scaled_dot want them equal.
    max_length : int
        Longest source of the location score.
    hard : bool
        Draw one memory instead of taking the mean of all.
    """

    def __init__(
        self,
        score: str,
        query_size: int,
        memory_size: int,
        *,
        rng: np.random.Generator,
        max_length: int = 100,
        hard: bool = False,
    ):
        if score not in SCORES:
            raise ValueError(f"Attention: score is {score!r}, expected one of {', '.join(SCORES)}")
        if score in ("dot", "scaled_dot") and query_size != memory_size:
            raise ValueError(f"Attention: {score} needs equal sizes, query has {query_size}, memory has {memory_size}")
        self.score, self.hard, self.rng = score, hard, rng
        if score == "general":
            self.weight = uniform(rng, 1 / sqrt(memory_size), (query_size, memory_size))
        elif score == "location":
            self.weight = uniform(rng, 1 / sqrt(query_size), (max_length, query_size))
        elif score == "additive":
            self.query_layer = Linear(query_size, query_size, rng=rng)
            self.memory_layer = Linear(memory_size, query_size, bias=False, rng=rng)
            self.vector = uniform(rng, 1 / sqrt(query_size), (query_size,))

    def keys(self, memory: Array) -> tuple[Array, Backward]:
        """What is scored: the memories, for `additive` their projection. Made once a sentence, not once a step.

        memory (S, N, M) -> keys (S, N, A); backward(dkeys) -> dmemory
        """
        return self.memory_layer(memory) if self.score == "additive" else (memory, lambda dkeys: dkeys)

    def forward(
        self, query: Array, keys: Array, memory: Array, mask: Array | None = None
    ) -> tuple[tuple[Array, Array, Array | None], Backward]:
        """Attend from every query.

        query (T, N, Q), keys from :meth:`keys`, memory (S, N, M), mask (S, N)
        -> context (T, N, M), weights (N, T, S), log-probability (N, T) of a hard draw or None;
        backward(dcontext, dlog_prob=None) -> dquery, dkeys (None if the score does not look at them), dmemory
        """
        scores, scores_backward = self._scores(query, keys)
        log_prob = None
        if self.hard:
            rng = self.rng if self.training else None
            (context, log_prob, weights), attend_backward = F.hard_attend(scores, memory, mask, rng=rng)
        else:
            (context, weights), attend_backward = F.attend(scores, memory, mask)

        def backward(dcontext: Array, dlog_prob: Array | None = None) -> tuple[Array, Array | None, Array]:
            gradients = (dcontext, dlog_prob) if self.hard else (dcontext,)
            dscores, dmemory, _ = attend_backward(*gradients)
            dquery, dkeys = scores_backward(dscores)
            return dquery, dkeys, dmemory

        return (context, weights, log_prob), backward

    def _scores(self, query: Array, keys: Array) -> tuple[Array, Backward]:
        """Scores (N, T, S); backward(dscores) -> dquery, dkeys."""
        if self.score == "dot":
            return F.dot_scores(query, keys)
        if self.score == "scaled_dot":
            return F.scaled_dot_scores(query, keys)
        if self.score == "general":
            scores, weighted_backward = F.general_scores(query, keys, self.weight.data)
        elif self.score == "location":
            scores, weighted_backward = F.location_scores(query, self.weight.data, length=keys.shape[0])
        else:
            projected, query_backward = self.query_layer(query)
            scores, weighted_backward = F.additive_scores(projected, keys, self.vector.data)

        def backward(dscores: Array) -> tuple[Array, Array | None]:
            if self.score == "additive":
                dprojected, dkeys, dvector = weighted_backward(dscores)
                self.vector.grad += dvector
                return query_backward(dprojected), dkeys
            dquery, *dkeys, dweight = weighted_backward(dscores)
            self.weight.grad += dweight
            return dquery, dkeys[0] if dkeys else None

        return scores, backward
