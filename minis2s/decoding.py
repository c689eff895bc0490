"""From a trained model to an answer: greedy, sampling, beam search, forced scoring. All batched.

A model takes part by two methods, `encode(source, mask) -> (memory, carry), backward` and
`step(ids, carry, memory) -> logits, carry, weights`; what they hand on has the batch on axis 1 of every array.

A sentence's result does not depend on the batch it is in, but for the last bits of a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array, get_xp, side_by_side, side_by_side_pays, to_device, to_numpy
from minis2s.data.vocabulary import BOS, EOS, PAD

KEEP = 0.8
"""Finished sentences stay in the batch while more than this share of it goes on: every copy of the rest costs, too."""

EACH_CORE = 32
"""Sentences from which on a core is worth having."""

FEW = 32
"""Up to so many largest numbers of a row are faster found one after the other."""


@dataclass(frozen=True)
class Hypothesis:
    """One answer.

    Attributes
    ----------
    tokens
        Ids without <s> and </s>.
    score
        What answers are ranked by: `log_prob` over the length penalty.
    log_prob
        Natural logarithm of the probability of the tokens and the </s> after them.
    attention
        (T, S): for each token, the last row for </s>, the weights over the source tokens; None without attention.
    """

    tokens: list[int]
    score: float
    log_prob: float
    attention: np.ndarray | None = None


Search = Callable[[np.ndarray, np.ndarray], list[list[Hypothesis]]]
"""From source and mask to the hypotheses of each sentence."""


def length_penalty(length: Array | int, alpha: float) -> Array | float:
    """GNMT's penalty (Wu et al. 2016, eq. 14), the length counting </s>; alpha = 0 ranks by probability.

    lp = ((5 + length) / 6)^alpha
    """
    return ((5 + length) / 6) ** alpha


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Dropout off, and back to what it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _encode(model: Any, source: np.ndarray, mask: np.ndarray) -> tuple[Any, Any]:
    device_mask = None if mask.all() else to_device(mask, model.device)
    (memory, carry), _ = model.encode(to_device(source, model.device), device_mask)
    return memory, carry


def _select(parts: Any, index: Array) -> Any:
    """Take places `index` out of whatever a model hands on: arrays with the batch on axis 1, in (named) tuples.

    An array that is handed on twice is copied once: a memory may be its own keys.
    """
    return _take(parts, index, {})


def _take(part: Any, index: Array, taken: dict[int, Array]) -> Any:
    """What `_select` does to a part; `taken` has the copies so far, by the identity of the original.

    A function of its own: a closure that calls itself keeps all it saw until the garbage collector comes round.
    """
    if part is None:
        return None
    if isinstance(part, tuple):
        chosen = [_take(p, index, taken) for p in part]
        return type(part)(*chosen) if hasattr(part, "_fields") else tuple(chosen)
    if id(part) not in taken:
        taken[id(part)] = part.take(index, axis=1)
    return taken[id(part)]


def _on_both_cores(model: Any, search: Search, source: np.ndarray, mask: np.ndarray) -> list[list[Hypothesis]]:
    """Search for the answers to short sentences on one core, and on a second one to long ones with as many tokens."""
    N = source.shape[1]
    if N < 2 * EACH_CORE or not side_by_side_pays(model.buffer.data):
        return search(source, mask)
    tokens = 1 + mask.sum(axis=0)  # an empty sentence is work, too
    order = tokens.argsort(kind="stable")
    middle = int(np.searchsorted(tokens[order].cumsum(), tokens.sum() / 2))
    short, long = order[:middle], order[middle:]
    halves = [partial(search, *_part(source, mask, half)) for half in (short, long)]
    found = [h for half in side_by_side(halves[0], halves[1], like=model.buffer.data) for h in half]
    return [found[n] for n in order.argsort()]


def _part(source: np.ndarray, mask: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some sentences of a batch, without the rows in which all of them are padded."""
    real = mask[:, index]
    longest = int(np.flatnonzero(real.any(axis=1)).max(initial=0)) + 1
    return source.take(index, axis=1)[:longest], real[:longest]


def _worth_leaving(going: Array) -> bool:
    """Have so many sentences finished that it pays to copy the others?"""
    return bool(going.sum() <= KEEP * len(going))


def _forbid(scores: Array) -> Array:
    """Logits or log-probabilities (N, V), in place: <pad> and <s> are never an answer."""
    scores[:, PAD] = scores[:, BOS] = -get_xp(scores).inf
    return scores


def _log_probs(logits: Array) -> Array:
    """Log-probabilities (N, V) of what may be an answer."""
    y, _ = F.log_softmax(logits)
    return _forbid(y)


# ---------------------------------------------------------------------------------------------- one token a step


def greedy(model: Any, source: np.ndarray, source_mask: np.ndarray, max_length: int) -> list[list[Hypothesis]]:
    """Take the likeliest token at each step.

    Parameters
    ----------
    model
        Anything with `encode` and `step`, such as :class:`minis2s.models.Seq2Seq`.
    source, source_mask : (S, N)
    max_length : int
        Most tokens of an answer; </s> is forced after it.

    Returns
    -------
    For each sentence a list of one hypothesis.
    """

    def likeliest(logits: Array, _: np.ndarray) -> Array:
        return logits.argmax(axis=1)

    with _evaluating(model):
        return _on_both_cores(model, partial(_one_by_one, model, likeliest, max_length), source, source_mask)


def sample(
    model: Any,
    source: np.ndarray,
    source_mask: np.ndarray,
    max_length: int,
    *,
    rng: np.random.Generator,
    temperature: float = 1.0,
) -> list[list[Hypothesis]]:
    """Draw each token from the model's distribution, p^(1 / temperature) made to sum to 1.

    Parameters and result as :func:`greedy`; the score is the log-probability at temperature 1.
    """
    if temperature <= 0:
        raise ValueError(f"sample: temperature is {temperature}, expected > 0 (for the limit 0 use greedy)")

    def draw(logits: Array, alive: np.ndarray) -> Array:
        p, _ = F.softmax(logits / temperature)
        cumulative = p.cumsum(axis=1)
        u = rng.random(source.shape[1], dtype=np.float32)[alive]  # a number for every sentence, finished or not
        place = to_device(u, model.device) * cumulative[:, -1]
        return (cumulative > place[:, None]).argmax(axis=1)

    with _evaluating(model):
        return _one_by_one(model, draw, max_length, source, source_mask)


def _one_by_one(
    model: Any,
    choose: Callable[[Array, np.ndarray], Array],
    max_length: int,
    source: np.ndarray,
    source_mask: np.ndarray,
) -> list[list[Hypothesis]]:
    """One token a step for every sentence; finished ones leave the batch some at a time."""
    N = source.shape[1]
    tokens = np.full((max_length + 1, N), EOS)
    log_prob = np.zeros(N)
    attention = None
    alive, going = np.arange(N), np.ones(N, dtype=bool)  # the sentence at each place of the batch; does it go on?
    memory, carry = _encode(model, source, source_mask)
    ids = to_device(np.full(N, BOS), model.device)
    for t in range(max_length + 1):
        logits, carry, weights = model.step(ids, carry, memory)
        ids = choose(_forbid(logits.copy()), alive) if t < max_length else ids * 0 + EOS
        here = alive[going]
        tokens[t, here] = to_numpy(ids)[going]
        log_prob[here] -= to_numpy(F.token_losses(logits, ids))[going]
        if weights is not None:
            rows = to_numpy(weights)
            attention = np.zeros((max_length + 1, N, len(source)), rows.dtype) if attention is None else attention
            attention[t, here] = rows[going]
        going[going] = tokens[t, here] != EOS
        if not going.any():
            break
        if _worth_leaving(going):
            keep = to_device(np.flatnonzero(going), model.device)
            alive, going, ids = alive[going], going[going], ids[keep]
            memory, carry = _select(memory, keep), _select(carry, keep)
    found = []
    for n, length in enumerate((tokens != EOS).sum(axis=0)):
        seen = None if attention is None else attention[: length + 1, n][:, source_mask[:, n]]
        found.append([Hypothesis(tokens[:length, n].tolist(), float(log_prob[n]), float(log_prob[n]), seen)])
    return found


# --------------------------------------------------------------------------------------------------- beam search


def beam_search(
    model: Any,
    source: np.ndarray,
    source_mask: np.ndarray,
    max_length: int,
    *,
    beam: int = 4,
    alpha: float = 0.6,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Keep the `beam` likeliest prefixes at each step; rank finished ones by log-probability over a length penalty.

    A prefix that ends in </s> is set aside and its place in the beam stays empty, so that `beam = 1` is greedy search
    and a beam wide enough for every prefix is exhaustive.

    Parameters
    ----------
    model, source, source_mask, max_length
        As :func:`greedy`.
    beam : int
        B, the width.
    alpha : float
        Strength of :func:`length_penalty`.
    n_best : int
        How many hypotheses a sentence, at most `beam`.

    Returns
    -------
    For each sentence its hypotheses, best first.
    """
    if not 1 <= n_best <= beam:
        raise ValueError(f"beam_search: n_best is {n_best}, expected 1 to beam = {beam}")
    search = partial(_beam_search, model, beam, alpha, max_length)
    with _evaluating(model):
        return [h[:n_best] for h in _on_both_cores(model, search, source, source_mask)]


def _beam_search(
    model: Any, B: int, alpha: float, max_length: int, source: np.ndarray, source_mask: np.ndarray
) -> list[list[Hypothesis]]:
    """All finished hypotheses of each sentence, best first."""
    N = source.shape[1]
    finished: list[list[Hypothesis]] = [[] for _ in range(N)]
    trail = _Trail(source_mask, B)
    memory, carry = _encode(model, source, source_mask)
    alive = np.arange(N)  # the sentence at each place of the batch, B rows each
    scores = np.full((N, B), -np.inf)  # log-probability of each prefix; -inf is an empty place
    scores[:, 0] = 0  # all prefixes are alike at first: only one counts
    every = to_device(np.repeat(alive, B), model.device)
    memory, carry = _select(memory, every), _select(carry, every)
    ids = to_device(np.full(N * B, BOS), model.device)
    for t in range(max_length + 1):
        logits, carry, weights = model.step(ids, carry, memory)
        total, origin, token = _extend(scores, _log_probs(logits), only_eos=t == max_length)
        places = B - np.array([len(finished[n]) for n in alive])
        total[np.arange(B) >= places[:, None]] = -np.inf
        trail.append(alive, origin, token, None if weights is None else to_numpy(weights))
        for a, b in zip(*np.nonzero((token == EOS) & (total > -np.inf)), strict=True):
            finished[alive[a]].append(trail.hypothesis(alive[a], b, float(total[a, b]), alpha))
        total[token == EOS] = -np.inf
        scores, kept = total, np.arange(len(alive))
        going = (scores > -np.inf).any(axis=1)
        if not going.any():
            break
        if _worth_leaving(going):
            kept = np.flatnonzero(going)
            alive, scores, origin, token = alive[going], scores[going], origin[going], token[going]
            rows = kept[:, None] * B + np.arange(B)  # a sentence's rows of the memory are all alike
            memory = _select(memory, to_device(rows.reshape(-1), model.device))
        carry = _select(carry, to_device((kept[:, None] * B + origin).reshape(-1), model.device))
        ids = to_device(token.reshape(-1), model.device)
    return [sorted(h, key=lambda x: -x.score) for h in finished]


def _extend(scores: np.ndarray, log_probs: Array, only_eos: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The B best of all prefixes longer by one token.

    scores (A, B), log_probs (A * B, V) -> log-probabilities, best first, the place each comes from, its token: (A, B)
    """
    A, B = scores.shape
    if only_eos:
        token = np.full((A * B, 1), EOS)
        values = to_numpy(log_probs[:, EOS : EOS + 1])
    else:
        token, values = (to_numpy(x) for x in _largest(log_probs, min(B, log_probs.shape[1])))
    K = token.shape[1]  # of a prefix no more than B continuations can be among the best
    place, total = _largest((scores[:, :, None] + values.reshape(A, B, K)).reshape(A, -1), B)
    return total, place // K, np.take_along_axis(token.reshape(A, -1), place, axis=1)


def _largest(x: Array, count: int) -> tuple[Array, Array]:
    """Places and values of the `count` largest numbers of each row, largest first. Spoils x."""
    xp = get_xp(x)
    if count > FEW:
        place = xp.argsort(-x, axis=1)[:, :count]
        return place, xp.take_along_axis(x, place, axis=1)
    row, places, values = xp.arange(len(x)), [], []
    for _ in range(count):
        place = x.argmax(axis=1)
        places.append(place)
        values.append(x[row, place])
        x[row, place] = -xp.inf
    return xp.stack(places, axis=1), xp.stack(values, axis=1)


class _Trail:
    """Which token each place of each beam took, and from which place it came: read backwards, a hypothesis."""

    def __init__(self, source_mask: np.ndarray, B: int):
        self.mask, self.B = source_mask, B
        self.steps: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []

    def append(self, alive: np.ndarray, origin: np.ndarray, token: np.ndarray, weights: np.ndarray | None) -> None:
        """Note a step of the sentences `alive`: origin and token (A, B), weights (A * B, S)."""
        N = self.mask.shape[1]
        row = np.full(N, -1)
        row[alive] = np.arange(len(alive))
        self.steps.append((row, np.stack([origin, token]), weights))

    def hypothesis(self, n: int, b: int, log_prob: float, alpha: float) -> Hypothesis:
        """Follow place b of sentence n back to the start. Its last token is </s>."""
        tokens, rows = [], []
        for row, (origin, token), weights in reversed(self.steps):
            a = row[n]
            tokens.append(int(token[a, b]))
            b = origin[a, b]
            if weights is not None:
                rows.append(weights[a * self.B + b])
        score = log_prob / float(length_penalty(len(tokens), alpha))
        attention = np.stack(rows[::-1])[:, self.mask[:, n]] if rows else None
        return Hypothesis(tokens[:0:-1], score, log_prob, attention)


# -------------------------------------------------------------------------------------------------- forced scoring


def force(model: Any, batch: Any) -> np.ndarray:
    """Log-probability of each reference in a batch, its </s> included, in nats: (N,)."""
    source, source_mask, target_in, target_out, mask = (
        to_device(getattr(batch, name), model.device)
        for name in ("source", "source_mask", "target_in", "target_out", "target_mask")
    )
    with _evaluating(model):
        (memory, carry), _ = model.encode(source, source_mask)
        (features, *_), _ = model.decode(target_in, carry, memory, mask)
        logits, _ = model.decoder.output(features)
    return to_numpy(-(F.token_losses(logits, target_out) * mask).sum(axis=0))
