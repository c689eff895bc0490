"""What a student handed in: a notebook, in whatever state it is.

Cells are found by the function they define, and by nbgrader's metadata where that fails: cells that were doubled,
deleted, moved or edited do no harm.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import symtable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minis2s.errors import DataError
from minis2s.lessons.exercise import Exercise

MAGIC = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)
MOST_CANDIDATES = 3


@dataclass(frozen=True)
class Submission:
    """A student's notebook: the sources of its code cells, each with its nbgrader name; or why it cannot be read."""

    student: str
    path: str
    lesson: str = ""
    cells: list[tuple[str, str]] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True)
class Candidate:
    """A cell that may be the solution, and what it uses of other cells."""

    source: str
    helpers: str


def find_submissions(paths: list[Path]) -> list[tuple[str, Path]]:
    """The notebooks at the paths, and under those that are folders; each with its student's name.

    In a folder of folders, as nbgrader has them, the student is the first folder; else the name of the notebook.

    Raises
    ------
    DataError
        If a path does not exist, or there is no notebook at all.
    """
    found = []
    for path in paths:
        if path.is_dir():
            notebooks = sorted(p for p in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
            parts = [p.relative_to(path).parts for p in notebooks]
            found += [(p[0] if len(p) > 1 else Path(p[0]).stem, n) for p, n in zip(parts, notebooks, strict=True)]
        elif path.exists():
            found.append((path.stem, path))
        else:
            raise DataError(f"{path} does not exist: name notebooks, or folders of them")
    if not found:
        raise DataError("there is no .ipynb file in " + ", ".join(map(str, paths)))
    return found


def read_submission(student: str, path: Path) -> Submission:
    """Read a notebook. One that cannot be read is no error: the submission says why."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
        cells = [_cell(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        lesson = notebook.get("metadata", {}).get("minis2s", {}).get("lesson", "")
    except OSError as error:
        return Submission(student, str(path), problem=f"the file cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return Submission(student, str(path), problem="this is no notebook: open it in Jupyter and save it again")
    return Submission(student, str(path), str(lesson), cells)


def _cell(cell: dict[str, Any]) -> tuple[str, str]:
    """The nbgrader name and the source of a cell, with Jupyter's own commands taken out."""
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    options = cell.get("metadata", {}).get("nbgrader", {})
    name = options.get("grade_id", "") if options.get("solution") else ""
    return str(name), MAGIC.sub(r"\1pass", source)


def candidates(submission: Submission, exercise: Exercise) -> list[Candidate]:
    """The cells that may be the solution, the last one first.

    A cell counts if it defines the function; if none does, the one that nbgrader's metadata name, so that the student
    learns what keeps it from running. What they use of other cells comes with them.
    """
    sources = [source for _, source in submission.cells if exercise.name in _definitions(source)]
    if not sources:
        sources = [source for name, source in submission.cells if name == exercise.name and source.strip()]
    sources = list(dict.fromkeys(reversed(sources)))[:MOST_CANDIDATES]
    return [Candidate(source, _helpers(submission, source, exercise)) for source in sources]


def _helpers(submission: Submission, source: str, exercise: Exercise) -> str:
    """Functions, classes, imports and constants of other cells that the source uses, itself or by one of them."""
    known: dict[str, ast.stmt] = {}
    for _, other in submission.cells:
        if other != source:
            known |= _definitions(other)
    own = set(_definitions(source)) | set(_definitions(exercise.given)) | {"np", exercise.name} | set(dir(builtins))
    needed: dict[str, ast.stmt] = {}
    waiting = sorted(_used(source) - own)
    while waiting:
        name = waiting.pop()
        if name in known and name not in needed:
            needed[name] = known[name]
            waiting += sorted(_used(ast.unparse(known[name])) - own)
    statements = dict.fromkeys(needed[name] for name in known if name in needed)
    return "\n".join(ast.unparse(statement) for statement in statements)


def _definitions(source: str) -> dict[str, ast.stmt]:
    """What a cell defines at its top level: the names, and the statements."""
    found: dict[str, ast.stmt] = {}
    for statement in _parse(source).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found[statement.name] = statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0]: statement for alias in statement.names}
        elif isinstance(statement, ast.Assign) and _is_constant(statement.value):
            found |= {target.id: statement for target in statement.targets if isinstance(target, ast.Name)}
    return found


def _is_constant(value: ast.expr) -> bool:
    """Is it a number, a string, or a list and such of them? What is computed belongs to the lesson, not to a helper."""
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _used(source: str) -> set[str]:
    """The names that a source takes from outside of it."""
    try:
        tables = [symtable.symtable(source, "<cell>", "exec")]
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        top = table.get_type() == "module"
        symbols = table.get_symbols()
        found |= {
            s.get_name() for s in symbols if (s.is_referenced() and not s.is_assigned() if top else s.is_global())
        }
    return found


def _parse(source: str) -> ast.Module:
    """The syntax tree; an empty one if there is an error in it."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module([], [])
