"""Tasks: one file per thing a user does; data, model, recipe and report."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from minis2s.errors import ConfigError
from minis2s.tasks.settings import closest

if TYPE_CHECKING:
    from minis2s.tasks.task import Task

TASKS = (
    "translation",
    "dates",
    "addition",
    "reverse",
    "compression",
    "denoising",
    "features",
    "generation",
)


def load_task(name: str) -> Task:
    """The task called `name`; its module is imported only now.

    Raises
    ------
    ConfigError
        If there is none; the nearest name is told.
    """
    if name not in TASKS:
        raise ConfigError(
            f"unknown task {name!r}{closest(name, TASKS)} (`minis2s tasks` lists them: {', '.join(TASKS)})"
        )
    return import_module(f"minis2s.tasks.{name}").TASK
