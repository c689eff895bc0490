"""Check every function of the library, or one in a file."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minis2s.errors import ConfigError
from minis2s.gradcheck.checker import check
from minis2s.gradcheck.report import Report
from minis2s.gradcheck.targets import as_function


def run_library(names: Sequence[str] | None = None, seed: int = 0) -> list[Report]:
    """Check the library's functions: all, or those whose name contains one of `names`.

    Raises
    ------
    ConfigError
        If no function has such a name.
    """
    from minis2s.gradcheck.cases import cases

    chosen = [case for case in cases(seed) if not names or any(name in case.name for name in names)]
    if not chosen:
        raise ConfigError(f"no function is called {' or '.join(names or [])}: `minis2s gradcheck` lists all")
    reports = [(case.name, check(case.function, *case.inputs, seed=seed)) for case in chosen]
    return [replace(report, function=name) for name, report in reports]


def check_file(place: str, seed: int = 0) -> list[Report]:
    """Check a function in a Python file, `student.py:my_lstm`, on the inputs of the library's function of its name.

    A prefix or suffix does no harm: `my_lstm_step` is held against the cases of `lstm_step`. Of a pair in the
    `(out, cache)` style name the first, `lstm_step_forward`: `lstm_step_backward` is taken from the same file.

    Raises
    ------
    ConfigError
        If the file, the function, or a case for its name is missing, or the file does not run.
    """
    from minis2s.gradcheck.cases import cases

    path, _, name = place.rpartition(":")
    if not path or not name:
        raise ConfigError(f"--file {place!r} is not of the form FILE.py:FUNCTION")
    module = _load(Path(path))
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"{path} has no function {name!r}")
    backward = getattr(module, name.removesuffix("_forward") + "_backward", None)
    if name.endswith("_forward") and callable(backward):
        function = as_function(function, backward)
    known = sorted({case.name.split(",")[0] for case in cases(seed)}, key=len, reverse=True)
    like = next((k for k in known if k in name), None)
    if like is None:
        raise ConfigError(f"no case fits the name {name!r}: name the function after one of {', '.join(sorted(known))}")
    case = next(case for case in cases(seed) if case.name.split(",")[0] == like)
    return [check(function, *case.inputs, seed=seed)]


def _load(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f"{path} does not exist: check the name after --file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path} does not run: {type(error).__name__}: {error}") from error
    return module


def format_table(reports: Sequence[Report]) -> str:
    """A line a function, and below it the details of what is not right."""
    width = max(len(report.function) for report in reports)
    lines = [f"{'function':{width}}  {'gradients':>9}  {'worst error':>11}  verdict"]
    for report in reports:
        lines.append(f"{report.function:{width}}  {len(report.gradients):9}  {report.error:11.1e}  {report.verdict}")
        if not report.passed:
            lines += [f"  {line}" for line in str(report).splitlines()[1:]]
    right = sum(report.passed for report in reports)
    lines.append(f"{right} of {len(reports)} right")
    return "\n".join(lines)
