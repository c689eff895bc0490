"""Is an exercise's check to be trusted? The solution and right answers pass, the blank and wrong ones do not."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minis2s.lessons.answers import Answer, load_answers
from minis2s.lessons.exercise import NOT_WRITTEN, Exercise, Verdict, judge, load_exercises
from minis2s.lessons.source import blank, read_source

NAMED_AMONG = 3
"""A cause counts as named if it is among the first so many."""


@dataclass(frozen=True)
class Proof:
    """How a check did on one function: as it should have, and with its true cause named first, or among the first."""

    exercise: str
    answer: str
    kind: str
    expected: str
    verdict: Verdict
    first: bool
    among: bool

    @property
    def judged(self) -> bool:
        """Was it judged as it should be?"""
        return self.verdict.passed == (self.kind in ("solution", "right"))


def prove(lesson: Path) -> list[Proof]:
    """Try the check of every exercise on the solution, the blank and all answers on file."""
    found = []
    sources = {
        cell.options["exercise"]: cell.source
        for cell in read_source(lesson / "lesson.py")
        if "exercise" in cell.options
    }
    for exercise in load_exercises(lesson):
        source = sources[exercise.name]
        for kind, text in (("solution", source), ("blank", blank(source))):
            expected = NOT_WRITTEN if kind == "blank" else ""
            found.append(_proof(exercise, kind, kind, (expected,), define(exercise, text)))
        found += [_try(exercise, answer) for answer in load_answers(lesson, exercise.name)]
    return found


def define(exercise: Exercise, source: str) -> Any:
    """The function that a cell defines, with what the exercise gives in sight."""
    namespace: dict[str, Any] = {"np": np}
    exec(compile(exercise.given, "<given>", "exec"), namespace)
    exec(compile(source, f"<{exercise.name}>", "exec"), namespace)
    return namespace[exercise.name]


def answer_source(path: Path, name: str, exercise: str) -> str:
    """An answer as a cell of a notebook: its file's imports and helpers, and the function under the exercise's name."""
    kept = []
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.FunctionDef) and statement.decorator_list:
            if statement.name != name:
                continue
            statement.name, statement.decorator_list = exercise, []
        if isinstance(statement, ast.ImportFrom) and str(statement.module).startswith("minis2s"):
            continue
        kept.append(statement)
    return ast.unparse(ast.Module(kept, []))


def _try(exercise: Exercise, answer: Answer) -> Proof:
    expected = () if answer.cause is None else (answer.cause, *answer.also)
    return _proof(exercise, answer.name, "wrong" if answer.cause else "right", expected, answer.function)


def _proof(exercise: Exercise, name: str, kind: str, expected: tuple[str, ...], function: Any) -> Proof:
    verdict = judge(exercise, function)
    first = not expected or bool(set(expected) & set(verdict.causes[:1])) or kind == "solution"
    among = first or bool(set(expected) & set(verdict.causes[:NAMED_AMONG]))
    return Proof(exercise.name, name, kind, " ".join(expected), verdict, first, among)
