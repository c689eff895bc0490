"""The pages of the site in a real browser: laid out on a phone, used by the keyboard, cut off from the network.

MINIS2S_SITE=FOLDER looks at a site that is built already; else one is built of the sample.
"""

import os
import shutil
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium

from minis2s.lessons.files import FOLDER
from minis2s.lessons.site import build_site

SAMPLE = Path(__file__).parent / "sample"
SIZES = (390, 1280)
WIDTH = "document.documentElement.scrollWidth"
UNSET = "[...document.querySelectorAll('.math')].filter(e => !e.querySelector('math')).map(e => e.textContent)"
BROKEN = """[...document.querySelectorAll('img')]
    .filter(i => !i.naturalWidth || !i.alt || i.getBoundingClientRect().right > innerWidth).map(i => i.alt)"""
COVERED = """[...document.querySelectorAll('.katex-html > .tag')].filter(tag => {
    const {left, right, top, bottom} = tag.getBoundingClientRect();
    return [...tag.parentElement.querySelectorAll(':scope > .base')].some(base => {
        const b = base.getBoundingClientRect();
        return b.left < right - 1 && b.right > left + 1 && b.top < bottom - 1 && b.bottom > top + 1;
    });
}).map(tag => tag.textContent)"""
FOCUS = "document.activeElement.tagName + '.' + document.activeElement.className"


pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if os.environ.get("MINIS2S_SITE"):
        return Path(os.environ["MINIS2S_SITE"]).resolve()
    for name in ("sphinx", "myst_nb", "furo", "sphinxcontrib.katex"):
        pytest.importorskip(name, reason="needs the extra docs")
    lessons = tmp_path_factory.mktemp("lessons")
    shutil.copytree(SAMPLE, lessons, dirs_exist_ok=True)
    text = (SAMPLE / "01_sample/lesson.py").read_text(encoding="utf-8")
    (lessons / "01_sample/zh").mkdir()
    (lessons / "01_sample/zh/lesson.py").write_text(text.replace("# 1. A sample", "# 1. 例子"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(lessons))
        return build_site(tmp_path_factory.mktemp("site")).parent


@pytest.fixture(scope="module")
def browser(site, tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.mark.parametrize("width", SIZES)
def test_pages_fit_and_ask_the_network_for_nothing(site, browser, width):
    pages = [site / "index.html", site / "pages/teaching.html", *sorted(site.glob("lessons/**/*.html"))]
    assert len(pages) >= 4
    for page in pages:
        browser.open(page.as_uri(), width)
        assert browser.run(WIDTH) <= width, page
        assert browser.run(UNSET) == [], page
        assert browser.run("document.querySelectorAll('.katex-error').length") == 0, page
        assert browser.run(BROKEN) == [], page
        assert browser.run(COVERED) == [], page
        asked = {request["request"]["url"].split(":")[0] for request in browser.reported("Network.requestWillBeSent")}
        assert asked <= {"file", "data"}, page
        assert not browser.reported("Runtime.exceptionThrown"), page
        assert not [e for e in browser.reported("Log.entryAdded") if e["entry"]["level"] == "error"], page


def test_the_keyboard_is_enough(site, browser):
    page = next(iter(sorted(site.glob("lessons/01_*.html"))))
    browser.open(page.as_uri())
    browser.press("Tab")
    assert "skip-to-content" in browser.run(FOCUS)
    browser.press("Enter")
    assert browser.run("location.hash") == "#furo-main-content"
    seen = []
    while "SUMMARY" not in (seen[-1:] or [""])[0]:
        browser.press("Tab")
        seen.append(browser.run(FOCUS))
        assert len(seen) < 100, seen
        assert not browser.run("document.activeElement.closest('.sidebar-drawer') !== null"), "the menu was skipped"
    for key in ("Enter", " "):
        assert not browser.run("document.activeElement.parentElement.open")
        browser.press(key)
        assert browser.run("document.activeElement.parentElement.open")
        browser.press(key)


def test_the_language_switch(site, browser):
    page = next(iter(sorted(site.glob("lessons/zh/*.html"))))
    browser.open(page.as_uri())
    assert browser.run("document.documentElement.lang") == "zh"
    links = browser.run("[...document.querySelectorAll('.languages a')].map(a => [a.textContent, a.lang, a.href])")
    assert links == [["English", "en", (site / "lessons" / page.name).as_uri()], ["中文", "zh", ""]]
    browser.open(links[0][2])
    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("document.querySelector('.languages a[hreflang=zh]').href") == page.as_uri()
