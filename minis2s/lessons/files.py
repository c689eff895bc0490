"""Where the lessons are, and what a lesson's folder holds."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

from minis2s.errors import ConfigError, DataError

NAME = re.compile(r"\d\d_\w+")


FOLDER = "MINIS2S_LESSONS"
"""The environment variable with the folder of one's own lessons."""


def lessons_dir() -> Path:
    """The folder of the lessons: one's own, that inside an installed package, or that at the top of a checkout.

    Raises
    ------
    DataError
        If neither is there.
    """
    if os.environ.get(FOLDER):
        return Path(os.environ[FOLDER])
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_lessons", package.parent / "lessons"):
        if folder.is_dir():
            return folder
    raise DataError(
        "the folder 'lessons' is missing from the installation; install minis2s again, or run it from a checkout"
    )


def list_lessons(folder: Path | None = None) -> list[Path]:
    """The folders of the lessons, in their order."""
    return sorted(
        path.parent for path in (folder or lessons_dir()).glob("*/lesson.py") if NAME.fullmatch(path.parent.name)
    )


def find_lesson(name: str, folder: Path | None = None) -> Path:
    """The folder of a lesson, by its name or number: `01_backward`, `01` or `1`.

    Raises
    ------
    ConfigError
        If there is none.
    """
    found = list_lessons(folder)
    for path in found:
        number = path.name[:2]
        if name in (path.name, number) or (name.isdecimal() and int(name) == int(number)):
            return path
    known = ", ".join(path.name for path in found)
    raise ConfigError(f"there is no lesson {name!r}: choose one of {known or 'none'}")


def languages(lesson: Path) -> dict[str, Path]:
    """The sources of a lesson: English, whose language is "", and its translations."""
    translations = sorted(path for path in lesson.glob("*/lesson.py"))
    return {"": lesson / "lesson.py"} | {path.parent.name: path for path in translations}


def load_module(path: Path) -> ModuleType:
    """Run a Python file that lies beside a lesson.

    Raises
    ------
    DataError
        If it is not there.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing: a lesson has this file beside its lesson.py")
    name = f"minis2s_lesson_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that inspect finds the source of its functions
    spec.loader.exec_module(module)
    return module
