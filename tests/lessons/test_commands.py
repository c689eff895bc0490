import json
from pathlib import Path

import pytest

from minis2s.cli import main


def test_list(sample, capsys):
    assert main(["lessons", "list"]) == 0
    assert capsys.readouterr().out == "01_sample        1. A sample\n                 exercises: scale, square\n"


def test_build_and_grade(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["lessons", "build", "1"]) == 0
    student, solution = capsys.readouterr().out.split()
    assert Path(student).is_file()
    assert main(["lessons", "grade", student, solution, "--jobs", "1", "--seed", "5"]) == 0
    blank, right = capsys.readouterr().out.splitlines()
    assert blank.split() == ["01_sample", "0", "of", "3", "scale", "0,", "square", "0"]
    assert right.split() == ["01_sample", "3", "of", "3", "scale", "2,", "square", "1"]
    assert Path("graded/grades.csv").is_file()


def test_check(sample, capsys):
    assert main(["lessons", "check", "01"]) == 0
    scale, square = capsys.readouterr().out.splitlines()
    assert "scale" in scale
    assert "11 of 11 judged right" in scale
    assert "4 of 4 judged right" in square


def test_check_names_what_it_misjudges(sample, tmp_path, monkeypatch, capsys):
    import shutil

    shutil.copytree(sample.parent, tmp_path / "lessons")
    path = tmp_path / "lessons/01_sample/answers/square.py"
    path.write_text(path.read_text(encoding="utf-8").replace("@right", '@wrong("transposed")'), encoding="utf-8")
    monkeypatch.setenv("MINIS2S_LESSONS", str(tmp_path / "lessons"))
    assert main(["lessons", "check"]) == 1
    assert "square, power: transposed, but the check says right" in capsys.readouterr().out


def test_open_writes_the_notebook_and_never_over_one(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert main(["lessons", "open", "1"]) == 0
    path = Path("01_sample.ipynb")
    assert json.loads(path.read_text(encoding="utf-8"))["nbformat"] == 4
    path.write_text("mine", encoding="utf-8")
    assert main(["lessons", "open", "1"]) == 0
    assert path.read_text(encoding="utf-8") == "mine"
    assert "stays as it is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["open", "7"], "there is no lesson '7'"),
        (["open", "1", "--language", "xx"], "not translated into 'xx'"),
        (["grade", "nothing.ipynb"], "does not exist"),
    ],
)
def test_errors_are_one_line(sample, capsys, arguments, message):
    assert main(["lessons", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_help_says_that_it_is_no_sandbox(capsys):
    with pytest.raises(SystemExit):
        main(["lessons", "grade", "--help"])
    assert "no sandbox" in " ".join(capsys.readouterr().out.split())
