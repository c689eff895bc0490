"""What the fake device counts: kernel launches, hidden copies, waits of the host, transfers."""

from __future__ import annotations

import pathlib
import sys
from collections import Counter
from contextlib import contextmanager

PACKAGE = str(pathlib.Path(__file__).parent)


class SyncError(RuntimeError):
    """The host waited for the device inside `no_sync()`."""


class Float64Error(TypeError):
    """The device made a float64 array inside `no_float64()`."""


class Trace:
    """Counts of one `trace()` block.

    Attributes
    ----------
    launches
        Kernels started, the hidden copies among them.
    copies
        Copies that CuPy makes without being asked.
    syncs
        Times the host waited for the device.
    uploads, downloads
        Arrays that crossed from host to device and back.
    by_name, by_line
        The launches again, by operation and by the line of code that asked for it.
    """

    def __init__(self):
        self.launches = self.copies = self.syncs = self.uploads = self.downloads = 0
        self.by_name, self.by_line = Counter(), Counter()

    def report(self, top=15):
        """The counts, and where most launches come from."""
        head = f"{self.launches} launches ({self.copies} hidden copies), {self.syncs} syncs, {self.uploads} uploads"
        names = ", ".join(f"{name} {count}" for name, count in self.by_name.most_common(top))
        lines = "\n".join(f"  {count:5d}  {line}" for line, count in self.by_line.most_common(top))
        return f"{head}\n  {names}\n{lines}"


_traces: list[Trace] = []
_forbidden: set[str] = set()


@contextmanager
def trace():
    """Count what happens inside the block."""
    t = Trace()
    _traces.append(t)
    try:
        yield t
    finally:
        _traces.remove(t)


@contextmanager
def _forbid(what):
    before = what in _forbidden
    _forbidden.add(what)
    try:
        yield
    finally:
        if not before:
            _forbidden.discard(what)


def no_sync():
    """Inside the block, waiting for the device raises."""
    return _forbid("sync")


def no_float64():
    """Inside the block, a float64 result raises."""
    return _forbid("float64")


def _caller():
    """File and line outside this package that the current operation comes from."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return f"{'/'.join(pathlib.PurePath(frame.f_code.co_filename).parts[-2:])}:{frame.f_lineno}"


def launch(name, count=1):
    """Note `count` kernels of one operation."""
    if not (_traces and count):
        return
    line = f"{_caller()} {name}"
    for t in _traces:
        t.launches += count
        t.by_name[name] += count
        t.by_line[line] += count


def hidden_copy(name, count=1):
    """Note copies that the operation makes before it starts or after it ends."""
    for t in _traces:
        t.copies += count
    launch(f"hidden copy of {name}", count)


def upload():
    """Note an array that comes from the host."""
    for t in _traces:
        t.uploads += 1


def sync(why, downloads=0):
    """Note that the host waits; refuse inside `no_sync()`."""
    for t in _traces:
        t.syncs += 1
        t.downloads += downloads
    if "sync" in _forbidden:
        raise SyncError(f"{why} makes the host wait for the device")


def check_dtype(name, dtype):
    """Refuse float64 inside `no_float64()`."""
    if "float64" in _forbidden and dtype in ("float64", "complex128"):
        raise Float64Error(f"{name} made {dtype}: look for a float64 scalar or a default dtype")
