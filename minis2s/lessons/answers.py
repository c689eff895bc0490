"""Answers on file, right ones and wrong ones, which prove that an exercise's check can tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from minis2s.lessons.files import load_module

F = TypeVar("F", bound=Callable[..., Any])
MARK = "_minis2s_answer"


@dataclass(frozen=True)
class Answer:
    """A function, and what is to be said of it: the `cause` of its being wrong, or None; `also`, what is as true."""

    function: Callable[..., Any]
    cause: str | None
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the function."""
        return self.function.__name__


def wrong(cause: str, also: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Mark a function as a wrong answer. `cause` is an identifier of the checker, `wrong-output` or `raises`."""

    def mark(function: F) -> F:
        setattr(function, MARK, Answer(function, cause, also))
        return function

    return mark


def right(function: F) -> F:
    """Mark a function as a right answer, written otherwise than the solution."""
    setattr(function, MARK, Answer(function, None))
    return function


def load_answers(lesson: Path, exercise: str) -> list[Answer]:
    """The answers on file for an exercise, in their order.

    Raises
    ------
    DataError
        If there is no such file.
    """
    found = vars(load_module(lesson / "answers" / f"{exercise}.py")).values()
    return [getattr(thing, MARK) for thing in found if hasattr(thing, MARK)]
