"""The same Seq2Seq in PyTorch, as somebody who knows PyTorch would write it. Same names: the weights go both ways."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as TF
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from minis2s.models import Seq2Seq, Seq2SeqConfig

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Encoder(nn.Module):
    """Embedding and a recurrent net; padding is packed away where there is any."""

    def __init__(self, c: Seq2SeqConfig):
        super().__init__()
        self.embedding = nn.Embedding(c.source_vocabulary, c.embedding, padding_idx=0)
        self.dropout = nn.Dropout(c.dropout)
        self.rnn = CELLS[c.cell](
            c.embedding, c.hidden, c.layers, dropout=c.dropout * (c.layers > 1), bidirectional=c.bidirectional
        )

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
        x = self.dropout(self.embedding(ids))
        if mask.all():
            return self.rnn(x)
        packed = pack_padded_sequence(x, mask.sum(0).cpu(), enforce_sorted=False)
        y, state = self.rnn(packed)
        return pad_packed_sequence(y, total_length=len(ids))[0], state


class Bridge(nn.Module):
    """The decoder's first state."""

    def __init__(self, c: Seq2SeqConfig):
        super().__init__()
        self.directions = 2 if c.bidirectional else 1
        self.h = nn.Linear(c.memory_size, c.hidden)
        self.c = nn.Linear(c.memory_size, c.hidden) if c.cell == "lstm" else None

    def join(self, s: Tensor) -> Tensor:
        L, N = s.shape[0] // self.directions, s.shape[1]
        return s.view(L, self.directions, N, -1).transpose(1, 2).reshape(L, N, -1)

    def forward(self, state: Any) -> Any:
        if self.c is None:
            return torch.tanh(self.h(self.join(state)))
        return torch.tanh(self.h(self.join(state[0]))), self.c(self.join(state[1]))


class Attention(nn.Module):
    """The scores of Luong and Bahdanau."""

    def __init__(self, c: Seq2SeqConfig):
        super().__init__()
        self.score = c.score
        if c.score == "general":
            self.weight = nn.Parameter(torch.empty(c.hidden, c.memory_size))
        elif c.score == "location":
            self.weight = nn.Parameter(torch.empty(c.max_length + 1, c.hidden))
        elif c.score == "additive":
            self.query_layer = nn.Linear(c.hidden, c.hidden)
            self.memory_layer = nn.Linear(c.memory_size, c.hidden, bias=False)
            self.vector = nn.Parameter(torch.empty(c.hidden))

    def forward(self, query: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        q, m = query.transpose(0, 1), memory.transpose(0, 1)  # (N, T, Q), (N, S, M)
        if self.score == "additive":
            scores = torch.tanh(self.query_layer(q)[:, :, None] + self.memory_layer(m)[:, None]) @ self.vector
        elif self.score == "location":
            scores = q @ self.weight[: m.shape[1]].T
        else:
            q = q @ self.weight if self.score == "general" else q
            scores = q @ m.transpose(1, 2)
            scores = scores / q.shape[-1] ** 0.5 if self.score == "scaled_dot" else scores
        weights = scores.masked_fill(~mask.T[:, None], -torch.inf).softmax(-1)
        return (weights @ m).transpose(0, 1)


class Decoder(nn.Module):
    """Embedding, recurrent net, attention over all steps at once."""

    def __init__(self, c: Seq2SeqConfig):
        super().__init__()
        self.embedding = nn.Embedding(c.target_vocabulary, c.embedding, padding_idx=0)
        self.dropout = nn.Dropout(c.dropout)
        self.rnn = CELLS[c.cell](c.embedding, c.hidden, c.layers, dropout=c.dropout * (c.layers > 1))
        self.attention = Attention(c)
        self.combine = nn.Linear(c.memory_size + c.hidden, c.hidden)
        self.output = nn.Linear(c.hidden, c.target_vocabulary)
        if c.tied:
            self.output.weight = self.embedding.weight

    def forward(self, ids: Tensor, state: Any, memory: Tensor, mask: Tensor) -> Tensor:
        y, _ = self.rnn(self.dropout(self.embedding(ids)), state)
        c = self.attention(y, memory, mask)
        return self.output(self.dropout(torch.tanh(self.combine(torch.cat([c, y], -1)))))


class TorchSeq2Seq(nn.Module):
    """Attention, teacher forcing, no input feeding: the model that the comparisons train."""

    def __init__(self, c: Seq2SeqConfig):
        super().__init__()
        self.config = c
        self.encoder, self.bridge, self.decoder = Encoder(c), Bridge(c), Decoder(c)

    @classmethod
    def like(cls, ours: Seq2Seq) -> TorchSeq2Seq:
        """The twin of a model, with its weights and dtype."""
        twin = cls(ours.config)
        twin.load_state_dict({k: torch.from_numpy(v) for k, v in ours.state_dict().items()})
        return twin.to(torch.from_numpy(ours.buffer.data).dtype)

    def forward(self, batch: Any) -> Tensor:
        """Mean loss in nats per real token."""
        source, source_mask, target_in, target_out, mask = (
            torch.from_numpy(getattr(batch, name))
            for name in ("source", "source_mask", "target_in", "target_out", "target_mask")
        )
        memory, state = self.encoder(source, source_mask)
        logits = self.decoder(target_in, self.bridge(state), memory, source_mask)
        target = target_out.masked_fill(~mask, -100)
        return TF.cross_entropy(logits.flatten(0, 1), target.flatten(), label_smoothing=self.config.label_smoothing)
