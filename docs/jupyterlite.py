"""Build a folder in which the lessons run in the reader's browser.

    python docs/jupyterlite.py OUT

Needs minis2s, jupyterlite-core, jupyterlite-pyodide-kernel, jupyter-server and build. Pyodide itself, and the packages
below, are fetched by the reader's browser.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from minis2s.lessons.files import languages, list_lessons
from minis2s.lessons.notebook import STUDENT, build, notebook_name

ROOT = Path(__file__).resolve().parent.parent
INSTALL = """\
import sys

if sys.platform == "emscripten":  # in the browser; what the lessons need, and no more
    import piplite

    await piplite.install(["numpy", "matplotlib", "babel"])
    await piplite.install("minis2s", deps=False)
"""


def notebook(lesson: Path, language: str) -> dict[str, Any]:
    """The student's notebook, with a first cell that installs the library."""
    content = json.loads(build(lesson, language, STUDENT))
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "cell-install",
        "metadata": {},
        "outputs": [],
        "source": INSTALL.splitlines(keepends=True),
    }
    content["cells"].insert(0, cell)
    content["metadata"]["kernelspec"] = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
    return content


def main() -> None:
    """Make the wheel and the notebooks, and let JupyterLite put them into the folder."""
    out = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", name, str(ROOT)], check=True)
        (wheel,) = folder.glob("*.whl")
        contents = folder / "contents"
        contents.mkdir()
        for lesson in list_lessons():
            for language in languages(lesson):
                path = contents / notebook_name(lesson, language)
                path.write_text(json.dumps(notebook(lesson, language), ensure_ascii=False, indent=1), encoding="utf-8")
        command = [sys.executable, "-m", "jupyter", "lite", "build", "--contents", str(contents)]
        command += ["--piplite-wheels", str(wheel), "--output-dir", str(out)]
        subprocess.run(command, check=True, cwd=folder)


if __name__ == "__main__":
    main()
