"""Pairs of source and target, from tab-separated files or two parallel ones."""

from __future__ import annotations

import logging
import unicodedata
from pathlib import Path
from typing import NamedTuple

from minis2s.errors import DataError

logger = logging.getLogger("minis2s.data")

SHOWN = 3
"""How many bad lines a summary names."""


class Pair(NamedTuple):
    """A source text and its target text."""

    source: str
    target: str


def read_tsv(path: Path | str, on_error: str = "skip") -> list[Pair]:
    """Read pairs from the first two columns of a tab-separated file; further columns are left aside.

    A byte-order mark, Windows line ends and blank lines do no harm. Texts are normalised to Unicode's NFC, so that an
    accented letter is spelled in one way, and stripped.

    Parameters
    ----------
    path : path
    on_error : "skip" or "refuse"
        What to do with a line of fewer than two columns, or with an empty one: leave it out and say so, or raise.

    Raises
    ------
    DataError
        If the file cannot be read, is not UTF-8, has no pair, or has a bad line that is to be refused.
    """
    pairs, bad = [], []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("\t")[:2]]
        if len(columns) < 2 or not all(columns):
            problem = "one column, expected two with a tab between them" if len(columns) < 2 else "an empty column"
            if on_error == "refuse":
                raise DataError(f"{path}, line {number}: {problem}; mend the line, or --set bad_lines=skip")
            bad.append((number, problem))
        else:
            pairs.append(Pair(*columns))
    if not pairs:
        raise DataError(f"{path} has no pair: write source, a tab and target on each line, as UTF-8")
    if bad:
        named = "; ".join(f"line {number}: {problem}" for number, problem in bad[:SHOWN])
        logger.warning(
            "%s: %d lines are no pairs and are left out (%s%s)", path, len(bad), named, "; ..." * (len(bad) > SHOWN)
        )
    return pairs


def read_parallel(source: Path | str, target: Path | str) -> list[Pair]:
    """Read pairs from two files, line by line; pairs with a blank side are left out.

    Raises
    ------
    DataError
        If a file cannot be read, is not UTF-8, the files differ in length, or have no pair.
    """
    sources, targets = _lines(source), _lines(target)
    if len(sources) != len(targets):
        raise DataError(
            f"{source} has {len(sources)} lines, {target} has {len(targets)}: "
            "line n of one must be the translation of line n of the other"
        )
    sides = ([line.replace("\t", " ").strip() for line in lines] for lines in (sources, targets))
    pairs = [Pair(s, t) for s, t in zip(*sides, strict=True) if s and t]
    if not pairs:
        raise DataError(f"{source} and {target} have no pair: both have only blank lines")
    return pairs


def _lines(path: Path | str) -> list[str]:
    """The lines of a UTF-8 file, in NFC."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: check the name") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not data.strip():
        raise DataError(f"{path} is empty: write source, a tab and target on each line")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} is not UTF-8 (line {line}, byte {error.start}): convert it, "
            f"for example with `iconv -f WINDOWS-1252 -t UTF-8 {path}`"
        ) from None
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
