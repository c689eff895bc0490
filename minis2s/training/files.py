"""Writing files so that a reader sees the old content or the new, and never half of either."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from minis2s.errors import CheckpointError


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path`, force it to the disk, then rename it to `path`.

    Raises
    ------
    CheckpointError
        If the disk is full or cannot be written to, or `path` is a folder or in none that exists. What stood at `path`
        is untouched, the temporary file is gone.
    """
    check_place(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Make sure, before hours of work, that `path` may become a file.

    Raises
    ------
    CheckpointError
        If it is a folder, or in none that exists.
    """
    if path.is_dir():
        raise CheckpointError(f"cannot write {path}: it is a folder; name a file")
    if not path.parent.is_dir():
        raise unwritable(path, FileNotFoundError())


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, as :func:`write_atomic` does."""
    write_atomic(path, text.encode("utf-8"))


def unwritable(path: Path, error: OSError) -> CheckpointError:
    """Say in one line that `path` could not be written, that nothing was lost, and how to go on."""
    if isinstance(error, FileNotFoundError):
        return CheckpointError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    cause = error.strerror or str(error)
    return CheckpointError(
        f"cannot write {path}: {cause}; what was saved there before is intact: "
        "make room (or permission) and run the same command again, a training with --resume"
    )


def _sync_directory(directory: Path) -> None:
    """Force the rename itself to the disk; Windows cannot open a directory and does not need it."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
