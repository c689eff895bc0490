"""How long does grading a class take?

    python benchmarks/grading.py [LESSON ...]

Thirty submissions of a lesson: the right one, the answers on file in turn, a blank one, and an endless loop.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from minis2s.lessons.answers import load_answers
from minis2s.lessons.exercise import load_exercises
from minis2s.lessons.files import find_lesson, list_lessons
from minis2s.lessons.grading import grade_all
from minis2s.lessons.notebook import STUDENT, build, notebook_name
from minis2s.lessons.proof import answer_source
from minis2s.lessons.source import read_source

CLASS = 30
BAR = 120
ENDLESS = "def {name}(*inputs):\n    while True:\n        pass\n"


def submissions(lesson: Path, folder: Path) -> list[tuple[str, Path]]:
    """Thirty notebooks. Student 0 hands in the solution, 1 the blank, 2 loops for ever, the others what is on file."""
    cells = [cell for cell in read_source(lesson / "lesson.py") if "exercise" in cell.options]
    solutions = {cell.options["exercise"]: cell.source for cell in cells}
    answers = {}
    for exercise in load_exercises(lesson):
        path = lesson / "answers" / f"{exercise.name}.py"
        names = [answer.name for answer in load_answers(lesson, exercise.name)]
        answers[exercise.name] = [answer_source(path, name, exercise.name) for name in names]
    found = []
    for student in range(CLASS):
        notebook = json.loads(build(lesson, kind=STUDENT))
        for cell in notebook["cells"]:
            name = cell["metadata"].get("nbgrader", {}).get("grade_id")
            if name in solutions and student != 1:
                on_file = answers[name][student % len(answers[name])]
                cell["source"] = {0: solutions[name], 2: ENDLESS.format(name=name)}.get(student, on_file)
        path = folder / f"student-{student:02}" / notebook_name(lesson, "")
        path.parent.mkdir()
        path.write_text(json.dumps(notebook), encoding="utf-8")
        found.append((path.parent.name, path))
    return found


def main() -> None:
    """Print a line for each lesson."""
    for lesson in [find_lesson(name) for name in sys.argv[1:]] or list_lessons():
        with tempfile.TemporaryDirectory() as folder:
            class_ = submissions(lesson, Path(folder))
            start = time.perf_counter()
            graded = list(grade_all(class_))
            seconds = time.perf_counter() - start
        assert graded[0].points == graded[0].most
        assert graded[1].points == graded[2].points == 0
        count = sum(len(one.results) for one in graded)
        print(
            f"{lesson.name:16} {len(graded)} submissions, {count} exercises: {seconds:.1f} s on two cores "
            f"({seconds / len(graded):.2f} s a submission; the bar is {BAR} s)"
        )


if __name__ == "__main__":
    main()
