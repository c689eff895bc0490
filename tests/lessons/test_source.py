import pytest

from minis2s.errors import DataError
from minis2s.lessons.source import blank, read_source, solved, title

EXERCISE = """\
# %% exercise="f"
def f(x):
    ### BEGIN SOLUTION
    return x
    ### END SOLUTION

# %% check="f"
exercise.check(f)
"""


def write(tmp_path, text):
    path = tmp_path / "lesson.py"
    path.write_text("# %% [markdown]\n# # 1. Title\n#\n# Text\n\n" + text, encoding="utf-8")
    return path


def test_cells_of_text_and_of_code(tmp_path):
    text, code, check = read_source(write(tmp_path, EXERCISE))
    assert text.markdown
    assert text.source == "# 1. Title\n\nText"
    assert title([text]) == "1. Title"
    assert code.options == {"exercise": "f"}
    assert code.line == 6
    assert check.source == "exercise.check(f)"


def test_options(tmp_path):
    *_, cell = read_source(write(tmp_path, '# %% tags=["hide-input", "remove-cell"]\n1\n'))
    assert cell.options == {"tags": ["hide-input", "remove-cell"]}


def test_jupytext_sees_the_same_cells(sample):
    jupytext = pytest.importorskip("jupytext")
    path = sample / "lesson.py"
    theirs = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells
    ours = read_source(path)
    assert [cell.source for cell in ours] == [cell.source for cell in theirs]
    assert [cell.options.get("exercise") for cell in ours] == [cell.metadata.get("exercise") for cell in theirs]


def test_blank_and_solved():
    source = "def f(x):\n    y = x\n    ### BEGIN SOLUTION\n    z = y\n    ### END SOLUTION\n    return z"
    assert blank(source).splitlines() == [
        "def f(x):",
        "    y = x",
        "    # YOUR CODE HERE",
        '    raise NotImplementedError("not written yet")',
        "    return z",
    ]
    assert "SOLUTION" not in solved(source)
    assert "z = y" in solved(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('# %% exercise="f"\ndef f(x): pass\n', "needs `def f"),
        (EXERCISE.replace('# %% check="f"', "# %%"), "has no cell"),
        (EXERCISE + EXERCISE, "comes twice"),
        (EXERCISE.replace('check="f"', 'check="g"'), "does not follow"),
        ('# %% colour="red"\n1\n', "unknown option 'colour'"),
        ("# %% [markdown\n# text\n", "expected `# %%`"),
        ("# %% [markdown]\n# text\n1 + 1\n", ":8: text in a"),
    ],
)
def test_mistakes_of_an_author_are_named_with_their_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_source(write(tmp_path, text))


def test_a_lesson_begins_with_a_cell(tmp_path):
    path = tmp_path / "lesson.py"
    path.write_text("import numpy\n", encoding="utf-8")
    with pytest.raises(DataError, match=":1: a lesson begins"):
        read_source(path)
