import re
from pathlib import Path

import pytest

import minis2s
from minis2s.errors import DataError
from minis2s.lessons.site import build_site, gather, results

ROOT = Path(minis2s.__file__).parent.parent
OUTSIDE = re.compile(r"<(?:script|img|iframe|source|video)[^>]*src=.(?:https?:)?//|<link[^>]*href=.(?:https?:)?//")


def test_pages_are_laid_out(sample, tmp_path):
    gather(ROOT, tmp_path)
    pages = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        "index.md",
        "results.md",
        "lessons/01_sample.ipynb",
        "datasets/phrases.md",
        "reference/functional.md",
        "pages/teaching.md",
    } <= pages
    for folder in ("datasets", "reference"):
        entries = re.findall(r"^(\w+)$", (tmp_path / folder / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
        assert entries
        assert all(f"{folder}/{entry}.md" in pages for entry in entries)
    functional = (tmp_path / "reference/functional.md").read_text(encoding="utf-8")
    assert ".. automodule:: minis2s.functional.attention\n   :members:\n" in functional


def test_results_are_those_of_the_readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("# x\n\n## Results\n\n[a](b.py) [c](https://d.org)\n\n## More\n", encoding="utf-8")
    assert results(path) == "# Results\n\na [c](https://d.org)\n\n"
    path.write_text("# x\n", encoding="utf-8")
    with pytest.raises(DataError, match="no section"):
        results(path)


def test_the_site_asks_the_network_for_nothing(sample, tmp_path):
    for name in ("sphinx", "myst_nb", "furo", "sphinxcontrib.katex"):
        pytest.importorskip(name, reason="needs the extra docs")
    index = build_site(tmp_path / "site")
    assert index.is_file()
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 10
    for path in pages:
        assert not OUTSIDE.findall(path.read_text(encoding="utf-8")), path
    for path in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\(.?https?:|@import", path.read_text(encoding="utf-8")), path
    lesson = (tmp_path / "site/lessons/01_sample.html").read_text(encoding="utf-8")
    for words in ("Show the solution", "not written yet", "Figure 1. Three times x.", "relative error"):
        assert words in lesson
