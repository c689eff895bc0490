"""Ctrl-C as a wish, not an accident: the loop finishes its step and saves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruptible:
    """Inside the `with` block, the first Ctrl-C only sets `requested`; a second one interrupts as usual.

    Inside :meth:`at_once`, the first one interrupts too: for work that may be dropped in the middle.
    Python delivers signals to the main thread alone; in any other thread this does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._immediate = False

    def __enter__(self) -> Interruptible:
        self._active = threading.current_thread() is threading.main_thread()
        if self._active:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._previous)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let Ctrl-C interrupt without delay, inside the `with` block."""
        self._immediate = True
        try:
            yield
        finally:
            self._immediate = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested or self._immediate:
            raise KeyboardInterrupt
        self.requested = True
