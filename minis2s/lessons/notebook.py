"""Notebooks made of a lesson: the student's, with blanks; the solution; and the one that the page is made of.

The bytes depend on the source alone. The metadata are nbgrader's (schema 3): the solution notebook is what
`nbgrader generate_assignment` takes, the student's is what it makes, or what this does.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from minis2s.lessons.exercise import Exercises, load_exercises
from minis2s.lessons.source import Cell, blank, read_source, solved

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
FOLDED = {"hide-input": "source_hidden", "hide-output": "outputs_hidden"}
FENCED = re.compile(r"^(```.*?^```)$", re.DOTALL | re.MULTILINE)
CHINESE_BREAK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef`A-Za-z]|\$[^$])")
TAG = re.compile(r"\\tag\{[^}]*\}")
PROMPTS = {
    "": {"code": ("Show the code", "Hide the code"), "solution": ("Show the solution", "Hide the solution")},
    "zh": {"code": ("显示代码", "隐藏代码"), "solution": ("显示答案", "隐藏答案")},
}
"""What unfolds a cell of the page, and folds it again. Other languages have the English ones."""
STUDENT, SOLUTION, PAGE = "student", "solution", "page"


def build(lesson: Path, language: str = "", kind: str = STUDENT) -> str:
    """The text of a notebook.

    Parameters
    ----------
    lesson : Path
        Its folder.
    language : str
        Of a translation, or "" for English.
    kind : {"student", "solution", "page"}
    """
    exercises = load_exercises(lesson)
    source = lesson / language / "lesson.py"
    cells: list[dict[str, Any]] = []
    for number, cell in enumerate(read_source(source), start=1):
        made = _cells(cell, f"cell-{number:03}", exercises, kind)
        if kind == PAGE:
            _set_prompts(made, "solution" if "exercise" in cell.options else "code", language)
        cells += made
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": KERNEL,
            "language_info": {"name": "python"},
            "minis2s": {"lesson": lesson.name},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def write_notebooks(lesson: Path, folder: Path) -> list[Path]:
    """Write the student's notebook and the solution of a lesson, in every language; where they are."""
    from minis2s.lessons.files import languages

    written = []
    for language in languages(lesson):
        for kind in (STUDENT, SOLUTION):
            path = folder / kind / lesson.name / notebook_name(lesson, language)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(build(lesson, language, kind), encoding="utf-8", newline="\n")
            written.append(path)
    return written


def notebook_name(lesson: Path, language: str) -> str:
    """The name of a notebook: `01_backward.ipynb`, `01_backward.zh.ipynb`."""
    return f"{lesson.name}.{language}.ipynb" if language else f"{lesson.name}.ipynb"


def _cells(cell: Cell, id_: str, exercises: Exercises, kind: str) -> list[dict[str, Any]]:
    """The cells of a notebook that a cell of the source becomes."""
    metadata = _tagged(cell.options.get("tags", []))
    if cell.markdown:
        text = _join_chinese(cell.source)
        return [_markdown(id_, _for_katex(text) if kind == PAGE else text, metadata)]
    if "exercise" in cell.options:
        return _exercise(cell, id_, metadata, kind)
    if "check" in cell.options:
        return [_check(cell, id_, exercises, metadata, kind)]
    return [_code(id_, cell.source, metadata)]


def _tagged(tags: list[str]) -> dict[str, Any]:
    """The tags of a cell, and what Jupyter reads instead of them: what the page folds is folded there too."""
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    folded = {FOLDED[tag]: True for tag in tags if tag in FOLDED}
    return metadata | {"jupyter": folded} if folded else metadata


def _exercise(cell: Cell, id_: str, metadata: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    name = cell.options["exercise"]
    if kind == PAGE:  # the blank to read, and the solution folded away
        blanked = f"```python\n{blank(cell.source)}\n```"
        return [_markdown(f"{id_}-blank", blanked, {}), _code(id_, solved(cell.source), _tagged(["hide-input"]))]
    source = blank(cell.source) if kind == STUDENT else cell.source
    return [_code(id_, source, metadata | {"nbgrader": _nbgrader(name, solution=True)})]


def _set_prompts(cells: list[dict[str, Any]], what: str, language: str) -> None:
    """Say in the reader's language what folds and unfolds."""
    show, hide = PROMPTS.get(language, PROMPTS[""])[what]
    for cell in cells:
        if "hide-input" in cell["metadata"].get("tags", []):
            cell["metadata"]["mystnb"] = {"code_prompt_show": show, "code_prompt_hide": hide}


def _check(cell: Cell, id_: str, exercises: Exercises, metadata: dict[str, Any], kind: str) -> dict[str, Any]:
    """The cell in which an exercise is tried. Its hidden line gives nbgrader the points."""
    exercise = exercises[cell.options["check"]]
    source = cell.source
    if kind == SOLUTION:
        source += f"\n### BEGIN HIDDEN TESTS\nexercise.score({exercise.name})\n### END HIDDEN TESTS"
    if kind != PAGE:
        metadata |= {"nbgrader": _nbgrader(f"{exercise.name}-check", points=exercise.points)}
    return _code(id_, source, metadata)


def _join_chinese(text: str) -> str:
    """Join lines of Chinese, which the browser would put a space between; code stays as it is."""
    return "".join(part if k % 2 else CHINESE_BREAK.sub("", part) for k, part in enumerate(FENCED.split(text)))


def _for_katex(text: str) -> str:
    """Escape the underscores in an equation's tag, which is text; Jupyter's MathJax does not ask for it."""
    return TAG.sub(lambda tag: tag[0].replace("_", r"\_"), text)


def _nbgrader(grade_id: str, solution: bool = False, points: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {
        "grade": not solution,
        "grade_id": grade_id,
        "locked": not solution,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    return found if solution else found | {"points": points}


def _markdown(id_: str, source: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": id_, "metadata": metadata, "source": source.splitlines(keepends=True)}


def _code(id_: str, source: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": id_,
        "metadata": metadata,
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }
