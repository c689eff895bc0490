"""The site: lessons, reference, data sets and results as pages that ask the network for nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from minis2s.data.files import datasets_dir
from minis2s.errors import DataError, UserError
from minis2s.lessons.files import languages, list_lessons
from minis2s.lessons.notebook import PAGE, build

REFERENCE = ("functional", "nn", "models", "optim", "decoding", "gradcheck", "data", "metrics", "lessons")
TRANSLATIONS = """\
```{toctree}
:caption: In other languages
:maxdepth: 1
:glob:

lessons/*/*
```
"""
LINK = re.compile(r"\]\((?!https?:|#)[^)]*\)")


def build_site(out: Path) -> Path:
    """Build the site in a folder; its first page.

    Raises
    ------
    UserError
        If this is not a checkout, if the extra `docs` is not installed, or if a page cannot be built.
    """
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / "docs" / "conf.py").is_file():
        raise DataError("the pages of the site are missing: run this in a checkout, where the folder docs/ is")
    if importlib.util.find_spec("sphinx") is None:
        raise UserError("the site needs Sphinx and more: pip install 'minis2s[docs]'")
    with tempfile.TemporaryDirectory(prefix="minis2s-site-") as folder:
        gather(root, Path(folder))
        code = _run_sphinx(root, folder, out)
    if code:
        raise UserError("the site has faults: Sphinx named them above, by page and line")
    return out / "index.html"


def _run_sphinx(root: Path, source: str, out: Path) -> int:
    """Run Sphinx as a process of its own, which keeps its own counsel about warnings; its exit code."""
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}  # for the lessons' kernels too
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    command += ["-d", os.path.join(source, ".doctrees"), source, str(out)]
    return subprocess.run(command, env=environment, check=False).returncode


def gather(root: Path, source: Path) -> None:
    """Lay all pages out in a folder, as Sphinx wants them."""
    shutil.copytree(root / "docs", source, dirs_exist_ok=True)
    pages = source / "pages"
    pages.mkdir()
    for page in source.glob("*.md"):
        if page.name != "index.md":
            page.rename(pages / page.name)
    _lessons(source / "lessons")
    _list_translations(source)
    _datasets(source / "datasets")
    _reference(source / "reference")
    (source / "results.md").write_text(results(root / "README.md"), encoding="utf-8")


def results(readme: Path) -> str:
    """The section of the README with the results, as a page."""
    text = readme.read_text(encoding="utf-8")
    match = re.search(r"^## Results\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise DataError(f"{readme} has no section '## Results'")
    return _without_links(match[0].replace("## Results", "# Results", 1))


def _lessons(folder: Path) -> None:
    """English lessons here, translations in a folder for each language; below the title, the way to the others."""
    for lesson in list_lessons():
        spoken = list(languages(lesson))
        for language in spoken:
            page = folder / language / f"{lesson.name}.ipynb"
            page.parent.mkdir(parents=True, exist_ok=True)
            notebook = json.loads(build(lesson, language, PAGE))
            if len(spoken) > 1:
                notebook["cells"][0]["source"][1:1] = ["\n", _language_switch(lesson.name, language, spoken), "\n"]
            page.write_text(json.dumps(notebook, ensure_ascii=False), encoding="utf-8")


def _list_translations(source: Path) -> None:
    """Give the first page a list of them, if there are any: Sphinx takes an empty list for a mistake."""
    index = source / "index.md"
    found = any((source / "lessons").glob("*/*.ipynb"))
    text = index.read_text(encoding="utf-8").replace("% translations\n", TRANSLATIONS if found else "")
    index.write_text(text, encoding="utf-8")


def _language_switch(name: str, language: str, spoken: list[str]) -> str:
    """Links to a lesson in all its languages, each by its own name."""
    from babel import Locale

    entries = []
    for other in spoken:
        code = other or "en"
        attributes = f'lang="{code}"'
        if other == language:
            attributes += ' aria-current="page"'
        else:
            up = "../" if language else ""
            folder = f"{other}/" if other else ""
            attributes += f' hreflang="{code}" href="{up}{folder}{name}.html"'
        entries.append(f"<a {attributes}>{Locale.parse(code).display_name}</a>")
    return f'<nav class="languages" aria-label="Language">{" ".join(entries)}</nav>\n'


def _datasets(folder: Path) -> None:
    """The cards, and a page that lists them."""
    folder.mkdir()
    names = []
    for card in sorted(datasets_dir().glob("*/card.md")):
        names.append(card.parent.name)
        (folder / f"{names[-1]}.md").write_text(_without_links(card.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "index.md").write_text(_contents("Data sets", names), encoding="utf-8")


def _reference(folder: Path) -> None:
    """A page for each part of the library, with a section for each of its files."""
    folder.mkdir()
    for part in REFERENCE:
        module = f"minis2s.{part}"
        lines = [f"# {part}", "", "```{eval-rst}", f".. automodule:: {module}", "```", ""]
        for name in _files(Path(__file__).parent.parent / part):
            lines += [f"## {name}", "", "```{eval-rst}", f".. automodule:: {module}.{name}", "   :members:", "```", ""]
        if len(lines) == 6:
            lines[4:4] = ["   :members:"]
        (folder / f"{part}.md").write_text("\n".join(lines), encoding="utf-8")
    (folder / "index.md").write_text(_contents("Reference", list(REFERENCE)), encoding="utf-8")


def _files(package: Path) -> list[str]:
    """The modules of a package; none if it is a module itself."""
    return [
        found.name for found in pkgutil.iter_modules([str(package)]) if not found.ispkg and found.name != "commands"
    ]


def _contents(title: str, names: list[str]) -> str:
    return "\n".join([f"# {title}", "", "```{toctree}", ":maxdepth: 1", "", *names, "```", ""])


def _without_links(text: str) -> str:
    """Links to files of the checkout lead nowhere on the site: their words stay."""
    return re.sub(r"\[([^]]*)" + LINK.pattern, r"\1", text)
