"""The lessons on file: every solution passes, every blank and every wrong answer fails, for the right reason."""

import ast
import subprocess
import sys

import numpy as np
import pytest

from minis2s.errors import ConfigError, DataError
from minis2s.lessons.answers import load_answers
from minis2s.lessons.exercise import NOT_WRITTEN, load_exercises
from minis2s.lessons.files import find_lesson, languages, list_lessons
from minis2s.lessons.grading.grade import run
from minis2s.lessons.grading.process import Limits
from minis2s.lessons.grading.submission import Candidate
from minis2s.lessons.proof import answer_source, prove
from minis2s.lessons.source import read_source

LESSONS = list_lessons()
WRONG, RIGHT = 6, 3
NAMED = 0.8
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


@each_lesson
def test_every_answer_is_judged_as_it_should_be(lesson):
    proofs = prove(lesson)
    misjudged = [f"{p.exercise}, {p.answer}: {p.verdict.text}" for p in proofs if not p.judged]
    assert not misjudged
    for proof in proofs:
        if proof.kind == "blank":
            assert proof.verdict.causes == [NOT_WRITTEN]
            assert proof.verdict.text == f"{proof.exercise}: {NOT_WRITTEN}"
    wrong = [proof for proof in proofs if proof.kind == "wrong"]
    assert sum(proof.among for proof in wrong) >= NAMED * len(wrong), [p.answer for p in wrong if not p.among]


@each_lesson
def test_every_exercise_has_answers_on_file(lesson):
    for exercise in load_exercises(lesson):
        kinds = [answer.cause is not None for answer in load_answers(lesson, exercise.name)]
        assert kinds.count(True) >= WRONG, exercise.name
        assert kinds.count(False) >= RIGHT, exercise.name


@each_lesson
def test_exercises_are_those_of_the_text(lesson):
    marked = [cell.options["exercise"] for cell in read_source(lesson / "lesson.py") if "exercise" in cell.options]
    assert marked == [exercise.name for exercise in load_exercises(lesson)]


@each_lesson
def test_an_answer_fares_in_the_grader_as_in_the_notebook(lesson):
    """One of each kind, in a process of its own."""
    for exercise in load_exercises(lesson):
        answers = load_answers(lesson, exercise.name)
        path = lesson / "answers" / f"{exercise.name}.py"
        for answer in (next(a for a in answers if a.cause), next(a for a in answers if not a.cause)):
            source = answer_source(path, answer.name, exercise.name)
            verdict = run(exercise, Candidate(source, ""), 0, Limits())
            assert verdict.passed == (answer.cause is None), verdict.text


@each_lesson
def test_a_translation_has_the_same_code(lesson):
    original, *translations = languages(lesson).values()
    expected = [skeleton(cell) for cell in read_source(original)]
    for path in translations:
        assert [skeleton(cell) for cell in read_source(path)] == expected


def skeleton(cell):
    """What a translation may not change: of text its being text, of code all but strings and comments."""
    if cell.markdown:
        return "text"
    tree = ast.parse(cell.source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        if isinstance(node, ast.keyword) and node.arg in ("ha", "va", "x", "y", "fontsize"):
            node.value = ast.Constant("")  # a label of other length may lie elsewhere
    return cell.options, ast.dump(tree)


def test_lessons_are_found_by_number_and_name(sample):
    assert find_lesson("1") == find_lesson("01") == find_lesson("01_sample") == sample
    with pytest.raises(ConfigError, match="there is no lesson '2': choose one of 01_sample"):
        find_lesson("2")
    with pytest.raises(ConfigError, match="no exercise 'cube': it has scale, square"):
        load_exercises("1")["cube"]
    with pytest.raises(DataError, match="is missing"):
        load_answers(sample, "cube")


def test_check_prints_and_score_counts(sample, capsys):
    exercise = load_exercises("1")

    def square(x):
        return x * x, lambda dy: 2 * x * dy

    exercise.check(square)
    assert "right" in capsys.readouterr().out
    assert exercise.score(square) == 1

    def scale(x, w):
        np.log(np.zeros(1))
        sys.stderr.write("!")
        return x * w, lambda dy: (dy * w, dy.sum(axis=0))

    exercise.check(scale)
    out, err = capsys.readouterr()
    assert "dw" in out
    assert err == ""
    assert exercise.score(scale) == 1

    def scale(x, w):
        raise NotImplementedError("not written yet")

    exercise.check(scale)
    assert capsys.readouterr().out == "scale: not written yet\n"
    with pytest.raises(AssertionError, match="not written yet"):
        exercise.score(scale)


def test_the_museum_keeps_the_wrong_answers(sample):
    museum = load_exercises("01_sample").museum("square")
    assert museum
    assert "power" not in museum  # a right one
    with pytest.raises(ConfigError, match="has no exercise 'cube'"):
        load_exercises("01_sample").museum("cube")


def test_the_package_imports_where_nothing_is_compiled_and_nothing_can_be_started(sample):
    """As under Pyodide: no subprocess, no processes, and what is slow or compiled only where it is used."""
    code = """
import sys

class Missing:
    names = {"subprocess", "multiprocessing", "_posixsubprocess", "_multiprocessing", "resource", "fcntl", "cupy",
             "tqdm", "sacrebleu", "safetensors", "babel", "tokenizers", "matplotlib", "threadpoolctl",
             "torch"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ImportError(name)

import numpy.random  # Pyodide has it
for name in Missing.names:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())

sys.platform = "emscripten"

import _thread
def no_thread(*args, **kwargs):
    raise RuntimeError("can't start new thread")
_thread.start_new_thread = no_thread

import minis2s.lessons, minis2s.gradcheck, minis2s.functional, minis2s.nn, minis2s.optim, minis2s.models
import minis2s.decoding, minis2s.data.phrases, minis2s.data.dates, minis2s.cli, minis2s.metrics, minis2s.training

from minis2s import functional as F
from minis2s.lessons import load_exercises

def square(x):
    return x * x, lambda dy: 2 * x * dy

load_exercises("01_sample").check(square)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "right" in done.stdout
