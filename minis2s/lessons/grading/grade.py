"""From a submission to its points."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minis2s.lessons.exercise import RAISES, Exercise, Exercises, Verdict, judge, load_exercises
from minis2s.lessons.files import list_lessons
from minis2s.lessons.grading.process import Limits, Process, StudentError
from minis2s.lessons.grading.submission import Candidate, Submission, candidates, read_submission

MISSING = "missing"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Result:
    """The points for one exercise, and what to tell the student: as text, and as HTML where there is more to show."""

    exercise: str
    points: float
    most: float
    causes: list[str]
    text: str
    html: str = ""


@dataclass(frozen=True)
class Graded:
    """All results of a submission."""

    student: str
    path: str
    lesson: str
    results: list[Result]
    problem: str = ""

    @property
    def points(self) -> float:
        """All that were given."""
        return round(sum(result.points for result in self.results), 2)

    @property
    def most(self) -> float:
        """All that there were."""
        return sum(result.most for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return {**asdict(self), "points": self.points, "most": self.most}


def grade(submission: Submission, lesson: Path | None = None, seed: int = 0, limits: Limits | None = None) -> Graded:
    """Grade a submission.

    Parameters
    ----------
    submission : Submission
    lesson : Path, optional
        The lesson's folder; else the notebook's metadata tell, or the functions in it.
    seed : int
        Of the hidden inputs.
    limits : Limits, optional
        What each solution may use.
    """
    folder = lesson or _guess_lesson(submission)
    if folder is None:
        problem = submission.problem or "no exercise of any lesson is in it: is it the right notebook?"
        return Graded(submission.student, submission.path, "", [], problem)
    results = [grade_exercise(submission, exercise, seed, limits or Limits()) for exercise in load_exercises(folder)]
    return Graded(submission.student, submission.path, folder.name, results, submission.problem)


def grade_exercise(submission: Submission, exercise: Exercise, seed: int, limits: Limits) -> Result:
    """Grade one exercise: the best of the cells that may be its solution counts."""
    verdicts = []
    for candidate in candidates(submission, exercise):
        verdicts.append(run(exercise, candidate, seed, limits))
        if verdicts[-1].passed:
            break
    best = max(verdicts, key=lambda verdict: verdict.share, default=_missing(submission, exercise))
    html = best.report._repr_html_() if best.report is not None and hasattr(best.report, "_repr_html_") else ""
    points = round(exercise.points * best.share, 2)
    return Result(exercise.name, points, exercise.points, best.causes, best.text, html)


def run(exercise: Exercise, candidate: Candidate, seed: int, limits: Limits) -> Verdict:
    """The verdict on a solution, which runs in another process."""
    with Process(exercise, limits) as process:
        try:
            process.define(candidate.helpers, candidate.source)
        except (StudentError, NotImplementedError) as error:
            kind = "" if process.ended else f"{type(error).__name__}: "
            return Verdict(exercise.name, 0, [RAISES], f"{exercise.name}: the cell does not run. {kind}{error}")
        checked = functools.update_wrapper(lambda *inputs: process.checked(*inputs), exercise.reference)
        checked.__name__ = exercise.name
        verdict = judge(exercise, process.function, seed, checked)
        if process.ended:
            return Verdict(exercise.name, 0, [RAISES], f"{exercise.name}: {process.ended}")
        return verdict


def grade_all(
    submissions: Sequence[tuple[str, Path]], lesson: Path | None = None, seed: int = 0, jobs: int = 2
) -> Iterator[Graded]:
    """Grade the notebooks of students, several at a time; results come in order."""
    one = functools.partial(_grade_file, lesson=lesson, seed=seed)
    if jobs == 1 or len(submissions) == 1:
        yield from map(one, submissions)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(one, submissions)


def _grade_file(submission: tuple[str, Path], lesson: Path | None, seed: int) -> Graded:
    return grade(read_submission(*submission), lesson, seed)


def _guess_lesson(submission: Submission) -> Path | None:
    """The lesson that the notebook names, or that shares most exercises with it."""
    folders = list_lessons()
    named = [folder for folder in folders if folder.name == submission.lesson]
    if named:
        return named[0]
    found = {folder: _shared(submission, load_exercises(folder)) for folder in folders}
    best = max(found, key=lambda folder: found[folder], default=None)
    return best if best is not None and found[best] else None


def _shared(submission: Submission, exercises: Exercises) -> int:
    return sum(bool(candidates(submission, exercise)) for exercise in exercises)


def _missing(submission: Submission, exercise: Exercise) -> Verdict:
    if submission.problem:
        return Verdict(exercise.name, 0, [UNREADABLE], f"{exercise.name}: {submission.problem}")
    return Verdict(exercise.name, 0, [MISSING], f"{exercise.name}: no cell defines the function {exercise.name!r}")
