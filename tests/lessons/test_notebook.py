import json
import shutil

import pytest

from minis2s.lessons.notebook import PAGE, SOLUTION, STUDENT, build, write_notebooks


def cells(sample, kind):
    return {cell["id"]: cell for cell in json.loads(build(sample, kind=kind))["cells"]}


def source(cell):
    return "".join(cell["source"])


def graded(cells):
    found = [(cell["metadata"]["nbgrader"], cell) for cell in cells.values() if "nbgrader" in cell["metadata"]]
    return {options["grade_id"]: (options, cell) for options, cell in found}


def test_a_second_build_changes_no_byte(sample, tmp_path):
    first = {path: path.read_bytes() for path in write_notebooks(sample, tmp_path)}
    assert len(first) == 2
    second = {path: path.read_bytes() for path in write_notebooks(sample, tmp_path)}
    assert first == second
    assert b"\r" not in b"".join(first.values())


def test_the_student_gets_blanks(sample):
    options, cell = graded(cells(sample, STUDENT))["scale"]
    assert options == {
        "grade": False,
        "grade_id": "scale",
        "locked": False,
        "schema_version": 3,
        "solution": True,
        "task": False,
    }
    assert 'raise NotImplementedError("not written yet")' in source(cell)
    assert "dw = (dy * x)" not in source(cell)
    assert "SOLUTION" not in build(sample, kind=STUDENT)
    assert "HIDDEN" not in build(sample, kind=STUDENT)


def test_the_solution_keeps_what_nbgrader_takes_out(sample):
    found = graded(cells(sample, SOLUTION))
    assert "### BEGIN SOLUTION" in source(found["scale"][1])
    options, check = found["scale-check"]
    assert (options["grade"], options["locked"], options["points"]) == (True, True, 2)
    assert "### BEGIN HIDDEN TESTS\nexercise.score(scale)\n" in source(check)


def test_the_page_shows_the_blank_and_folds_the_solution(sample):
    found = cells(sample, PAGE)
    blank = found["cell-004-blank"]
    assert blank["cell_type"] == "markdown"
    assert "not written yet" in source(blank)
    solution = found["cell-004"]
    assert solution["metadata"]["tags"] == ["hide-input"]
    assert solution["metadata"]["mystnb"]["code_prompt_show"] == "Show the solution"
    assert found["cell-003"]["metadata"]["mystnb"]["code_prompt_show"] == "Show the code"
    assert "SOLUTION" not in source(solution)
    assert not graded(found)
    assert r"\tag{scale\_it 1}" in source(found["cell-001"])  # or KaTeX refuses it


def test_what_the_page_folds_is_folded_in_jupyter_too(sample):
    for kind in (STUDENT, SOLUTION):
        found = cells(sample, kind)
        assert found["cell-003"]["metadata"] == {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]}
        assert all("jupyter" not in cell["metadata"] for _, cell in graded(found).values())


def test_chinese_lines_are_joined_without_a_space(sample, tmp_path):
    lesson = tmp_path / sample.name
    shutil.copytree(sample, lesson)
    (lesson / "zh").mkdir()
    text = (lesson / "lesson.py").read_text(encoding="utf-8")
    text = text.replace(
        "# Folded.", "# 第一行，\n# 第二行是\n# `y`。\n#\n# ```python\n# y = x  # 甲\n# z = y  # 乙\n# ```\n#\n# - 列表"
    )
    (lesson / "zh/lesson.py").write_text(text, encoding="utf-8")
    notebook = json.loads(build(lesson, "zh"))
    assert "\n第一行，第二行是`y`。\n\n```python\ny = x  # 甲\nz = y  # 乙\n```\n\n- 列表\n" in "".join(
        source(cell) for cell in notebook["cells"]
    )


def test_ids_are_unique_and_valid(sample):
    for kind in (STUDENT, SOLUTION, PAGE):
        notebook = json.loads(build(sample, kind=kind))
        ids = [cell["id"] for cell in notebook["cells"]]
        assert len(ids) == len(set(ids))
        assert notebook["metadata"]["minis2s"] == {"lesson": "01_sample"}


def test_nbformat_accepts_them(sample):
    nbformat = pytest.importorskip("nbformat")
    for kind in (STUDENT, SOLUTION, PAGE):
        text = build(sample, kind=kind)
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
        assert nbformat.writes(notebook) + "\n" == text
