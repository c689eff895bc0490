"""An exercise: a function to write, what it should compute, and the check that says what is wrong with it."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minis2s.errors import ConfigError
from minis2s.gradcheck import check as gradcheck
from minis2s.gradcheck.report import RIGHT, Report
from minis2s.lessons.answers import load_answers
from minis2s.lessons.files import find_lesson, load_module
from minis2s.lessons.show import display, write

Function = Callable[..., Any]

DRAWS = 2
"""Every function is tried on inputs of so many sizes."""

OUTPUT_TOLERANCE = 1e-6
"""Relative to the largest number of an output: outputs are only compared, so that rounding is all there may be."""

NOT_WRITTEN = "not written yet"
WRONG_OUTPUT = "wrong-output"
RAISES = "raises"


@dataclass(frozen=True)
class Exercise:
    """A function to write.

    Attributes
    ----------
    name : str
        Of the function.
    reference : callable
        The truth: takes the same inputs and returns `(output, backward)`.
    inputs : callable
        `inputs(rng)` draws a tuple of inputs.
    points : int
    given : str
        Python that runs before the solution when it is graded.
    """

    name: str
    reference: Function
    inputs: Callable[[np.random.Generator], tuple]
    points: int = 1
    given: str = ""

    def draws(self, seed: int) -> list[tuple]:
        """The inputs of all draws."""
        return [self.inputs(np.random.default_rng((seed, k))) for k in range(DRAWS)]


@dataclass(frozen=True)
class Verdict:
    """What came out for one function.

    Attributes
    ----------
    name : str
        Of the exercise.
    share : float
        Of the points: the share of right gradients, half of it if the contract is broken.
    causes : list of str
        Identifiers of what is wrong, the likeliest first; empty if all is right.
    text : str
        For the student.
    report : Report or None
        The checker's, if it came so far.
    """

    name: str
    share: float
    causes: list[str]
    text: str
    report: Report | None = None

    @property
    def passed(self) -> bool:
        """Is everything right?"""
        return self.share == 1


def judge(exercise: Exercise, function: Function, seed: int = 0, checked: Function | None = None) -> Verdict:
    """The verdict on a function, and why.

    The output is held against the reference's, then the gradients are checked on every draw of inputs.

    Parameters
    ----------
    exercise : Exercise
    function : callable
    seed : int
        Of the inputs.
    checked : callable, optional
        What is given to the checker, if not the function itself: the same outputs and gradients, had more cheaply.
    """
    verdict = None
    for inputs in exercise.draws(seed):
        verdict = _judge_once(exercise, function, checked or function, inputs, seed)
        if not verdict.passed:
            return verdict
    assert verdict is not None
    return verdict


def _judge_once(exercise: Exercise, function: Function, checked: Function, inputs: tuple, seed: int) -> Verdict:
    name = exercise.name
    try:
        different = _compare_output(exercise, function, inputs)
        if different:
            return Verdict(name, 0, [WRONG_OUTPUT], f"{name}: {different}")
        report = gradcheck(checked, *inputs, seed=seed)
    except NotImplementedError:
        return Verdict(name, 0, [NOT_WRITTEN], f"{name}: {NOT_WRITTEN}")
    except Exception as error:
        return Verdict(name, 0, [RAISES], f"{name}: it raised {type(error).__name__}: {error}")
    if any(NOT_WRITTEN in str(problem) for problem in report.problems):
        return Verdict(name, 0, [NOT_WRITTEN], f"{name}: {NOT_WRITTEN}")
    share = _share(report)
    return Verdict(name, share, [] if report.passed else causes(report), str(report), report)


def _compare_output(exercise: Exercise, function: Function, inputs: tuple) -> str:
    """What is wrong with the function's output; empty if nothing is."""
    expected, _ = exercise.reference(*inputs)
    result = function(*(np.copy(x) if isinstance(x, np.ndarray) else x for x in inputs))
    if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
        return "it should return two things, the output and the function `backward`"
    expected, found = _as_tuple(expected), _as_tuple(result[0])
    if len(expected) != len(found):
        return f"it returned {len(found)} outputs, expected {len(expected)}"
    for k, (right, yours) in enumerate(zip(expected, found, strict=True)):
        which = "the output" if len(expected) == 1 else f"output {k + 1}"
        if np.shape(yours) != np.shape(right):
            return f"{which} has shape {np.shape(yours)}, expected {np.shape(right)}"
        try:
            error = np.abs(np.asarray(yours, dtype=np.float64) - right)
        except (TypeError, ValueError):
            return f"{which} is {type(yours).__name__}, expected an array of numbers"
        error = np.where(np.isfinite(error), error, np.inf)
        if error.size and error.max() > OUTPUT_TOLERANCE * max(1.0, np.abs(right).max()):
            place = np.unravel_index(int(error.argmax()), error.shape)
            index = [int(i) for i in place]
            value, truth = np.asarray(yours)[place], np.asarray(right)[place]
            return f"{which} is wrong, worst at {index}: yours {value:.6g}, expected {truth:.6g}. Mend it first"
    return ""


def _share(report: Report) -> float:
    """The share of the points."""
    if not report.gradients:
        return 0.0
    right = sum(gradient.verdict == RIGHT for gradient in report.gradients) / len(report.gradients)
    return right if report.passed or not report.problems else right / 2


def causes(report: Report) -> list[str]:
    """Identifiers of what is wrong, the likeliest first: of the contract, then of the gradients."""
    found = [getattr(problem, "cause", str(problem)) for problem in report.problems]
    found += [diagnosis.cause for diagnosis in getattr(report, "diagnoses", ())]
    return list(dict.fromkeys(found)) or ["unknown"]


class Exercises:
    """The exercises of a lesson. In a notebook: `exercise.check(softmax)`."""

    def __init__(self, folder: Path, exercises: tuple[Exercise, ...]):
        self.lesson = folder.name
        self._folder = folder
        self._by_name = {exercise.name: exercise for exercise in exercises}

    def __iter__(self) -> Iterator[Exercise]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Exercise:
        """The exercise of that name.

        Raises
        ------
        ConfigError
            If the lesson has none.
        """
        if name not in self._by_name:
            raise ConfigError(f"lesson {self.lesson} has no exercise {name!r}: it has {', '.join(self._by_name)}")
        return self._by_name[name]

    def check(self, function: Function) -> None:
        """Show what is right and what is wrong with the function, which bears the exercise's name."""
        verdict = _quietly(self[function.__name__], function)
        if verdict.report is not None:
            display(verdict.report)
        else:
            write(verdict.text)

    def museum(self, name: str) -> dict[str, Function]:
        """The wrong answers to an exercise that are kept on file, by their names."""
        return {answer.name: answer.function for answer in load_answers(self._folder, self[name].name) if answer.cause}

    def score(self, function: Function) -> float:
        """The points for the function, as nbgrader takes them: a number, or an error where there are none.

        Raises
        ------
        AssertionError
            Instead of 0 points, which nbgrader would take for all.
        """
        exercise = self[function.__name__]
        verdict = _quietly(exercise, function, seed=1)
        if verdict.share == 0:
            raise AssertionError(verdict.text)
        return exercise.points * verdict.share


def _quietly(exercise: Exercise, function: Function, seed: int = 0) -> Verdict:
    """The verdict, without warnings on standard error: nbgrader takes all points for one."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return judge(exercise, function, seed)


def load_exercises(lesson: str | Path) -> Exercises:
    """The exercises of a lesson, by its name, number or folder.

    Raises
    ------
    ConfigError
        If there is no such lesson.
    """
    folder = lesson if isinstance(lesson, Path) else find_lesson(lesson)
    return Exercises(folder, load_module(folder / "exercises.py").EXERCISES)


def _as_tuple(x: Any) -> tuple:
    return x if isinstance(x, tuple) else (x,)
