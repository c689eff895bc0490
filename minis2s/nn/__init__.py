"""The plumbing: layers that own weights, call :mod:`minis2s.functional`, and add up gradients. No maths here."""

from minis2s.nn.attention import Attention
from minis2s.nn.layers import Dropout, Embedding, LayerNorm, Linear
from minis2s.nn.module import Module, Parameter, ParameterBuffer
from minis2s.nn.recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Linear",
    "Module",
    "Parameter",
    "ParameterBuffer",
]
