"""The process in which a solution runs. It computes what it is asked, and judges nothing.

Started as a script by `process.py`; what is printed goes nowhere, and the pipes are out of the solution's sight. It is
no sandbox: limits keep a mistake from harming the grader, not an attacker.
"""

from __future__ import annotations

import builtins
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from wire import receive, send  # beside this file, which is run as a script

CELL = "<your cell>"


class Nowhere:
    """A text stream that drops everything, without an error however much it is."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)

    def flush(self) -> None:
        """Nothing to do."""

    def isatty(self) -> bool:
        """It is not."""
        return False


class NoLibrary:
    """An import hook: the solution is to be written, not imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse minis2s, leave the others to Python."""
        if name.split(".")[0] == "minis2s":
            raise ImportError("minis2s cannot be imported when this exercise is graded: write the lines yourself")


class Solution:
    """The namespace of a solution, and the backwards that it has made."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"np": np, "__name__": "solution"}
        self.function: Callable[..., Any] | None = None
        self.calls: list[tuple[tuple, Any]] = []

    def prepare(self, given: str, limits: dict[str, Any]) -> None:
        """Run what the exercise gives, then shut the door."""
        exec(compile(given, "<given>", "exec"), self.namespace)
        for name in [name for name in sys.modules if name.split(".")[0] == "minis2s"]:
            del sys.modules[name]
        sys.meta_path.insert(0, NoLibrary())
        _limit(limits)

    def define(self, helpers: str, source: str, name: str) -> None:
        """Run the cell."""
        exec(compile(helpers, "<other cells>", "exec"), self.namespace)
        exec(compile(source, CELL, "exec"), self.namespace)
        self.function = self.namespace[name]

    def call(self, inputs: tuple) -> tuple[dict[str, Any], tuple]:
        """The outputs, and the number of the call."""
        assert self.function is not None
        result = self.function(*inputs)
        pair = isinstance(result, tuple) and len(result) == 2 and callable(result[1])
        if not pair:
            return {"pair": False}, ()
        self.calls.append((inputs, result[1]))
        single = not isinstance(result[0], tuple)
        return {"pair": True, "single": single, "call": len(self.calls) - 1}, _as_tuple(result[0])

    def backward(self, call: int, upstream: tuple) -> tuple[dict[str, Any], tuple]:
        """The gradients; then what became of the upstream gradients and the inputs, and who shares memory with whom."""
        inputs, backward = self.calls[call]
        result = backward(*upstream)
        gradients = _as_tuple(result)
        others = (*upstream, *inputs)
        shared = [
            next((k for k, other in enumerate((*others, *gradients[:n])) if _share(gradient, other)), None)
            for n, gradient in enumerate(gradients)
        ]
        head = {"single": not isinstance(result, tuple), "count": len(gradients), "shared": shared}
        return head, (*gradients, *others)


def _share(a: Any, b: Any) -> bool:
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.shares_memory(a, b)


def _limit(limits: dict[str, Any]) -> None:
    """Bound time, memory and files, where the system can. The timer is exact; whoever stops it meets the kernel's."""
    try:
        import resource
        import signal
    except ImportError:  # Windows: the grader's clock is all there is
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(usage.ru_utime + usage.ru_stime + limits["seconds"]) + 2
    for kind, bound in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, limits["bytes"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (bound, bound))
    signal.setitimer(signal.ITIMER_PROF, limits["seconds"])


def _explain(error: BaseException) -> dict[str, Any]:
    """An error in the words of Python, and the line of the cell."""
    line = None
    if isinstance(error, SyntaxError) and error.filename == CELL:
        line = error.lineno
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == CELL:
            line = frame.lineno
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return {"error": type(error).__name__, "message": message[:500], "line": line}


def _as_tuple(x: Any) -> tuple:
    return x if isinstance(x, tuple) else (x,)


def main() -> None:
    """Answer until the grader hangs up."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.stdout = sys.stderr = Nowhere()
    builtins.input = lambda prompt="": ""
    solution = Solution()
    while True:
        try:
            request, values = receive(source)
        except EOFError:
            return
        try:
            operation = request.pop("operation")
            if operation == "call":
                head, values = solution.call(values)
            elif operation == "backward":
                head, values = solution.backward(request["call"], values)
            else:
                getattr(solution, operation)(**request)
                head, values = {}, ()
            send(sink, head, values)
        except BaseException as error:  # exit() in a cell too
            send(sink, _explain(error))


if __name__ == "__main__":
    main()
