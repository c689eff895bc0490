"""The grader's end of the pipes: a solution in another process that looks like a function in this one."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from minis2s.lessons.exercise import Exercise
from minis2s.lessons.grading.wire import TOO_MUCH, receive, send

START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[1]); runpy.run_path(sys.argv[2], run_name='__main__')"
)
STARTING_SECONDS = 60
WALL = 4
"""A solution may take so many times its limit by the clock on the wall: it may have to share the machine, or sleeps."""


class StudentError(Exception):
    """The solution raised, or had to be stopped; the message says what, and where."""


@dataclass(frozen=True)
class Limits:
    """What a solution may use: seconds of a processor, and bytes of memory."""

    seconds: float = 1.5
    bytes: int = 2 << 30


class Process:
    """A solution at work. Use it in a `with` statement."""

    def __init__(self, exercise: Exercise, limits: Limits):
        self.limits = limits
        self.exercise = exercise
        self.ended = ""
        self._folder = tempfile.TemporaryDirectory(prefix="minis2s-", ignore_cleanup_errors=True)

    def __enter__(self) -> Process:
        import subprocess

        here = Path(__file__).parent
        paths = [str(here), *(path for path in sys.path if path)]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", START, json.dumps(paths), str(here / "child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env=_environment(self._folder.name),
            start_new_session=os.name == "posix",
        )
        limits = asdict(self.limits)
        self._ask({"operation": "prepare", "given": self.exercise.given, "limits": limits}, wait=STARTING_SECONDS)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._folder.cleanup()

    def define(self, helpers: str, source: str) -> None:
        """Run the cell of the solution.

        Raises
        ------
        StudentError
            If it raises.
        """
        self._ask({"operation": "define", "helpers": helpers, "source": source, "name": self.exercise.name})

    def function(self, *inputs: Any) -> Any:
        """The solution, called there; its backward is called there too."""
        head, outputs = self._ask({"operation": "call"}, inputs)
        if not head["pair"]:
            return None
        backward = functools.partial(self._backward, head["call"], inputs)
        return (outputs[0] if head["single"] else outputs), backward

    def checked(self, *inputs: Any) -> Any:
        """The reference's output, and the solution's backward: what the numeric gradients are taken of is the truth."""
        outputs, _ = self.exercise.reference(*inputs)
        made: list[Callable[..., Any]] = []

        def backward(*upstream: Any) -> Any:
            if not made:
                made.append(self.function(*inputs)[1])
            return made[0](*upstream)

        return outputs, backward

    def _backward(self, call: int, inputs: tuple, *upstream: Any) -> Any:
        """Ask for the gradients; then do to our arrays what was done to theirs, so that the contract can be checked."""
        head, values = self._ask({"operation": "backward", "call": call}, upstream)
        gradients, after = list(values[: head["count"]]), values[head["count"] :]
        ours = (*upstream, *inputs)
        for array, changed in zip(ours, after, strict=True):
            if isinstance(array, np.ndarray) and not np.array_equal(array, changed, equal_nan=array.dtype.kind == "f"):
                array[...] = changed
        for n, k in enumerate(head["shared"]):
            owner = None if k is None else (*ours, *gradients[:n])[k]
            if isinstance(owner, np.ndarray) and np.array_equal(owner, gradients[n]):
                gradients[n] = owner
        return gradients[0] if head["single"] else tuple(gradients)

    def _ask(self, head: dict[str, Any], values: tuple = (), wait: float | None = None) -> tuple[dict[str, Any], tuple]:
        """Send a question, and wait for the answer; no longer than is allowed.

        Raises
        ------
        StudentError
            If the solution raised, took too long or too much, or ended its process.
        """
        if self.ended:
            raise StudentError(self.ended)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._kill()

        clock = threading.Timer(wait or WALL * self.limits.seconds, stop)
        clock.start()
        try:
            send(self._process.stdin, head, values)
            answer, values = receive(self._process.stdout)
        except (EOFError, BrokenPipeError):
            raise StudentError(self._end(late.is_set())) from None
        except (ValueError, KeyError, TypeError):
            self._kill()
            self.ended = f"it returned {TOO_MUCH}"
            raise StudentError(self.ended) from None
        finally:
            clock.cancel()
        if "error" in answer:
            raise _error(answer)
        return answer, values

    def _end(self, late: bool) -> str:
        """Why the process is gone."""
        code = self._process.wait()
        slow = late or code in (-9, -24, -27)  # killed; out of processor time
        self.ended = (
            f"stopped after {self.limits.seconds} seconds: does every loop end?" if slow else "it ended the program"
        )
        return self.ended

    def _kill(self) -> None:
        """End the process, and those it started."""
        import signal

        try:
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        except ProcessLookupError:
            pass
        self._process.wait()


def _environment(folder: str) -> dict[str, str]:
    """Little of ours: no token, no home."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    single = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    return kept | single | {"HOME": folder, "TMPDIR": folder}


def _error(answer: dict[str, Any]) -> Exception:
    """The solution's own error, under its own name."""
    where = f" (line {answer['line']} of the cell)" if answer.get("line") else ""
    message = f"{answer['message']}{where}"
    if answer["error"] == "NotImplementedError":
        return NotImplementedError(message)
    return type(str(answer["error"]), (StudentError,), {})(message)
