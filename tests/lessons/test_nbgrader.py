"""nbgrader itself takes the notebooks as they are."""

import json
import os
import sys
from pathlib import Path

import pytest

import minis2s
from minis2s.lessons.notebook import SOLUTION, STUDENT, build, notebook_name

apps = pytest.importorskip("nbgrader.apps", reason="needs the extra nbgrader")
ROOT = Path(minis2s.__file__).parent.parent
pytestmark = pytest.mark.filterwarnings("default")

SCALE = """\
def scale(x, w):
    return x * w, lambda dy: ({dx}, (dy * x).sum(axis=0))
"""


@pytest.fixture
def course(sample, tmp_path, monkeypatch):
    from traitlets.config import Config

    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))  # alembic
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.CourseDirectory.root = str(tmp_path)
    config.CourseDirectory.db_url = f"sqlite:///{tmp_path}/gradebook.db"
    config.ExecutePreprocessor.timeout = 60
    return apps.NbGraderAPI(config=config), tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def submission(sample, **solutions):
    notebook = json.loads(build(sample, kind=STUDENT))
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in solutions:
            cell["source"] = solutions[name]
    return json.dumps(notebook)


def test_generate_assignment_and_autograde(sample, course):
    api, folder = course
    lesson, name = sample.name, notebook_name(sample, "")
    put(folder / "source" / lesson / name, build(sample, kind=SOLUTION))
    made = api.generate_assignment(lesson)
    assert made["success"], made["log"]
    release = (folder / "release" / lesson / name).read_text(encoding="utf-8")
    for secret in ("dw = (dy * x)", "SOLUTION", "HIDDEN", "exercise.score"):
        assert secret not in release

    square = "def square(x):\n    return x * x, lambda dy: 2 * x * dy\n"
    put(folder / "submitted/ada" / lesson / name, submission(sample, scale=SCALE.format(dx="dy * w"), square=square))
    put(folder / "submitted/bob" / lesson / name, submission(sample, scale=SCALE.format(dx="-dy * w"), square=square))
    put(folder / "submitted/eve" / lesson / name, submission(sample))
    put(folder / "submitted/dan" / lesson / name, release)
    for student, points in (("ada", 3), ("bob", 2), ("eve", 0), ("dan", 0)):
        done = api.autograde(lesson, student)
        assert done["success"], done["log"]
        with api.gradebook as gradebook:
            found = gradebook.find_submission(lesson, student)
            assert (found.score, found.max_score) == (points, 3), student
