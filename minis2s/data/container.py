"""The file of a compressed picture: a header, then its packed code.

6 bytes   magic, "m2spic"
1         version
1         bits of a number of the code before it was packed
8         which model wrote it: the first bytes of its digest
4         CRC-32 of all that follows
rest      the code, as :mod:`minis2s.data.entropy` packs it
"""

from __future__ import annotations

import struct
import zlib

from minis2s.data.entropy import BITS
from minis2s.errors import DataError

MAGIC, VERSION = b"m2spic", 2
HEADER = struct.Struct(">6sBB8sI")


def to_file(packed: bytes, bits: int, model: bytes) -> bytes:
    """The file of one picture's packed code."""
    return HEADER.pack(MAGIC, VERSION, bits, model[:8], zlib.crc32(packed)) + packed


def from_file(name: str, data: bytes, model: bytes) -> tuple[bytes, int]:
    """A picture's packed code, and its bits.

    Raises
    ------
    DataError
        If the file is foreign, truncated, altered, of another version, or written by another model.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise DataError(f"{name} is not a picture that `minis2s compress` wrote: name another file")
    if len(data) < HEADER.size:
        raise damaged(name)
    _, version, bits, writer, crc = HEADER.unpack(data[: HEADER.size])
    if version != VERSION:
        raise DataError(f"{name} has format version {version}, this minis2s reads {VERSION}: use the one that wrote it")
    packed = data[HEADER.size :]
    if zlib.crc32(packed) != crc or bits not in BITS:
        raise damaged(name)
    if writer != model[:8]:
        raise DataError(f"{name} was compressed by another model: name the run that wrote it")
    return packed, bits


def damaged(name: str) -> DataError:
    """Say in one line that a file is not whole."""
    return DataError(f"{name} is truncated or damaged: copy or compress it again")
