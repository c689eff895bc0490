"""Codes to few bytes and back: quantised, then packed by how often each level occurred in training.

A range coder (Martin 1979; here the library `constriction`'s) spends -log2 p bits on what has probability p: common
levels cost little, rare ones more. Both ends need the same probabilities, so the model keeps them, and no file does.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np

BITS = (8, 4)
"""Bits of a number of a code before it is packed."""

LEVELS = 256
"""As many as 8 bits tell apart; fewer bits join neighbours."""

CAUTION = 64
"""How many times a place counts what its whole channel does, beside what the place itself was seen to do."""


class CodeStatistics(NamedTuple):
    """What is known of codes (N, C, ...): the extent of each channel, and how often each place took each level.

    The steps are laid between `low` and `high`; what lies outside becomes the first or the last.
    """

    low: np.ndarray  # (C,)
    high: np.ndarray  # (C,)
    counts: np.ndarray  # (C, ..., 256)

    @classmethod
    def of(cls, codes: np.ndarray) -> CodeStatistics:
        """Of codes, the extents without the rarest thousandth of each channel."""
        channels = np.moveaxis(codes, 1, 0).reshape(codes.shape[1], -1)
        low, high = np.quantile(channels, [0.0005, 0.9995], axis=1).astype(np.float32)
        high = np.maximum(high, low + np.float32(1e-6))
        shape = (*codes.shape[1:], LEVELS)
        levels = Coder(cls(low, high, np.zeros(shape, np.int32)), 8).quantise(codes).reshape(len(codes), -1)
        counts = [np.bincount(place, minlength=LEVELS) for place in levels.T]
        return cls(low, high, np.array(counts, np.int32).reshape(shape))


class Coder:
    """Makes bytes of codes and codes of bytes, with `bits` bits a number before they are packed."""

    def __init__(self, statistics: CodeStatistics, bits: int):
        self.statistics, self.bits = statistics, bits
        self.shape = statistics.counts.shape[:-1]

    def _of_channels(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, *[1] * (len(self.shape) - 1))  # (C, 1, ...)

    def quantise(self, codes: np.ndarray) -> np.ndarray:
        """Codes (N, C, ...) as whole numbers from 0 to 2^bits - 1."""
        low, high = self._of_channels(self.statistics.low), self._of_channels(self.statistics.high)
        return np.rint(np.clip((codes - low) / (high - low), 0, 1) * (2**self.bits - 1)).astype(np.uint8)

    def dequantise(self, levels: np.ndarray) -> np.ndarray:
        """Whole numbers as codes."""
        low, high = self._of_channels(self.statistics.low), self._of_channels(self.statistics.high)
        return (low + levels.astype(np.float32) / (2**self.bits - 1) * (high - low)).astype(np.float32)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(places, 2^bits): of each level at each place, never 0.

        p = (n_place + CAUTION * p_channel) / (N + CAUTION),  p_channel = (n_channel + 1) / (N_channel + 2^bits)
        """
        counts, levels = self.statistics.counts.astype(np.int64), 2**self.bits
        joined = np.rint(np.arange(LEVELS) * (levels - 1) / (LEVELS - 1)).astype(int)  # 256 levels among the fewer
        starts = np.searchsorted(joined, np.arange(levels))
        of_place = np.add.reduceat(counts.reshape(self.shape[0], -1, LEVELS), starts, axis=2)  # (C, ..., 2^bits)
        of_channel = of_place.sum(axis=1, keepdims=True) + 1
        p_channel = of_channel / of_channel.sum(axis=2, keepdims=True)
        p = (of_place + CAUTION * p_channel) / (of_place.sum(axis=2, keepdims=True) + CAUTION)
        return p.reshape(prod(self.shape), levels)

    def pack(self, levels: np.ndarray) -> bytes:
        """Bytes of the levels (C, ...) of one code."""
        from constriction import stream

        encoder, model = stream.queue.RangeEncoder(), stream.model.Categorical(perfect=False)
        encoder.encode(levels.reshape(-1).astype(np.int32), model, self.probabilities)
        return encoder.get_compressed().astype("<u4").tobytes()

    def unpack(self, data: bytes) -> np.ndarray:
        """Back from `pack`; ValueError if the data are not what it made with these statistics."""
        from constriction import stream

        words = np.frombuffer(data, "<u4").astype(np.uint32)
        decoder, model = stream.queue.RangeDecoder(words), stream.model.Categorical(perfect=False)
        try:
            levels = decoder.decode(model, self.probabilities)
        except AssertionError as error:
            raise ValueError(str(error)) from None
        if not decoder.maybe_exhausted():
            raise ValueError("numbers are left over")
        return levels.reshape(self.shape).astype(np.uint8)
