"""`minis2s lessons list | open | build | check | grade | site`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from minis2s.errors import DataError
from minis2s.lessons.files import find_lesson, languages, list_lessons
from minis2s.lessons.show import write

logger = logging.getLogger("minis2s")


def run(args: argparse.Namespace) -> int:
    """Do what the words after `minis2s lessons` say; the exit code."""
    return COMMANDS[args.lessons_command](args)


def _list(args: argparse.Namespace) -> int:
    from minis2s.lessons.exercise import load_exercises
    from minis2s.lessons.source import read_source, title

    for lesson in list_lessons():
        write(f"{lesson.name:16} {title(read_source(lesson / 'lesson.py'))}")
        if (lesson / "exercises.py").is_file():
            names = ", ".join(exercise.name for exercise in load_exercises(lesson))
            more = "".join(f"; also in {language}" for language in languages(lesson) if language)
            write(f"{'':16} exercises: {names}{more}")
    return 0


def _open(args: argparse.Namespace) -> int:
    """Write the student's notebook here, unless it is here already, and start Jupyter on it."""
    import shutil
    import subprocess

    from minis2s.lessons.notebook import build, notebook_name

    lesson = find_lesson(args.lesson)
    if args.language not in languages(lesson):
        raise DataError(f"{lesson.name} is not translated into {args.language!r}: leave --language out for English")
    path = Path(notebook_name(lesson, args.language))
    if path.exists():
        logger.info("%s is here already, and stays as it is", path)
    else:
        path.write_text(build(lesson, args.language), encoding="utf-8", newline="\n")
        logger.info("wrote %s", path)
    jupyter = shutil.which("jupyter")
    if jupyter is None:
        logger.info("open it in any notebook program, or install Jupyter: pip install 'minis2s[lessons]'")
        return 0
    return subprocess.call([jupyter, "lab", str(path)])


def _build(args: argparse.Namespace) -> int:
    from minis2s.lessons.notebook import write_notebooks

    for lesson in _chosen(args.lesson):
        for path in write_notebooks(lesson, Path(args.output)):
            write(str(path))
    return 0


def _check(args: argparse.Namespace) -> int:
    """Try every answer on file; a line for each that was not judged as it should be, and one for each exercise."""
    from minis2s.lessons.proof import prove

    failed = False
    for lesson in _chosen(args.lesson):
        proofs = prove(lesson)
        for exercise in dict.fromkeys(proof.exercise for proof in proofs):
            mine = [proof for proof in proofs if proof.exercise == exercise]
            wrong = [proof for proof in mine if proof.kind == "wrong"]
            first, among = (sum(getattr(proof, name) for proof in wrong) for name in ("first", "among"))
            judged = sum(proof.judged for proof in mine)
            failed |= judged < len(mine)
            write(
                f"{lesson.name} {exercise:16} {judged} of {len(mine)} judged right; "
                f"of {len(wrong)} wrong ones the true cause is first for {first}, among three for {among}"
            )
        for proof in proofs:
            if not (proof.judged and proof.first):
                said = ", ".join(proof.verdict.causes) or "right"
                write(f"  {proof.exercise}, {proof.answer}: {proof.expected or 'right'}, but the check says {said}")
    return int(failed)


def _grade(args: argparse.Namespace) -> int:
    from minis2s.lessons.grading import find_submissions, grade_all
    from minis2s.lessons.grading.feedback import write_feedback

    lesson = find_lesson(args.for_lesson) if args.for_lesson else None
    submissions = find_submissions([Path(path) for path in args.submission])
    graded = []
    for one in grade_all(submissions, lesson, args.seed, args.jobs):
        graded.append(one)
        parts = ", ".join(f"{result.exercise} {result.points:g}" for result in one.results)
        write(f"{one.student:20} {one.points:6g} of {one.most:g}   {one.problem or parts}")
    write_feedback(graded, Path(args.output))
    logger.info("table, feedback and results.json are in %s", args.output)
    return 0


def _site(args: argparse.Namespace) -> int:
    from minis2s.lessons.site import build_site

    logger.info("the site is at %s", build_site(Path(args.output)))
    return 0


def _chosen(names: list[str]) -> list[Path]:
    return [find_lesson(name) for name in names] if names else list_lessons()


COMMANDS = {"list": _list, "open": _open, "build": _build, "check": _check, "grade": _grade, "site": _site}
