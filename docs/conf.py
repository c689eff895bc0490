"""Sphinx's settings. `minis2s lessons site OUT` gathers the pages and builds them; this file lies beside them then."""

import re
import shutil
from pathlib import Path

import minis2s

project = "minis2s"
author = "the minis2s authors"
version = release = minis2s.__version__
copyright = f"{author}, MIT licence"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.katex"]
exclude_patterns = ["node_modules", "_static"]
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]

html_theme = "furo"
html_title = "minis2s"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
templates_path = []
default_role = "code"
language = "en"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_number_source_lines = False

add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False

# KaTeX's program comes with sphinxcontrib-katex. Its fonts do not: `npm install --prefix docs` has them; without them
# the browser's own MathML does the typesetting. Neither asks the network for anything.
KATEX = Path(__file__).parent / "node_modules" / "katex" / "dist"
katex_css_path = "site.css"
katex_options = '{output: "mathml", throwOnError: false}'
if KATEX.is_dir():
    shutil.copytree(KATEX / "fonts", Path(__file__).parent / "_static" / "fonts", dirs_exist_ok=True)
    shutil.copy(KATEX / "katex.min.css", Path(__file__).parent / "_static")
    katex_css_path = "katex.min.css"
    katex_options = "{throwOnError: false}"


EQUATION = re.compile(r"[a-z]\S{0,12} = ")
"""Where a docstring is one sentence and one equation, Python takes away the indent that would tell it."""


def plain_text(app, what, name, obj, options, lines):
    """Docstrings are written for the terminal: their indented lines are equations, and stand as they are."""
    result = []
    literal = False
    for number, line in enumerate(lines):
        if line.strip() and set(line.strip()) == {"-"}:  # a section begins: napoleon takes over
            result += lines[number:]
            break
        if not line.strip():
            result.append("")
        elif line.startswith("    ") or (EQUATION.match(line) and result and not result[-1]):
            marked = next((words for words in reversed(result) if words), "").endswith("::")
            result += [] if literal or marked else ["", "::", ""]
            literal = True
            result.append("    " + line.strip() if not line.startswith("    ") else line)
        else:
            result += [""] if literal and result[-1] else []
            literal = False
            code = re.split("(`+[^`]*`+)", line)
            result.append("".join(part if k % 2 else re.sub(r"([*|])", r"\\\1", part) for k, part in enumerate(code)))
    lines[:] = result


def speak(app, pagename, templatename, context, doctree):
    """Tell screen readers and browsers the language of a translated lesson."""
    if match := re.match(r"lessons/(\w+)/", pagename):
        context["language"] = match[1]


def setup(app):
    """Docstrings come before napoleon, which would read indented lines as text."""
    app.connect("autodoc-process-docstring", plain_text, priority=100)
    app.connect("html-page-context", speak)
