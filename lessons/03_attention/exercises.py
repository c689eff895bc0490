"""What the exercises of lesson 3 are checked with."""

import numpy as np

from minis2s import functional as F
from minis2s.lessons import Exercise


def right_dot_attention(query, memory):
    """The library's two functions, for a batch of one sentence."""
    q, m = query[:, None], memory[:, None]  # (T, 1, H), (S, 1, H)
    scores, scores_backward = F.dot_scores(q, m)
    (context, _), attend_backward = F.attend(scores, m)

    def backward(dcontext):
        dscores, through_mean, _ = attend_backward(dcontext[:, None])
        dquery, through_scores = scores_backward(dscores)
        return dquery[:, 0], (through_mean + through_scores)[:, 0]

    return context[:, 0], backward


def right_additive_scores(query, keys, vector):
    """The library's, for a batch of one sentence."""
    scores, scores_backward = F.additive_scores(query[:, None], keys[:, None], vector)

    def backward(dscores):
        dquery, dkeys, dvector = scores_backward(dscores[None])
        return dquery[:, 0], dkeys[:, 0], dvector

    return scores[0], backward


def sizes(rng, count):
    """Sizes from 3 to 6, all unequal."""
    return rng.choice(np.arange(3, 7), count, replace=False)


def dot_inputs(rng):
    """More steps than memories, or fewer."""
    T, S, H = sizes(rng, 3)
    return rng.standard_normal((T, H)), rng.standard_normal((S, H))


def additive_inputs(rng):
    """Queries and keys of one size."""
    T, S, A = sizes(rng, 3)
    return rng.standard_normal((T, A)), rng.standard_normal((S, A)), rng.standard_normal(A)


def mask_inputs(rng):
    """Sentences of two tokens or more, one without padding; the scores of padding would win."""
    N, S = rng.choice(np.arange(4, 8), 2, replace=False)
    lengths = rng.permutation([S, *rng.integers(2, S, N - 1)])
    mask = np.arange(S) < lengths[:, None]
    return 1.5 * rng.standard_normal((N, S)) + 3 * ~mask, mask


EXERCISES = (
    Exercise("dot_attention", right_dot_attention, dot_inputs, points=3),
    Exercise("additive_scores", right_additive_scores, additive_inputs, points=2),
    Exercise("masked_softmax", F.softmax, mask_inputs, points=2),
)
