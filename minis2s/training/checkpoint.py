"""Checkpoints: named arrays and a description, in one safetensors file that knows whether it is whole.

The file is what any safetensors reader expects. Its metadata holds one string, `minis2s`: a JSON object of what the
writer chose, the format version, and `sha256`, the digest of the whole file with those 64 characters taken as zeros. So
a file that was cut short, or in which any one bit has changed, is recognised; and equal contents give equal files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minis2s.errors import CheckpointError
from minis2s.training.files import write_atomic

FORMAT = 1
"""Version of checkpoints and run directories. A reader refuses every other one."""

_BLANK = "0" * 64


class Checkpoint(NamedTuple):
    """What a checkpoint file holds: `tensors` by name and the JSON-able `metadata` they were saved with."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]


def save_checkpoint(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON-able `metadata` to `path`, whole or not at all.

    Raises
    ------
    CheckpointError
        If the file cannot be written; what stood at `path` before is intact.
    """
    from safetensors.numpy import save

    # order="C": safetensors writes a strided array's buffer, not its elements (and ascontiguousarray loses 0-d shapes).
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    description = json.dumps({"sha256": _BLANK, "format": FORMAT, **metadata}, ensure_ascii=False)
    blank = save(contiguous, metadata={"minis2s": description})
    start = _digest_position(blank)
    digest = hashlib.sha256(blank).hexdigest().encode()
    write_atomic(path, blank[:start] + digest + blank[start + len(digest) :])


def load_checkpoint(path: Path) -> Checkpoint:
    """Read `path` back, after making sure that it is whole and of this version.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, altered, something else, or of another format version.
    """
    from safetensors.numpy import load

    data = _read(path)
    metadata = _verify(path, data)
    if metadata.get("format") != FORMAT:
        raise other_version(path, metadata.get("format"))
    return Checkpoint({name: tensor.copy() for name, tensor in load(data).items()}, metadata)


def other_version(path: Path, found: object) -> CheckpointError:
    """Say in one line that `path` has the format version `found`."""
    return CheckpointError(
        f"{path} has format version {found}, this minis2s reads version {FORMAT}: "
        "install the minis2s that wrote it, or train anew"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist: train a model first, or name another run directory") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def _verify(path: Path, data: bytes) -> dict[str, Any]:
    """Return the metadata of a file whose digest is right."""
    damaged = CheckpointError(
        f"{path} is damaged (truncated or altered: its checksum is wrong): "
        "restore a copy or train into a new --output; evaluate and the like read best.safetensors "
        "(last.safetensors if that is removed), --resume reads last.safetensors"
    )
    try:
        description = json.loads(json.loads(_header(data))["__metadata__"]["minis2s"])
        digest = description.pop("sha256").encode("ascii")
        start = _digest_position(data, digest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged from None
    blank = data[:start] + _BLANK.encode() + data[start + len(digest) :]
    if hashlib.sha256(blank).hexdigest().encode() != digest:
        raise damaged
    return description


def _header(data: bytes) -> bytes:
    """The JSON header: the first eight bytes of the file tell its length."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 + length:
        raise ValueError("the header is cut short")
    return data[8 : 8 + length]


def _digest_position(data: bytes, digest: bytes = _BLANK.encode()) -> int:
    """Where the 64 characters of the digest begin, inside the header; ValueError if that is nowhere."""
    key, end = rb"\"sha256\": \"", rb"\""  # JSON within JSON
    return data.index(key + digest + end, 8, 8 + len(_header(data))) + len(key)
