"""IDX files, in which MNIST, Fashion-MNIST and EMNIST come: one array in one file, plain or gzipped.

Two zero bytes, a byte that tells the type, a byte that tells the number of axes, the length of each axis as a
big-endian 32-bit integer, then the numbers, the last axis fastest.
"""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np

from minis2s.errors import DataError

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path | str) -> np.ndarray:
    """The array in an IDX file.

    Raises
    ------
    DataError
        If the file is missing, is no IDX file, or is shorter or longer than its header says.
    """
    path = Path(path)
    data = _contents(path)
    dtype = DTYPES.get(data[2]) if len(data) >= 4 and data[:2] == b"\0\0" else None
    if dtype is None:
        raise DataError(f"{path} is not an IDX file (its first bytes are {data[:4].hex(' ') or 'none'}): name another")
    start = 4 + 4 * data[3]
    shape = tuple(np.frombuffer(data[4:start], ">u4").tolist()) if len(data) >= start else (0,) * data[3]
    expected = start + prod(shape) * np.dtype(dtype).itemsize
    if len(data) < start or len(data) != expected:
        what = "truncated" if len(data) < max(expected, start) else "longer than its header says"
        raise DataError(f"{path} is {what}: {len(data)} bytes, {max(expected, start)} expected: copy it again")
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def _contents(path: Path) -> bytes:
    """The bytes of a file, unpacked if they are gzipped, whatever its name."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise DataError(f"{path} is damaged ({error}): copy it again") from None
        raise DataError(f"cannot read {path}: {error.strerror or error}: check the name") from None
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path} is truncated or damaged ({error}): copy it again") from None
