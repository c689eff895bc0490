"""The run directory: what a training run leaves, and under which name."""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minis2s.errors import CheckpointError, ConfigError
from minis2s.training.checkpoint import FORMAT, other_version
from minis2s.training.files import write_text
from minis2s.training.log import Log


class RunDirectory:
    """The files of one training run.

    ========================  =============================================================
    `config.toml`             task and settings; `--config` takes it again
    `best.safetensors`        the weights with the best validation
    `last.safetensors`        everything that `--resume` needs
    `log.jsonl`               one record a line
    `metrics.json`            the final scores
    ========================  =============================================================

    Tasks add their own: vocabularies, samples, pictures.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.best = self.path / "best.safetensors"
        self.last = self.path / "last.safetensors"
        self.metrics = self.path / "metrics.json"
        self.log = Log(self.path / "log.jsonl")

    def __truediv__(self, name: str) -> Path:
        """The path of the file `name` of this run."""
        return self.path / name

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def create(cls, path: Path | str) -> RunDirectory:
        """Make a new run directory at `path`; what is there already is refused, as :meth:`require_new` does."""
        cls.require_new(path)
        return cls(path)._make(exist_ok=True)

    @classmethod
    def require_new(cls, path: Path | str) -> None:
        """Make sure that nothing is at `path` but perhaps an empty directory.

        Raises
        ------
        ConfigError
            If something is there.
        """
        run = cls(path)
        if run.config.exists():
            raise ConfigError(f"{path} holds a run already: add --resume to go on with it, or choose another --output")
        if run.path.exists() and not (run.path.is_dir() and not any(run.path.iterdir())):
            raise ConfigError(f"{path} exists and is not an empty directory: choose another --output")

    @classmethod
    def create_numbered(cls, parent: Path | str, name: str) -> RunDirectory:
        """Make `parent/name-N` with the first N after all that are there."""
        number = max((n for n, _ in _numbered(Path(parent), name)), default=0)
        while True:
            number += 1
            run = cls(Path(parent) / f"{name}-{number}")
            if not run.path.exists():
                return run._make(exist_ok=False)

    @classmethod
    def open(cls, path: Path | str) -> RunDirectory:
        """Take an existing run directory.

        Raises
        ------
        CheckpointError
            If there is none at `path`, or one of another version.
        """
        run = cls(path)
        if not run.config.exists():
            what = "is not a run directory (it has no config.toml)" if run.path.exists() else "does not exist"
            raise CheckpointError(f"{path} {what}: name a directory that `minis2s train` made")
        run.read_config()
        return run

    @classmethod
    def open_latest(cls, parent: Path | str, name: str) -> RunDirectory:
        """Take the `parent/name-N` with the highest N."""
        runs = [path for _, path in sorted(_numbered(Path(parent), name)) if (path / "config.toml").exists()]
        if not runs:
            raise CheckpointError(
                f"there is no run {Path(parent) / name}-N to go on with: leave out --resume, or name one with --output"
            )
        return cls.open(runs[-1])

    def write_config(self, task: str, settings: Mapping[str, Any]) -> None:
        """Write task and settings. A setting that is None is left out, so that its default, None, stands.

        Raises
        ------
        CheckpointError
            If the file cannot be written. Then a directory with nothing in it is removed: there is no run in it.
        """
        lines = [f"format = {FORMAT}", f"task = {_toml(task)}", "", "[settings]"]
        lines += [f"{key} = {_toml(value)}" for key, value in settings.items() if value is not None]
        try:
            write_text(self.config, "\n".join(lines) + "\n")
        except CheckpointError as error:
            with contextlib.suppress(OSError):  # raised if there is something in it
                self.path.rmdir()
            raise _not_begun(self.config, error.__cause__ or error) from error

    def read_config(self) -> tuple[str, dict[str, Any]]:
        """Task and settings of this run.

        Raises
        ------
        CheckpointError
            If the file is damaged or of another version.
        """
        try:
            table = tomllib.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot read {self.config}: {str(error).splitlines()[0]}: train anew") from error
        if table.get("format") != FORMAT:
            raise other_version(self.config, table.get("format"))
        task, settings = table.get("task"), table.get("settings")
        if not isinstance(task, str) or not isinstance(settings, dict):
            raise CheckpointError(f"{self.config} names no task or has no [settings]: train anew")
        return task, settings

    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to go on from. Without any, the run never got that far and may begin anew.

        Raises
        ------
        CheckpointError
            If it is lost: beginning anew would overwrite the best model, which is still there.
        """
        if self.last.exists() or not self.best.exists():
            return self.last.exists()
        raise CheckpointError(
            f"{self.last} is missing, so that {self} cannot go on; its best model, {self.best.name}, is there and "
            "usable: restore a copy of last.safetensors, or train into a new --output"
        )

    def _make(self, exist_ok: bool) -> RunDirectory:
        try:
            self.path.mkdir(parents=True, exist_ok=exist_ok)
        except OSError as error:
            raise _not_begun(self.path, error) from error
        return self


def _not_begun(path: Path, error: BaseException) -> CheckpointError:
    """Say in one line that `path` could not be written; there is nothing yet that --resume could go on with."""
    cause = getattr(error, "strerror", None) or error
    return CheckpointError(
        f"cannot write {path}: {cause}; no run was begun: make room (or permission) and run the same command again"
    )


def _numbered(parent: Path, name: str) -> list[tuple[int, Path]]:
    """Every `parent/name-N`, with its N."""
    if not parent.is_dir():
        return []
    found = ((re.fullmatch(re.escape(name) + r"-(\d+)", path.name), path) for path in parent.iterdir())
    return [(int(match[1]), path) for match, path in found if match]


def _toml(value: str | bool | int | float) -> str:
    """Spell a value as TOML does: JSON's spelling, but for DEL and the numbers that JSON has no word for."""
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
