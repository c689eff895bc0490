"""The plumbing: layers that own weights, call :mod:`minis2s.functional`, and add up gradients. No maths here."""

from minis2s.nn.activation import ELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from minis2s.nn.attention import Attention
from minis2s.nn.container import Flatten, Sequential, Unflatten
from minis2s.nn.convolution import Conv2d, ConvTranspose2d
from minis2s.nn.layers import Dropout, Embedding, LayerNorm, Linear
from minis2s.nn.module import Module, Parameter, ParameterBuffer, Statistic
from minis2s.nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm
from minis2s.nn.pooling import AvgPool2d, MaxPool2d, MaxUnpool2d, Upsample
from minis2s.nn.recurrent import GRU, LSTM, RNN

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "MaxUnpool2d",
    "Module",
    "Parameter",
    "ParameterBuffer",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Statistic",
    "Tanh",
    "Unflatten",
    "Upsample",
]
