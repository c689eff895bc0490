"""Every lesson runs from top to bottom as it stands, and as a notebook, offline, in two minutes."""

import json
import os
import subprocess
import sys

import pytest

from minis2s.lessons.files import languages, list_lessons
from minis2s.lessons.notebook import SOLUTION, STUDENT, build

SECONDS = 120
SOURCES = [(lesson, language) for lesson in list_lessons() for language in languages(lesson)]
each_source = pytest.mark.parametrize(
    ("lesson", "language"), SOURCES, ids=[f"{a.name}-{b or 'en'}" for a, b in SOURCES]
)
OFFLINE = """\
import socket
def refuse(*args, **kwargs):
    raise OSError("a lesson asked for the network")
socket.socket.connect = socket.getaddrinfo = refuse
"""
SCRIPT = f"""\
{OFFLINE}
import runpy, sys
for name in ("tqdm", "sacrebleu", "safetensors", "tokenizers"):  # the browser has but what docs/jupyterlite.py installs
    sys.modules[name] = None
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def seconds() -> float:
    """Of a processor, spent by this process and those that have ended: CI does other things too."""
    return sum(os.times()[:4])


@pytest.fixture
def one_thread(monkeypatch):
    """Where others want the processors, threads of the matrix library would spin, waiting for each other."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")


@each_source
@pytest.mark.usefixtures("one_thread")
def test_as_a_script(lesson, language, tmp_path):
    path = lesson / language / "lesson.py"
    start = seconds()
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=5 * SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    assert "[Figure 1." in done.stdout or language
    assert seconds() - start < SECONDS
    assert not list(tmp_path.iterdir()), "a lesson leaves no files behind"


@each_source
@pytest.mark.usefixtures("one_thread")
def test_as_a_notebook(lesson, language, tmp_path):
    """The solution: every exercise is right, every figure is there, and nothing is on standard error."""
    nbformat = pytest.importorskip("nbformat", reason="needs the extra lessons")
    start = seconds()
    notebook = nbformat.reads(build(lesson, language, SOLUTION), as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(OFFLINE))
    execute(notebook, tmp_path, 2 * SECONDS)
    assert seconds() - start < SECONDS
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert sum("<figcaption>" in page for page in pages) >= 3
    checks = [cell for cell in notebook.cells if cell.source.startswith("exercise.check(")]
    assert len(checks) == 3
    for cell in checks:
        assert "wrong" not in cell.outputs[0].data["text/plain"].lower()
    assert not list(tmp_path.iterdir()), "a lesson leaves no files behind"


def execute(notebook, folder, timeout):
    nbclient = pytest.importorskip("nbclient", reason="needs the extra lessons")
    pytest.importorskip("ipykernel", reason="needs the extra lessons")
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources=resources).execute()


@pytest.mark.parametrize("kind", [STUDENT, SOLUTION])
def test_the_sample_as_a_notebook(sample, kind, tmp_path):
    """A blank exercise stops nothing, and no cell writes to standard error."""
    nbformat = pytest.importorskip("nbformat", reason="needs the extra lessons")
    notebook = nbformat.reads(build(sample, kind=kind), as_version=4)
    execute(notebook, tmp_path, 60)
    text = json.dumps(notebook)
    assert "a line after the exercise [0 1 2]" in text
    assert '"stderr"' not in text
    assert ("scale: not written yet" in text) == (kind == STUDENT)
    assert "<figcaption>Figure 1. Three times x.</figcaption>" in text
