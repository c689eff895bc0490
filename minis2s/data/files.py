"""Where the data files are that the project ships."""

from __future__ import annotations

from pathlib import Path

from minis2s.errors import DataError


def datasets_dir() -> Path:
    """The folder of the shipped data sets: inside an installed package, or at the top of a checkout.

    Raises
    ------
    DataError
        If neither is there.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_datasets", package.parent / "datasets"):
        if folder.is_dir():
            return folder
    raise DataError(
        "the folder 'datasets' is missing from the installation; install minis2s again, or run it from a checkout"
    )
