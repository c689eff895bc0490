"""The file of a compressed picture: a header, then the quantised code, packed by zlib.

6 bytes   magic, "m2spic"
1         version
1         bits of a number of the code, 8 or 4
8         which model wrote it: the first bytes of its digest
4         CRC-32 of all that follows
rest      zlib: the code, two numbers a byte if they have 4 bits
"""

from __future__ import annotations

import struct
import zlib
from math import prod
from typing import NamedTuple

import numpy as np

from minis2s.errors import DataError

MAGIC, VERSION = b"m2spic", 1
HEADER = struct.Struct(">6sBB8sI")
BITS = (8, 4)


class Range(NamedTuple):
    """The least and the largest value of each channel of a code: what the steps are laid between."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray) -> Range:
        """Of codes (N, channels, ...), without their rarest thousandths at both ends."""
        channels = np.moveaxis(codes, 1, 0).reshape(codes.shape[1], -1)
        low, high = np.quantile(channels, [0.0005, 0.9995], axis=1).astype(np.float32)
        return cls(low, np.maximum(high, low + np.float32(1e-6)))


def quantise(codes: np.ndarray, extent: Range, bits: int) -> np.ndarray:
    """Codes (N, channels, ...) as whole numbers from 0 to 2^bits - 1."""
    low, high = (_like(v, codes) for v in extent)
    steps = 2**bits - 1
    return np.rint(np.clip((codes - low) / (high - low), 0, 1) * steps).astype(np.uint8)


def dequantise(levels: np.ndarray, extent: Range, bits: int) -> np.ndarray:
    """Whole numbers as codes."""
    low, high = (_like(v, levels) for v in extent)
    return (low + levels.astype(np.float32) / (2**bits - 1) * (high - low)).astype(np.float32)


def pack(levels: np.ndarray, bits: int) -> bytes:
    """Whole numbers, entropy-coded by zlib."""
    flat = levels.reshape(-1)
    if bits == 4:
        flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
        flat = flat[::2] << 4 | flat[1::2]
    deflate = zlib.compressobj(9, wbits=-15, memLevel=9)
    return deflate.compress(flat.tobytes()) + deflate.flush()


def unpack(data: bytes, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Back from `pack`; ValueError if the data do not fit the shape."""
    size = prod(shape)
    flat = np.frombuffer(zlib.decompressobj(-15).decompress(data), np.uint8)
    if bits == 4:
        flat = np.stack([flat >> 4, flat & 15], axis=1).reshape(-1)
    if not size <= flat.size <= size + 1:
        raise ValueError(f"{flat.size} numbers, expected {size}")
    return flat[:size].reshape(shape)


def to_file(levels: np.ndarray, bits: int, model: bytes) -> bytes:
    """The file of one picture's code."""
    packed = pack(levels, bits)
    return HEADER.pack(MAGIC, VERSION, bits, model[:8], zlib.crc32(packed)) + packed


def from_file(name: str, data: bytes, shape: tuple[int, ...], model: bytes) -> tuple[np.ndarray, int]:
    """A picture's code, and its bits.

    Raises
    ------
    DataError
        If the file is foreign, truncated, altered, of another version, or written by another model.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise DataError(f"{name} is not a picture that `minis2s compress` wrote: name another file")
    damaged = DataError(f"{name} is truncated or damaged: copy or compress it again")
    if len(data) < HEADER.size:
        raise damaged
    _, version, bits, writer, crc = HEADER.unpack(data[: HEADER.size])
    if version != VERSION:
        raise DataError(f"{name} has format version {version}, this minis2s reads {VERSION}: use the one that wrote it")
    packed = data[HEADER.size :]
    if zlib.crc32(packed) != crc or bits not in BITS:
        raise damaged
    if writer != model[:8]:
        raise DataError(f"{name} was compressed by another model: name the run that wrote it")
    try:
        return unpack(packed, shape, bits), bits
    except (ValueError, zlib.error):
        raise damaged from None


def _like(v: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return v.reshape(1, -1, *[1] * (codes.ndim - 2))
