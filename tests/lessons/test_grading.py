import csv
import json
import re
import time

import pytest

from minis2s.errors import DataError
from minis2s.lessons.exercise import load_exercises
from minis2s.lessons.grading import find_submissions, grade, grade_all, read_submission
from minis2s.lessons.grading.feedback import file_names, gradescope, page, write_feedback
from minis2s.lessons.grading.grade import run
from minis2s.lessons.grading.process import Limits
from minis2s.lessons.grading.submission import Candidate
from minis2s.lessons.notebook import STUDENT, build

RIGHT = """\
def scale(x, w):
    def backward(dy):
        return dy * w, (dy * x).sum(axis=0)
    return x * w, backward
"""
SQUARE = "def square(x):\n    return x * x, lambda dy: 2 * x * dy\n"
ENDLESS = "def scale(x, w):\n    while True:\n        pass\n"
PATCH = """\
import numpy as np
np.testing.assert_allclose = lambda *args, **kwargs: None
np.allclose = lambda *args, **kwargs: True
"""
CHEAT = "exercise = type('Exercise', (), {'check': print, 'score': lambda self, f: 2})()\n"
SEED = 3


@pytest.fixture
def notebook(sample, tmp_path):
    """The student's notebook: to be edited as students do, and graded."""
    return Notebook(json.loads(build(sample, kind=STUDENT)), tmp_path / "ada.ipynb")


class Notebook:
    def __init__(self, content, path):
        self.content, self.path = content, path
        self.cells = content["cells"]
        self.write("square", SQUARE)

    def place(self, grade_id):
        names = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in self.cells]
        return names.index(grade_id)

    def write(self, grade_id, source):
        self.cells[self.place(grade_id)]["source"] = source

    def insert(self, place, source):
        self.cells.insert(place, {"cell_type": "code", "metadata": {}, "source": source, "outputs": []})

    def grade(self):
        self.path.write_text(json.dumps(self.content), encoding="utf-8")
        graded = grade(read_submission("ada", self.path), seed=SEED)
        assert graded.lesson == "01_sample"
        scale, square = graded.results
        assert square.points == square.most == 1, square.text  # whatever happens to its neighbour
        assert scale.most == 2
        return scale


# The ten submissions that are hard to grade.


def test_right(notebook):
    notebook.write("scale", RIGHT)
    assert notebook.grade().points == 2


def test_wrong_formula_keeps_the_points_of_the_other_gradient(notebook):
    notebook.write("scale", RIGHT.replace("dy * w,", "-dy * w,"))
    result = notebook.grade()
    assert result.points == 1
    assert result.causes[0] == "wrong-sign"


def test_blank(notebook):
    result = notebook.grade()
    assert result.points == 0
    assert result.text == "scale: not written yet"


def test_edited_test_cell(notebook):
    notebook.write("scale", RIGHT.replace("(dy * x)", "(dy + x)"))
    notebook.write("scale-check", CHEAT + "exercise.check(scale)")
    assert notebook.grade().points == 1


def test_doubled_solution_cell(notebook):
    notebook.write("scale", RIGHT)
    place = notebook.place("scale")
    blank = 'def scale(x, w):\n    raise NotImplementedError("not written yet")\n'
    notebook.cells.insert(place + 1, {**notebook.cells[place], "source": blank})
    assert notebook.grade().points == 2


def test_deleted_test_cell(notebook):
    notebook.write("scale", RIGHT)
    del notebook.cells[notebook.place("scale-check")]
    assert notebook.grade().points == 2


def test_endless_loop(notebook):
    notebook.write("scale", ENDLESS)
    result = notebook.grade()
    assert result.points == 0
    assert "does every loop end?" in result.text


def test_patched_assert_allclose(notebook):
    notebook.write("scale", PATCH + RIGHT.replace("dy * w,", "dy + 0,"))
    notebook.insert(0, PATCH + CHEAT)
    assert notebook.grade().points == 1


def test_right_with_a_warning(notebook):
    noise = "    import sys, warnings\n    warnings.warn('!')\n    np.log(np.zeros(2))\n    sys.stderr.write('!')\n"
    notebook.write("scale", RIGHT.replace("scale(x, w):\n", "scale(x, w):\n" + noise))
    assert notebook.grade().points == 2


def test_right_with_prints(notebook):
    noise = "    print('x' * 100_000)\n    import os\n    os.write(1, b'1')\n"
    notebook.write("scale", "print('hello')\n" + RIGHT.replace("scale(x, w):\n", "scale(x, w):\n" + noise))
    assert notebook.grade().points == 2


# And some more.


def test_helpers_of_other_cells_are_found(notebook):
    notebook.insert(0, "%matplotlib inline\nfrom functools import reduce\nTWO = 2\ndef half(x):\n    return x / TWO\n")
    notebook.insert(1, "raise SystemExit")
    notebook.write("scale", RIGHT.replace("dy * w,", "half(dy * 2) * w,"))
    assert notebook.grade().points == 2


def test_what_other_cells_compute_is_left_alone(notebook):
    """The names of a solution's own variables are not taken from a cell that uses them for something else."""
    notebook.insert(0, "x = no_such_name @ 3\ndy = x\nw = 1 / 0\ndx, dw = 1, 2\n")
    notebook.write("scale", RIGHT)
    assert notebook.grade().points == 2


def test_metadata_may_be_lost(notebook):
    notebook.write("scale", RIGHT)
    notebook.content["metadata"] = {}
    for cell in notebook.cells:
        cell["metadata"] = {}
    assert notebook.grade().points == 2


def test_a_cell_that_is_not_python(notebook):
    notebook.write("scale", "def scale(x, w)\n    return x * w\n")
    result = notebook.grade()
    assert result.points == 0
    assert "SyntaxError" in result.text
    assert "line 1" in result.text


def test_a_deleted_solution(notebook):
    del notebook.cells[notebook.place("scale")]
    assert notebook.grade().causes == ["missing"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("import os; os._exit(0)", "ended the program"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("return np.ones(10**11)", "MemoryError"),
        ("open('file', 'wb', 0).write(b'x')", "File too large"),
        ("return x", "two things"),
        ("return x + w, lambda dy: (dy, dy)", "output is wrong"),
        ("return x * w, lambda dy: (np.zeros(10**8), 0)", "more output than"),
        ("from minis2s import functional", "write the lines yourself"),
        ("return x[99]", r"IndexError.*line 2 of the cell"),
    ],
)
def test_what_else_a_solution_may_do(sample, body, word):
    exercise = load_exercises(sample)["scale"]
    verdict = run(exercise, Candidate(f"def scale(x, w):\n    {body}\n", ""), SEED, Limits())
    assert verdict.share == 0
    assert not verdict.passed

    assert re.search(word, verdict.text), verdict.text


def test_a_breach_of_the_contract_costs_half(sample):
    exercise = load_exercises(sample)["square"]
    for backward, cause in (("dy.__imul__(2 * x)", "dy-changed"), ("x.__imul__(2) * dy", "input-changed")):
        source = f"def square(x):\n    return x * x, lambda dy: {backward}\n"
        verdict = run(exercise, Candidate(source, ""), SEED, Limits())
        assert verdict.share < 1
        assert cause in verdict.causes


def test_a_view_is_seen_through_the_pipe(sample):
    exercise = load_exercises(sample)["scale"]
    source = RIGHT.replace("return dy * w,", "dy *= w; return dy,")
    assert run(exercise, Candidate(source, ""), SEED, Limits()).share == 0.25


def test_an_exercise_takes_less_than_two_seconds(sample):
    exercise = load_exercises(sample)["scale"]
    start = time.process_time()
    run(exercise, Candidate(RIGHT, ""), SEED, Limits())
    assert time.process_time() - start < 2


def test_a_file_that_is_no_notebook(sample, tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text("{", encoding="utf-8")
    graded = grade(read_submission("eve", path), sample)
    assert graded.points == 0
    assert graded.most == 3
    assert "no notebook" in graded.problem
    assert grade(read_submission("eve", path)).results == []


def test_students_are_named_by_their_folders(tmp_path):
    for name in ("eve/sample/01.ipynb", "ada/sample/01.ipynb", "ada/sample/.ipynb_checkpoints/01.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}", encoding="utf-8")
    assert [student for student, _ in find_submissions([tmp_path])] == ["ada", "eve"]
    assert find_submissions([tmp_path / "eve/sample/01.ipynb"])[0][0] == "01"
    with pytest.raises(DataError, match="does not exist"):
        find_submissions([tmp_path / "bob"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no .ipynb"):
        find_submissions([tmp_path / "empty"])


def test_what_is_left_behind(notebook, tmp_path):
    notebook.write("scale", RIGHT.replace("dy * w,", "-dy * w,"))
    notebook.grade()
    graded = list(grade_all([("=ada & <co>", notebook.path), ("=ada & <co>", notebook.path)], seed=SEED))
    write_feedback(graded, tmp_path / "out")
    with (tmp_path / "out/grades.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first == second
    assert first["student"] == "'=ada & <co>"
    assert (first["points"], first["of"], first["scale"], first["square"]) == ("2.0", "3", "1.0", "1.0")
    assert first["causes"] == "scale: wrong-sign"
    assert file_names(graded) == ["ada_co", "ada_co-2"]
    text = (tmp_path / "out/feedback/ada_co-2.html").read_text(encoding="utf-8")
    assert text == page(graded[1])
    assert "<co>" not in text
    assert "wrong-sign" in text
    results = json.loads((tmp_path / "out/gradescope/ada_co/results.json").read_text(encoding="utf-8"))
    assert results == gradescope(graded[0])
    assert results["score"] == 2
    assert [test["max_score"] for test in results["tests"]] == [2, 1]
