"""Small models of every kind in float64, and a ragged batch for them."""

from types import SimpleNamespace

import numpy as np

from minis2s.models import Seq2Seq, Seq2SeqConfig

V, LENGTHS, TARGET_LENGTHS = 12, [5, 2, 4], [3, 6, 2]

CONFIGS = {
    "gru-general": {},
    "lstm-additive-two_layers": {"cell": "lstm", "score": "additive", "layers": 2},
    "rnn-location": {"cell": "rnn", "score": "location"},
    "gru-dot-one_direction": {"score": "dot", "bidirectional": False},
    "lstm-last-peeky-reversed": {"cell": "lstm", "context": "last", "peeky": True, "reverse_source": True},
    "gru-last-one_direction": {"context": "last", "bidirectional": False},
    "gru-mean": {"context": "mean"},
    "gru-input_feeding-reversed": {"input_feeding": True, "reverse_source": True},
    "gru-smoothed": {"label_smoothing": 0.1},
    "lstm-mean-two_layers": {"cell": "lstm", "context": "mean", "layers": 2},
    "gru-mean-peeky": {"context": "mean", "peeky": True, "reverse_source": True},
    "lstm-input_feeding-additive": {"cell": "lstm", "input_feeding": True, "score": "additive"},
    "gru-general-reversed": {"reverse_source": True},
    "gru-tied": {"embedding": 4, "tied": True},
}


def make_model(name):
    """A model of that kind, the same in every call."""
    sizes = {"source_vocabulary": V, "target_vocabulary": V, "embedding": 5, "hidden": 4}
    return Seq2Seq(Seq2SeqConfig(**sizes | CONFIGS[name]), np.random.default_rng(1)).to(dtype=np.float64)


def make_batch(extra=0):
    """Three sentences of different lengths; `extra` more time steps of padding."""
    rng = np.random.default_rng(2)
    sources = [[*rng.integers(4, V, size=n - 1), 3] for n in LENGTHS]
    targets = [[2, *rng.integers(4, V, size=n - 1), 3] for n in TARGET_LENGTHS]

    def pad(rows):
        out = np.zeros((max(map(len, rows)) + extra, len(rows)), dtype=np.int64)
        for n, row in enumerate(rows):
            out[: len(row), n] = row
        return out

    source, target_in, target_out = pad(sources), pad([t[:-1] for t in targets]), pad([t[1:] for t in targets])
    return SimpleNamespace(
        source=source,
        source_mask=np.arange(len(source))[:, None] < LENGTHS,
        target_in=target_in,
        target_out=target_out,
        target_mask=np.arange(len(target_in))[:, None] < TARGET_LENGTHS,
    )
