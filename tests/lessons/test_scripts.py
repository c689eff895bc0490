"""Every lesson runs from top to bottom as it stands, and as a notebook, offline, in two minutes."""

import json
import os
import subprocess
import sys
import time

import pytest

from minis2s.lessons.files import languages, list_lessons
from minis2s.lessons.notebook import SOLUTION, STUDENT, build

SECONDS = 120
SOURCES = [(lesson, language) for lesson in list_lessons() for language in languages(lesson)]
each_source = pytest.mark.parametrize(
    ("lesson", "language"), SOURCES, ids=[f"{a.name}-{b or 'en'}" for a, b in SOURCES]
)
OFFLINE = """\
import runpy, socket, sys
def refuse(*args, **kwargs):
    raise OSError("a lesson asked for the network")
socket.socket.connect = socket.getaddrinfo = refuse
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@each_source
def test_as_a_script(lesson, language, tmp_path):
    path = lesson / language / "lesson.py"
    start = time.process_time() + sum(os.times()[2:4])
    command = [sys.executable, "-W", "error", "-c", OFFLINE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=5 * SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    assert "[Figure 1." in done.stdout or language
    assert sum(os.times()[2:4]) + time.process_time() - start < SECONDS  # of a processor: CI does other things too
    assert not list(tmp_path.iterdir()), "a lesson leaves no files behind"


@pytest.mark.parametrize("kind", [STUDENT, SOLUTION])
def test_the_sample_as_a_notebook(sample, kind):
    """A blank exercise stops nothing, and no cell writes to standard error."""
    nbclient = pytest.importorskip("nbclient", reason="needs the extra lessons")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.reads(build(sample, kind=kind), as_version=4)
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    text = json.dumps(notebook)
    assert "a line after the exercise [0 1 2]" in text
    assert '"stderr"' not in text
    assert ("scale: not written yet" in text) == (kind == STUDENT)
    assert "<figcaption>Figure 1. Three times x.</figcaption>" in text
