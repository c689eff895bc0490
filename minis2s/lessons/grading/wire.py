"""What goes through the pipes between the grader and a solution: JSON and the bytes of arrays. No pickle.

A frame is two lengths, a JSON head of the first, and the bytes of the second, which are the arrays of the head one
after the other. Imports nothing of the project, because nothing of it is in sight of a solution.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

import numpy as np

LENGTHS = struct.Struct("<QQ")
KINDS = "biufc"
MOST_BYTES = 1 << 26
"""A frame may have so many. Exercises are small."""

TOO_MUCH = "more output than can be looked at: expected small arrays"


def send(stream: IO[bytes], head: dict[str, Any], values: tuple = ()) -> None:
    """Write a frame: a head and some values, which are arrays, or None, or something else, whose type is told.

    Raises
    ------
    ValueError
        If it is too much, before anything is written.
    """
    if sum(value.nbytes for value in values if isinstance(value, np.ndarray)) > MOST_BYTES:
        raise ValueError(TOO_MUCH)
    parts: list[bytes] = []
    described = [_describe(value, parts) for value in values]
    text = json.dumps({**head, "values": described}).encode()
    body = b"".join(parts)
    stream.write(LENGTHS.pack(len(text), len(body)))
    stream.write(text)
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], tuple]:
    """Read a frame.

    Raises
    ------
    EOFError
        If the other side has ended.
    ValueError
        If the frame is too long, or is none.
    """
    text_length, body_length = LENGTHS.unpack(_read(stream, LENGTHS.size))
    if text_length + body_length > MOST_BYTES:
        raise ValueError(TOO_MUCH)
    head = json.loads(_read(stream, text_length))
    body = _read(stream, body_length)
    values = []
    for described in head.pop("values"):
        value, body = _restore(described, body)
        values.append(value)
    return head, tuple(values)


def _describe(value: Any, parts: list[bytes]) -> Any:
    if value is None:
        return None
    if isinstance(value, (np.ndarray, np.number, np.bool_)):
        array = np.asarray(value)
        if array.dtype.kind in KINDS:
            parts.append(np.ascontiguousarray(array).tobytes())
            return {"dtype": array.dtype.str, "shape": array.shape}
    return {"type": type(value).__name__}


def _restore(described: Any, body: bytes) -> tuple[Any, bytes]:
    """A value, and the bytes that are left."""
    if described is None:
        return None, body
    if "type" in described:
        return type(str(described["type"]), (), {})(), body
    dtype = np.dtype(described["dtype"])
    if dtype.kind not in KINDS:
        raise ValueError(f"an array of {dtype}")
    shape = tuple(int(n) for n in described["shape"])
    size = dtype.itemsize * int(np.prod(shape))
    return np.frombuffer(body[:size], dtype).reshape(shape).copy(), body[size:]


def _read(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
