"""Pairs of source and target, from tab-separated files or two parallel ones."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from minis2s.data.tokenizers import normalize
from minis2s.errors import DataError

logger = logging.getLogger("minis2s.data")

ON_ERROR = ("skip", "refuse")
SHOWN = 100
"""How many bad lines of each kind are named."""


class Pair(NamedTuple):
    """A source text and its target text."""

    source: str
    target: str


def read_tsv(path: Path | str, on_error: str = "skip") -> list[Pair]:
    """Read pairs from the first two columns of a tab-separated file; further columns are left aside.

    A byte-order mark, Windows line ends and blank lines do no harm. Texts are spelled as
    :func:`minis2s.data.tokenizers.normalize` does it.

    Parameters
    ----------
    path : path
    on_error : "skip" or "refuse"
        What to do with a line of fewer than two columns, or with an empty one: leave it out and say so, or raise.

    Raises
    ------
    DataError
        If the file cannot be read, is not UTF-8, has a zero byte, no pair, or a bad line that is to be refused.
    """
    rows = [line.split("\t")[:2] for line in _lines(path)]
    pairs = _pairs(rows, f"{path}", on_error)
    if not pairs:
        raise DataError(f"{path} has no pair: write source, a tab and target on each line, as UTF-8")
    return pairs


def read_parallel(source: Path | str, target: Path | str, on_error: str = "skip") -> list[Pair]:
    """Read pairs from two files: line n of one belongs to line n of the other. Otherwise as :func:`read_tsv`.

    Raises
    ------
    DataError
        As `read_tsv`, and if one file has more lines than the other.
    """
    sources, targets = _lines(source), _lines(target)
    if len(sources) != len(targets):
        raise DataError(
            f"{source} has {len(sources)} lines, {target} has {len(targets)}: "
            "line n of one must be the translation of line n of the other"
        )
    pairs = _pairs(zip(sources, targets, strict=True), f"{source} and {target}", on_error)
    if not pairs:
        raise DataError(f"{source} and {target} have no pair: no line has text in both")
    return pairs


def _pairs(rows: Iterable[Sequence[str]], name: str, on_error: str) -> list[Pair]:
    """Pairs of the rows that are good; blank rows do not count, bad ones are reported or refused."""
    if on_error not in ON_ERROR:
        raise ValueError(f"on_error is {on_error!r}, expected one of {', '.join(ON_ERROR)}")
    pairs, bad = [], dict[str, list[int]]()
    for number, row in enumerate(rows, start=1):
        columns = [normalize(column) for column in row]
        if len(columns) == 2 and all(columns):
            pairs.append(Pair(*columns))
        elif any(columns):
            problem = "the source or the target is empty" if len(columns) == 2 else "no tab between source and target"
            if on_error == "refuse":
                raise DataError(f"{name}, line {number}: {problem}; mend the line, or --set bad_lines=skip")
            bad.setdefault(problem, []).append(number)
    for problem, numbers in bad.items() if pairs else ():
        named = ", ".join(map(str, numbers[:SHOWN])) + ", ..." * (len(numbers) > SHOWN)
        logger.warning("%s: lines left out: %d, %s: %s", name, len(numbers), problem, named)
    return pairs


def _lines(path: Path | str) -> list[str]:
    """The lines of a UTF-8 file."""
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
        raise _not_utf8(path, data, error.start) from None
    if data.count(b"\0") > len(data) // 4:  # of UTF-16 without its mark, about every other byte is zero
        raise _not_utf8(path, data, data.index(b"\0"))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            name, cleaned = shlex.quote(str(path)), shlex.quote(f"{path}.clean")
            raise DataError(
                f"{path}, line {number}: there is a zero byte (NUL), which is no part of a text: delete it, "
                f"for example with `tr -d '\\000' < {name} > {cleaned}`"
            )
    return lines[:-1] if lines[-1] == "" else lines


def _not_utf8(path: Path | str, data: bytes, place: int) -> DataError:
    """Where it stops being UTF-8, and the command that helps; zero bytes or their mark tell Windows's "Unicode"."""
    line = data.count(b"\n", 0, place) + 1
    encoding = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data else "WINDOWS-1252"
    name = shlex.quote(str(path))
    return DataError(
        f"{path} is not UTF-8 (line {line}, byte {place}): convert it, "
        f"for example with `iconv -f {encoding} -t UTF-8 {name} > {shlex.quote(f'{path}.utf8')}`"
    )
