"""A tag such as (linear 1') promises an equation (1') in the docstring of `linear`."""

import inspect
import re
from pathlib import Path

import pytest

from minis2s import functional as F
from minis2s.lessons.source import read_source

LESSONS = Path(__file__).resolve().parents[2] / "lessons"
TAGS = sorted(
    {
        (source.relative_to(LESSONS).parent.as_posix(), *tag)
        for source in LESSONS.glob("*/**/lesson.py")
        for tag in re.findall(r"\\tag\{(\w+) (\d'?)\}", source.read_text(encoding="utf-8"))
    }
)


def test_lessons_have_tagged_equations():
    assert len(TAGS) > 20


@pytest.mark.parametrize(("lesson", "function", "number"), TAGS)
def test_equation_is_in_the_docstring(lesson, function, number):
    assert f"({number})" in inspect.getdoc(getattr(F, function))


def test_no_tag_is_of_another_form():
    for source in LESSONS.glob("*/**/lesson.py"):
        text = source.read_text(encoding="utf-8")
        assert text.count(r"\tag{") == len(re.findall(r"\\tag\{(\w+) (\d'?)\}", text))


def test_every_figure_is_spoken_of():
    for source in LESSONS.glob("*/**/lesson.py"):
        cells = read_source(source)
        code = "\n".join(cell.source for cell in cells if not cell.markdown)
        shown = re.findall(r'"((?:Figure|图) \d)[.：]', code)
        text = "\n".join(cell.source for cell in cells if cell.markdown)
        assert len(shown) >= 3
        for name in shown:
            assert name in " ".join(text.split()), source
