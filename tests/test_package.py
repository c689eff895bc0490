"""The shape of the house: which floor may import which, and what no file may contain."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import minis2s
from minis2s import functional as F

ROOT = Path(minis2s.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if "_datasets" not in path.parts)

FLOORS = [  # from the ground up; a file imports only its own floor and those below
    {"errors"},
    {"backend"},
    {"functional"},
    {"nn", "gradcheck"},
    {"optim", "data"},
    {"models"},
    {"decoding", "metrics"},
    {"training", "plots", "gallery"},
    {"tasks", "lessons"},
    {"cli", "__main__"},
]
LAZY = {"tqdm", "sacrebleu", "safetensors", "babel", "matplotlib", "tokenizers", "cupy", "torch"}
LAZY |= {"skimage", "sklearn", "scipy", "PIL", "mlxtend"}
"""Imported inside the functions that use them, so that the package imports fast, and where they are missing."""


def room(path):
    """The top-level name under minis2s that a file belongs to; `__init__` of the package belongs to none."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def floor_of(name):
    return next((k for k, rooms in enumerate(FLOORS) if name in rooms), None)


def imports(path, *, module_level=False):
    """Full names that a file imports: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if module_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def every_file(test):
    return pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))(test)


@every_file
def test_a_floor_imports_only_floors_below_it(path):
    here = room(path)
    if here == "__init__":
        assert not [name for name in imports(path) if name.startswith("minis2s")]
        return
    assert floor_of(here) is not None, f"{here} has no floor yet: give it one in this test"
    for name in imports(path):
        package, *rest = name.split(".")
        if package != "minis2s":
            continue
        assert rest, f"{path.name} imports the whole package"
        if floor_of(rest[0]) is not None and rest[0] != here:
            assert floor_of(rest[0]) <= floor_of(here), f"{path.name} imports {name}, which is above {here}"


@every_file
def test_functional_imports_nothing_but_the_backend(path):
    if room(path) == "functional":
        used = {name.split(".")[1] for name in imports(path) if name.startswith("minis2s.")}
        assert used <= {"backend", "functional"}


@every_file
def test_only_the_backend_knows_cupy(path):
    knows = any(name.split(".")[0] in ("cupy", "cupyx") for name in imports(path))
    assert knows == (path == ROOT / "backend.py")


@every_file
def test_slow_and_optional_libraries_are_imported_where_they_are_used(path):
    assert not {name.split(".")[0] for name in imports(path, module_level=True)} & LAZY


@every_file
def test_no_forbidden_habits(path):
    """No print, no global random state, no pickle, no pyplot."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not {name.split(".")[0] for name in imports(path)} & {"pickle", "shelve", "random", "dill", "joblib"}
    assert not [name for name in imports(path) if name.startswith("matplotlib.pyplot")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print" or room(path) == "cli", f"{path.name}:{node.lineno} prints"
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random", "xp.random"):
            allowed = ("Generator", "default_rng", "SeedSequence", "PCG64", "BitGenerator")
            assert node.attr in allowed, f"{path.name}:{node.lineno} uses the global random state"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False"


@every_file
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", F.__all__)
def test_every_function_has_its_equation_and_its_shapes(name):
    doc = inspect.getdoc(getattr(F, name))
    first, *rest = doc.split("\n")
    assert first
    assert " = " in doc, "no equation"
    assert rest


@pytest.mark.parametrize("name", F.__all__)
def test_inputs_are_positional_and_options_are_keywords(name):
    """So that backward can answer with one gradient for each input, in order."""
    kinds = {p.kind for p in inspect.signature(getattr(F, name)).parameters.values()}
    assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    for parameter in inspect.signature(getattr(F, name)).parameters.values():
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            assert parameter.default in (inspect.Parameter.empty, None)


def test_the_list_of_functions_is_whole():
    defined = {
        node.name
        for path in (ROOT / "functional").glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if "Backward]" in ast.unparse(node.returns)
    }
    assert defined <= set(F.__all__)


def test_every_function_has_a_gradient_check():
    from minis2s.gradcheck.cases import cases

    checked = {case.name.split(",")[0] for case in cases()}
    assert checked == set(F.__all__) - {"token_losses"}  # which has no backward


def test_importing_the_package_imports_nothing_slow():
    code = (
        "import sys, minis2s.models, minis2s.optim, minis2s.functional;"
        f"print(sorted(set(sys.modules) & {LAZY | {'sacrebleu', 'matplotlib', 'IPython'}!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
