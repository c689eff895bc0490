"""Encoder-decoder for sequences: recurrent nets, and in between a vector or attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array, get_xp, random_uniform, to_device
from minis2s.data.batching import Batch
from minis2s.functional.activation import Backward
from minis2s.nn import GRU, LSTM, RNN, Attention, Dropout, Embedding, Linear, Module
from minis2s.nn.attention import SCORES

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
CONTEXTS = ("last", "mean", "attention")


@dataclass(frozen=True)
class Seq2SeqConfig:
    """The shape of a model. Two sizes of vocabulary, then what PyTorch users know by these names."""

    source_vocabulary: int
    target_vocabulary: int
    embedding: int = 128
    hidden: int = 256
    layers: int = 1
    cell: str = "gru"
    bidirectional: bool = True
    context: str = "attention"
    score: str = "general"
    hard_attention: bool = False
    input_feeding: bool = False
    peeky: bool = False
    reverse_source: bool = False
    tied: bool = False
    dropout: float = 0.0
    label_smoothing: float = 0.0
    max_length: int = 100

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("cell", self.cell, tuple(CELLS)),
            ("context", self.context, CONTEXTS),
            ("score", self.score, SCORES),
        ):
            if value not in choices:
                raise ValueError(f"Seq2Seq: {name} is {value!r}, expected one of {', '.join(choices)}")
        attends = self.context == "attention"
        if self.peeky and attends:
            raise ValueError("Seq2Seq: peeky repeats one context vector; it needs context = last or mean")
        if (self.input_feeding or self.hard_attention) and not attends:
            raise ValueError("Seq2Seq: input_feeding and hard_attention need context = attention")
        if self.tied and self.embedding != self.feature_size:
            raise ValueError(
                f"Seq2Seq: embedding is {self.embedding}; tied embeddings need {self.feature_size}, "
                "the size of what the output layer sees"
            )

    @property
    def memory_size(self) -> int:
        """Features of the encoder's outputs."""
        return self.hidden * (2 if self.bidirectional else 1)

    @property
    def feature_size(self) -> int:
        """Features that the output layer sees."""
        return self.hidden + (self.memory_size if self.peeky else 0)


class Source(NamedTuple):
    """What a decoder needs to know of an encoded batch."""

    memory: Array  # (S, N, M)
    keys: Array  # (S, N, A): what attention scores
    mask: Array | None  # (S, N)
    context: Array | None  # (1, N, M): the one vector of context = last or mean


class SourceGradient(NamedTuple):
    """Gradients of :class:`Source`; None where nothing was used."""

    dmemory: Array | None
    dkeys: Array | None
    dcontext: Array | None


class Carry(NamedTuple):
    """What a decoder hands from one step to the next."""

    state: Any  # of the recurrent net
    feed: Array | None  # (1, N, H): the last attentional vector, with input feeding


def _add(a: Array | None, b: Array | None) -> Array | None:
    """Sum of two gradients, either of which may be missing."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _repeat(context: Array, steps: int) -> Array:
    """(1, N, M) -> (steps, N, M), without a copy."""
    return get_xp(context).broadcast_to(context, (steps, *context.shape[1:]))


def reverse_tokens(x: Array, mask: Array | None) -> Array:
    """Turn each sequence of a padded batch round, padding left where it is. Its own inverse, and so its own backward.

    x (S, N) or (S, N, D), mask (S, N) -> the shape of x
    """
    if mask is None:
        return x[::-1]
    xp = get_xp(x)
    place = xp.arange(len(x))[:, None]
    turned = xp.where(mask, mask.sum(axis=0) - 1 - place, place)  # (S, N)
    return xp.take_along_axis(x, turned.reshape(turned.shape + (1,) * (x.ndim - 2)), axis=0)


class Encoder(Module):
    """Read the source: embed, then a recurrent net, one memory a token."""

    def __init__(self, config: Seq2SeqConfig, *, rng: np.random.Generator):
        c = config
        self.embedding = Embedding(c.source_vocabulary, c.embedding, padding_idx=0, rng=rng)
        self.dropout = Dropout(c.dropout, rng=rng)
        self.rnn = CELLS[c.cell](c.embedding, c.hidden, c.layers, c.dropout, c.bidirectional, rng=rng)

    def forward(self, ids: Array, mask: Array | None) -> tuple[tuple[Array, Any], Backward]:
        """ids, mask (S, N) -> memory (S, N, M) and the final state; backward(dmemory, dstate) -> None."""
        embedded, embedding_backward = self.embedding(ids)  # (S, N, E)
        dropped, dropout_backward = self.dropout(embedded)
        (memory, state), rnn_backward = self.rnn(dropped, None, mask)

        def backward(dmemory: Array, dstate: Any) -> None:
            ddropped, _ = rnn_backward(dmemory, dstate)
            dembedded = dropout_backward(ddropped)
            embedding_backward(dembedded)

        return (memory, state), backward


class Bridge(Module):
    """Make the decoder's first state of the encoder's last: h = tanh(W_h s + b_h), c = W_c s_c + b_c.

    Both directions of a layer are joined first. One map serves all layers.
    """

    def __init__(self, config: Seq2SeqConfig, *, rng: np.random.Generator):
        c = config
        self.h = Linear(c.memory_size, c.hidden, rng=rng)
        self.c = Linear(c.memory_size, c.hidden, rng=rng) if c.cell == "lstm" else None
        self.directions = 2 if c.bidirectional else 1

    def _join(self, s: Array) -> Array:
        """(L * directions, N, H) -> (L, N, directions * H)."""
        L, N, H = s.shape[0] // self.directions, s.shape[1], s.shape[2]
        return s.reshape(L, self.directions, N, H).swapaxes(1, 2).reshape(L, N, -1)

    def _split(self, s: Array) -> Array:
        """The way back of `_join`."""
        L, N, _ = s.shape
        return s.reshape(L, N, self.directions, -1).swapaxes(1, 2).reshape(L * self.directions, N, -1)

    def forward(self, state: Any) -> tuple[Any, Backward]:
        """The encoder's final state -> the decoder's first; backward(dfirst) -> dstate."""
        h, c = state if self.c else (state, None)
        z, h_backward = self.h(self._join(h))
        first_h, tanh_backward = F.tanh(z)  # (L, N, H)
        if self.c:
            first_c, c_backward = self.c(self._join(c))

        def backward(dfirst: Any) -> Any:
            dfirst_h, dfirst_c = dfirst if self.c else (dfirst, None)
            dh = self._split(h_backward(tanh_backward(dfirst_h)))
            return (dh, self._split(c_backward(dfirst_c))) if self.c else dh

        return (first_h, first_c) if self.c else first_h, backward


class Decoder(Module):
    """Write the target: embed, recurrent net, attention or one context vector, then the features of the output layer.

    Any number of steps at once where the inputs are known (teacher forcing); with input feeding one at a time.
    """

    def __init__(self, config: Seq2SeqConfig, *, rng: np.random.Generator):
        c = config
        self.config = c
        self.embedding = Embedding(c.target_vocabulary, c.embedding, padding_idx=0, rng=rng)
        self.dropout = Dropout(c.dropout, rng=rng)
        extra = c.memory_size if c.peeky else c.hidden if c.input_feeding else 0
        self.rnn = CELLS[c.cell](c.embedding + extra, c.hidden, c.layers, c.dropout, rng=rng)
        if c.context == "attention":
            self.attention = Attention(
                c.score, c.hidden, c.memory_size, rng=rng, max_length=c.max_length + 1, hard=c.hard_attention
            )
            self.combine = Linear(c.memory_size + c.hidden, c.hidden, rng=rng)
        self.output = Linear(c.feature_size, c.target_vocabulary, rng=rng)
        if c.tied:  # the output layer's small start: standard normal rows would give logits far from 0
            self.embedding.weight = self.output.weight

    def forward(
        self, ids: Array, carry: Carry, source: Source, mask: Array | None = None
    ) -> tuple[tuple[Array, Carry, Array | None, Array | None], Backward]:
        """Take T steps.

        Parameters
        ----------
        ids : (T, N), the tokens that are fed in; T = 1 with input feeding
        carry, source
            See :class:`Carry` and :class:`Source`.
        mask : (T, N), True = a real token

        Returns
        -------
        features (T, N, F), the next carry, attention weights (N, T, S) or None, log-probability (N, T) of hard
        attention's draws or None; backward(dfeatures, dcarry=None, dlog_prob=None) -> dcarry, SourceGradient
        """
        embedded, embedding_backward = self.embedding(ids)  # (T, N, E)
        dropped, dropout_backward = self.dropout(embedded)
        x, join_backward = self._join(dropped, carry, source)  # (T, N, E + extra)
        (y, state), rnn_backward = self.rnn(x, carry.state, mask)  # (T, N, H)
        (features, weights, log_prob), look_backward = self._look(y, source)  # (T, N, F)
        feed = features if self.config.input_feeding else None
        kept, kept_backward = self.dropout(features)

        def backward(dkept: Array, dcarry: Carry | None = None, dlog_prob: Array | None = None) -> tuple:
            dstate, dfeed = dcarry or Carry(None, None)
            dfeatures = _add(kept_backward(dkept), dfeed)
            dy, dsource = look_backward(dfeatures, dlog_prob)
            dx, dstate = rnn_backward(dy, dstate)
            ddropped, dfeed, dcontext = join_backward(dx)
            embedding_backward(dropout_backward(ddropped))
            dsource = dsource._replace(dcontext=_add(dsource.dcontext, dcontext))
            return Carry(dstate, dfeed), dsource

        return (kept, Carry(state, feed), weights, log_prob), backward

    def _join(self, embedded: Array, carry: Carry, source: Source) -> tuple[Array, Backward]:
        """Put beside the embedding what the options ask for; backward(dx) -> dembedded, dfeed, dcontext."""
        xp, E = get_xp(embedded), self.config.embedding
        if self.config.input_feeding:
            x = xp.concatenate([embedded, carry.feed], axis=2)
            return x, lambda dx: (dx[:, :, :E], dx[:, :, E:], None)
        if self.config.peeky:
            x = xp.concatenate([embedded, _repeat(source.context, len(embedded))], axis=2)
            return x, lambda dx: (dx[:, :, :E], None, dx[:, :, E:].sum(axis=0, keepdims=True))
        return embedded, lambda dx: (dx, None, None)

    def _look(self, y: Array, source: Source) -> tuple[tuple[Array, Array | None, Array | None], Backward]:
        """Look at the source once more: attentional vectors (Luong, Pham & Manning 2015, eq. 5), or the one context.

            h~_t = tanh(W_c [c_t; h_t])

        y (T, N, H) -> features, weights, log-probability; backward(dfeatures, dlog_prob) -> dy, SourceGradient
        """
        xp, H = get_xp(y), self.config.hidden
        if self.config.peeky:
            features = xp.concatenate([y, _repeat(source.context, len(y))], axis=2)

            def peeky_backward(dfeatures: Array, _: None) -> tuple[Array, SourceGradient]:
                return dfeatures[:, :, :H], SourceGradient(None, None, dfeatures[:, :, H:].sum(axis=0, keepdims=True))

            return (features, None, None), peeky_backward
        if self.config.context != "attention":
            return (y, None, None), lambda dfeatures, _: (dfeatures, SourceGradient(None, None, None))

        (c, weights, log_prob), attention_backward = self.attention(y, source.keys, source.memory, source.mask)
        M = c.shape[2]
        z, combine_backward = self.combine(xp.concatenate([c, y], axis=2))
        features, tanh_backward = F.tanh(z)

        def backward(dfeatures: Array, dlog_prob: Array | None) -> tuple[Array, SourceGradient]:
            dz = tanh_backward(dfeatures)
            djoined = combine_backward(dz)
            dc, dy = djoined[:, :, :M], djoined[:, :, M:]
            dquery, dkeys, dmemory = attention_backward(dc, dlog_prob)
            return dy + dquery, SourceGradient(dmemory, dkeys, None)

        return (features, weights, log_prob), backward


class Seq2Seq(Module):
    """Encoder and decoder, from token ids to a loss and back.

    `rng` draws the initial weights, then dropout masks, hard attention and scheduled sampling. It stays on the host.
    """

    baseline_decay = 0.95

    def __init__(self, config: Seq2SeqConfig, rng: np.random.Generator):
        self.config, self.rng = config, rng
        self.encoder = Encoder(config, rng=rng)
        self.bridge = Bridge(config, rng=rng)
        self.decoder = Decoder(config, rng=rng)
        self.baseline = 0.0  # running mean of hard attention's reward
        _ = self.buffer

    # ----------------------------------------------------------------------------------------------------- source

    def encode(self, ids: Array, mask: Array | None) -> tuple[tuple[Source, Carry], Backward]:
        """Read the source.

        ids, mask (S, N) -> Source and the decoder's first Carry; backward(SourceGradient, dcarry) -> None
        """
        c = self.config
        if len(ids) > c.max_length + 1:
            raise ValueError(f"Seq2Seq: the source has {len(ids) - 1} tokens, the model takes at most {c.max_length}")
        (memory, final), encoder_backward = self.encoder(reverse_tokens(ids, mask) if c.reverse_source else ids, mask)
        if c.reverse_source:
            memory = reverse_tokens(memory, mask)  # back in reading order, for attention
        context, context_backward = self._context(memory, final, mask)
        start, start_backward = self._starting_point(context, final)
        state, bridge_backward = self.bridge(start)
        attends = c.context == "attention"
        keys, keys_backward = self.decoder.attention.keys(memory) if attends else (None, lambda dkeys: None)
        feed = get_xp(memory).zeros((1, memory.shape[1], c.hidden), memory.dtype) if c.input_feeding else None

        def backward(dsource: SourceGradient, dcarry: Carry) -> None:
            dmemory, dkeys, dcontext = dsource
            if dkeys is not None:
                dmemory = _add(dmemory, keys_backward(dkeys))
            dstart = bridge_backward(dcarry.state)
            dcontext, dfinal = start_backward(dstart, dcontext)
            dmemory, dfinal = context_backward(dcontext, dmemory, dfinal)
            encoder_backward(reverse_tokens(dmemory, mask) if c.reverse_source else dmemory, dfinal)

        return (Source(memory, keys, mask, context), Carry(state, feed)), backward

    def _context(self, memory: Array, final: Any, mask: Array | None) -> tuple[Array | None, Backward]:
        """The one context vector (1, N, M); backward(dcontext, dmemory, dfinal) -> dmemory, dfinal, its share added."""
        xp, directions = get_xp(memory), self.encoder.rnn.directions
        if self.config.context == "mean":
            mean, mean_backward = F.masked_mean(memory, mask)
            return mean[None], lambda dcontext, dmemory, dfinal: (_add(dmemory, mean_backward(dcontext)[0]), dfinal)

        def backward(dcontext: Array | None, dmemory: Array | None, dfinal: Any) -> tuple[Array, Any]:
            if dcontext is not None:
                dh = dfinal[0] if isinstance(dfinal, tuple) else dfinal
                dh[-directions:] += xp.concatenate(xp.split(dcontext, directions, axis=2))
            return xp.zeros_like(memory) if dmemory is None else dmemory, dfinal

        if self.config.context == "attention":
            return None, backward
        h = final[0] if isinstance(final, tuple) else final
        return xp.concatenate(xp.split(h[-directions:], directions), axis=2), backward

    def _starting_point(self, context: Array | None, final: Any) -> tuple[Any, Backward]:
        """What the bridge turns into the decoder's state: the encoder's; with context = mean, that mean for each layer.

        backward(dstart, dcontext) -> dcontext, dfinal
        """
        if self.config.context != "mean":
            return final, lambda dstart, dcontext: (dcontext, dstart)
        xp, h = get_xp(context), final[0] if isinstance(final, tuple) else final
        directions = self.encoder.rnn.directions
        halves = xp.concatenate(xp.split(context, directions, axis=2))  # (directions, N, H)
        start = xp.concatenate([halves] * self.config.layers)

        def backward(dstart: Any, dcontext: Array | None) -> tuple[Array, Any]:
            dh = dstart[0] if isinstance(dstart, tuple) else dstart
            dhalves = dh.reshape(self.config.layers, *halves.shape).sum(axis=0)
            dfinal = xp.zeros_like(h)
            dcontext = _add(dcontext, xp.concatenate(xp.split(dhalves, directions), axis=2))
            return dcontext, (dfinal, dstart[1]) if isinstance(dstart, tuple) else dfinal

        return (start, final[1]) if isinstance(final, tuple) else start, backward

    # ----------------------------------------------------------------------------------------------------- target

    def decode(
        self, target_in: Array, carry: Carry, source: Source, mask: Array | None, teacher_forcing: float = 1.0
    ) -> tuple[tuple[Array, Array | None, Array | None], Backward]:
        """Take all steps of the target.

        Parameters
        ----------
        target_in, mask : (T, N)
        teacher_forcing : float
            Probability that a step is fed the true token rather than the model's own last prediction.

        Returns
        -------
        features (T, N, F), weights (N, T, S) or None, log_prob (N, T) or None;
        backward(dfeatures, dlog_prob=None) -> SourceGradient, dcarry
        """
        if self.config.input_feeding or teacher_forcing < 1:
            return self._decode_stepwise(target_in, carry, source, mask, teacher_forcing)
        (features, _, weights, log_prob), decoder_backward = self.decoder(target_in, carry, source, mask)

        def backward(dfeatures: Array, dlog_prob: Array | None = None) -> tuple[SourceGradient, Carry]:
            dcarry, dsource = decoder_backward(dfeatures, None, dlog_prob)
            return dsource, dcarry

        return (features, weights, log_prob), backward

    def _decode_stepwise(
        self, target_in: Array, carry: Carry, source: Source, mask: Array | None, teacher_forcing: float
    ) -> tuple[tuple[Array, Array | None, Array | None], Backward]:
        """One step after the other: its input depends on the one before. No gradient passes through a prediction."""
        xp = get_xp(target_in)
        steps: list[tuple[Array, Array | None, Array | None]] = []
        backwards: list[Backward] = []
        ids = target_in[0]
        for t in range(len(target_in)):
            if t > 0:
                ids = target_in[t]
                if teacher_forcing < 1:
                    logits, _ = self.decoder.output(steps[-1][0])
                    is_true = random_uniform(self.rng, ids.shape, like=source.memory) < teacher_forcing
                    ids = xp.where(is_true, ids, logits[0].argmax(axis=1))
            here = None if mask is None else mask[t : t + 1]
            (features, carry, weights, log_prob), step_backward = self.decoder(ids[None], carry, source, here)
            steps.append((features, weights, log_prob))
            backwards.append(step_backward)
        all_features, all_weights, all_log_prob = zip(*steps, strict=True)

        def backward(dfeatures: Array, dlog_prob: Array | None = None) -> tuple[SourceGradient, Carry]:
            dcarry, dsource = Carry(None, None), SourceGradient(None, None, None)
            for t in reversed(range(len(backwards))):
                dlog_prob_t = None if dlog_prob is None else dlog_prob[:, t : t + 1]
                dcarry, dsource_t = backwards[t](dfeatures[t : t + 1], dcarry, dlog_prob_t)
                dsource = SourceGradient(*(_add(a, b) for a, b in zip(dsource, dsource_t, strict=True)))
            return dsource, dcarry

        weights = None if all_weights[0] is None else xp.concatenate(all_weights, axis=1)
        log_prob = None if all_log_prob[0] is None else xp.concatenate(all_log_prob, axis=1)
        return (xp.concatenate(all_features), weights, log_prob), backward

    # ------------------------------------------------------------------------------------------------------- loss

    def loss_and_backward(self, batch: Batch, teacher_forcing: float = 1.0) -> tuple[Array, Array]:
        """Mean loss of a batch in nats per real token, and their number, both 0-d; gradients are added to `grad`."""
        source_in, source_mask, target_in, target_out, mask = self._on_device(batch)
        (source, carry), encode_backward = self.encode(source_in, source_mask)
        (features, _, log_prob), decode_backward = self.decode(target_in, carry, source, mask, teacher_forcing)
        logits, output_backward = self.decoder.output(features)
        smoothing = self.config.label_smoothing
        (loss, count), loss_backward = F.cross_entropy(logits, target_out, mask, label_smoothing=smoothing)

        dlogits, _, _ = loss_backward()
        dfeatures = output_backward(dlogits)
        dlog_prob = None if log_prob is None else self._reinforce(log_prob, logits, target_out, mask)
        dsource, dcarry = decode_backward(dfeatures, dlog_prob)
        encode_backward(dsource, dcarry)
        return loss, count

    def _reinforce(self, log_prob: Array, logits: Array, target: Array, mask: Array | None) -> Array:
        """Gradient for hard attention's draws: a draw is good if its token became likelier than tokens used to be."""
        reward = -F.token_losses(logits, target)  # (T, N)
        real = get_xp(reward).ones_like(reward) if mask is None else mask.astype(reward.dtype)
        mean = (reward * real).sum() / get_xp(real).maximum(real.sum(), 1)
        _, backward = F.reinforce(log_prob, (reward - self.baseline).T, None if mask is None else mask.T)
        self.baseline = self.baseline_decay * self.baseline + (1 - self.baseline_decay) * mean
        dlog_prob, _, _ = backward()
        return dlog_prob

    def loss(self, batch: Batch, free_running: bool = False) -> tuple[Array, Array]:
        """Mean loss in nats per real token, without smoothing, and the number of tokens. Gives the same in any batch.

        `free_running` feeds the model its own predictions instead of the true tokens, as when it is used.
        """
        source_in, source_mask, target_in, target_out, mask = self._on_device(batch)
        (source, carry), _ = self.encode(source_in, source_mask)
        (features, _, _), _ = self.decode(target_in, carry, source, mask, 0.0 if free_running else 1.0)
        logits, _ = self.decoder.output(features)
        (loss, count), _ = F.cross_entropy(logits, target_out, mask)
        return loss, count

    def _on_device(self, batch: Batch) -> tuple[Array, Array | None, Array, Array, Array | None]:
        """A batch where the parameters are. A mask without padding becomes None: no more is spent on it."""
        source, target_in, target_out = (
            to_device(x, self.device) for x in (batch.source, batch.target_in, batch.target_out)
        )
        source_mask, target_mask = (
            None if mask.all() else to_device(mask, self.device) for mask in (batch.source_mask, batch.target_mask)
        )
        return source, source_mask, target_in, target_out, target_mask

    # ---------------------------------------------------------------------------------------------- one step at a time

    def step(self, ids: Array, carry: Carry, source: Source) -> tuple[Array, Carry, Array | None]:
        """One step of decoding: tokens (N,) -> logits (N, V), the next carry, attention weights (N, S) or None."""
        (features, carry, weights, _), _ = self.decoder(ids[None], carry, source)
        logits, _ = self.decoder.output(features)
        return logits[0], carry, None if weights is None else weights[:, 0]
