"""The source of a lesson: a percent-format script, as Jupytext reads it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minis2s.errors import DataError

HEAD = re.compile(r"# %%(?P<markdown> \[markdown\])?(?P<options>( \w+=(\"[^\"]*\"|\[[^]]*\]))*)\s*")
OPTION = re.compile(r"(\w+)=(\"[^\"]*\"|\[[^]]*\])")
OPTIONS = {"exercise", "check", "tags"}
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BLANK = 'raise NotImplementedError("not written yet")'


@dataclass
class Cell:
    """A piece of text or of code, and its options."""

    markdown: bool
    source: str
    line: int
    options: dict[str, Any] = field(default_factory=dict)


def read_source(path: Path) -> list[Cell]:
    """The cells of a lesson.

    Raises
    ------
    DataError
        Naming the line, if the file is not in the format.
    """
    cells: list[Cell] = []
    lines: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("# %%"):
            _finish(cells, lines, path)
            cells.append(_begin(line, path, number))
            lines = []
        elif cells:
            lines.append(line)
        elif line.strip():
            raise DataError(f"{path}:{number}: a lesson begins with `# %% [markdown]`")
    _finish(cells, lines, path)
    _require_pairs(cells, path)
    return cells


def _begin(line: str, path: Path, number: int) -> Cell:
    match = HEAD.fullmatch(line)
    if match is None:
        raise DataError(f'{path}:{number}: expected `# %%`, `# %% [markdown]`, and options such as exercise="name"')
    options = {key: json.loads(value) for key, value in OPTION.findall(match["options"])}
    unknown = set(options) - OPTIONS
    if unknown:
        raise DataError(f"{path}:{number}: unknown option {unknown.pop()!r}: choose of {', '.join(sorted(OPTIONS))}")
    return Cell(match["markdown"] is not None, "", number, options)


def _finish(cells: list[Cell], lines: list[str], path: Path) -> None:
    """Give the last cell its text."""
    if not cells:
        return
    cell = cells[-1]
    if cell.markdown:
        for number, line in enumerate(lines, start=cell.line + 1):
            if line.strip() and not line.startswith("#"):
                raise DataError(f"{path}:{number}: text in a [markdown] cell begins with `# `; code needs a `# %%`")
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
    cell.source = "\n".join(lines).strip("\n")


def _require_pairs(cells: list[Cell], path: Path) -> None:
    """Every exercise is named once, has a check after it, and a solution in it."""
    waiting = ""
    names: set[str] = set()
    for cell in cells:
        where = f"{path}:{cell.line}"
        name = cell.options.get("exercise")
        if name:
            if name in names or waiting:
                raise DataError(f"{where}: exercise {name!r} comes twice, or before the check of {waiting!r}")
            if BEGIN not in cell.source or f"def {name}(" not in cell.source:
                raise DataError(f"{where}: exercise {name!r} needs `def {name}(` and a line `{BEGIN}`")
            names.add(name)
            waiting = name
        if "check" in cell.options:
            if cell.options["check"] != waiting:
                raise DataError(f"{where}: check={cell.options['check']!r} does not follow the exercise of that name")
            waiting = ""
    if waiting:
        raise DataError(f'{path}: exercise {waiting!r} has no cell `# %% check="{waiting}"` after it')


def title(cells: list[Cell]) -> str:
    """The first heading of a lesson."""
    return next((line[2:].strip() for line in cells[0].source.splitlines() if line.startswith("# ")), "")


def blank(source: str) -> str:
    """The source of an exercise with its solution taken out."""
    kept: list[str] = []
    inside = False
    for line in source.splitlines():
        if line.strip() == BEGIN:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            kept += [f"{indent}# YOUR CODE HERE", indent + BLANK]
        elif line.strip() == END:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def solved(source: str) -> str:
    """The source of an exercise without the marks around its solution."""
    return "\n".join(line for line in source.splitlines() if line.strip() not in (BEGIN, END))
