"""Settings: flat, typed, each with a line of help and its bounds; from TOML files and `key=value` strings."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from minis2s.errors import ConfigError

S = TypeVar("S")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NOUNS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field with a line of help, inclusive bounds, or the only values that are allowed."""
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


def update(settings: S, changes: Mapping[str, Any], task: str) -> S:
    """The settings with `changes` in them; a value may be of its type, or a string that spells it.

    Raises
    ------
    ConfigError
        For a key that does not exist (the nearest one is named), a value of another type, or one out of range.
    """
    checked = {key: _check(settings, key, value, task) for key, value in changes.items()}
    return dataclasses.replace(settings, **checked)  # type: ignore[type-var]


def closest(name: str, names: Iterable[str]) -> str:
    """`, did you mean ...?` with the nearest of `names`, or nothing if none is near."""
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def assignment(text: str) -> tuple[str, str]:
    """Split `key=value`.

    Raises
    ------
    ConfigError
        If there is no `=` or no key.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r} is not of the form key=value: write for example --set hidden=128")
    return key.strip(), value.strip()


def read_toml(path: Path, task: str) -> dict[str, Any]:
    """The keys of a TOML file: flat, or in a table [settings] as in the `config.toml` of a run.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not TOML, is meant for another task, or its `settings` are no table.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}: check the name after --config") from error
    except ValueError as error:
        raise ConfigError(
            f"{path} is not a TOML file ({str(error).splitlines()[0]}): write lines like hidden = 128"
        ) from error
    meant_for = table.pop("task", task)
    if meant_for != task:
        raise ConfigError(f"{path} is for the task {meant_for!r}, not {task!r}: run `minis2s train {meant_for}`")
    table.pop("format", None)
    settings = table.pop("settings", {})
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} has settings = {settings!r}: write a line [settings], and the settings below it")
    return {**table, **settings}


def describe(settings: Any) -> list[tuple[str, Any, str]]:
    """Key, value and line of help of each setting, choices included."""
    rows = []
    for field in dataclasses.fields(settings):
        choices = field.metadata["choices"]
        help = field.metadata["help"] + (f" ({', '.join(choices)})" if choices else "")
        rows.append((field.name, getattr(settings, field.name), help))
    return rows


def spell(value: Any) -> str:
    """A value as `--set` takes it."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _check(settings: Any, key: str, value: Any, task: str) -> Any:
    """The value of `key`, of its type and in its range."""
    fields = {field.name: field for field in dataclasses.fields(settings)}
    if key not in fields:
        raise ConfigError(
            f"unknown setting {key!r} for the task {task}{closest(key, fields)} "
            f"(`minis2s tasks {task}` lists all settings)"
        )
    kind, optional = _type_of(type(settings), key)
    if optional and (value is None or (isinstance(value, str) and value.lower() == "none")):
        return None
    converted = _convert(value, kind)
    limits, choices = fields[key].metadata, fields[key].metadata["choices"]
    expected = _expectation(kind, limits)
    if converted is None:
        raise ConfigError(f"setting {key} is {value!r}, expected {expected}")
    if choices and converted not in choices:
        raise ConfigError(f"setting {key} is {value!r}, expected {expected}{closest(str(value), choices)}")
    if kind in (int, float) and not _inside(converted, limits):
        raise ConfigError(f"setting {key} is {value}, expected {expected}")
    return converted


def _type_of(cls: type, key: str) -> tuple[type, bool]:
    """The type of a field, and whether it may be None."""
    hint = typing.get_type_hints(cls)[key]
    if isinstance(hint, types.UnionType):
        return next(t for t in typing.get_args(hint) if t is not types.NoneType), True
    return hint, False


def _convert(value: Any, kind: type) -> Any:
    """`value` as `kind`, or None if it is not one. A string spells a value; a whole number is a number too."""
    if isinstance(value, str) and kind is not str:
        return _parse(value, kind)
    if kind is float and type(value) is int:
        return float(value)
    return value if type(value) is kind else None


def _parse(text: str, kind: type) -> Any:
    if kind is bool:
        return True if text.lower() in _TRUE else False if text.lower() in _FALSE else None
    try:
        return kind(text)
    except ValueError:
        return None


def _inside(value: float, limits: Mapping[str, Any]) -> bool:
    low, high = limits["low"], limits["high"]
    return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def _expectation(kind: type, limits: Mapping[str, Any]) -> str:
    """What a value should be, in words."""
    low, high, choices = limits["low"], limits["high"], limits["choices"]
    if choices:
        return f"one of {', '.join(choices)}"
    if low is not None and high is not None:
        return f"{_NOUNS[kind]} from {low:g} to {high:g}"
    return _NOUNS[kind] + (
        f", at least {low:g}" if low is not None else f", at most {high:g}" if high is not None else ""
    )
