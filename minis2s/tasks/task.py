"""What all tasks share: the settings of the training, where a run starts and goes on, and who scores it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from minis2s.errors import CheckpointError, ConfigError
from minis2s.nn import Module
from minis2s.optim import OPTIMIZERS, Constant, Cosine, Linear, Noam, Optimizer, Plateau, Schedule, Step
from minis2s.tasks.settings import setting, update
from minis2s.training import Plan, RunDirectory, Trainer

logger = logging.getLogger("minis2s.tasks")

SCHEDULES = ("constant", "step", "cosine", "linear", "noam", "plateau")
WHOLE_RUN = ("cosine", "linear")
"""Schedules that depend on how long the whole run is."""

EXTENDABLE = ("epochs", "patience", "time_limit")
"""Settings that may change when a run goes on: they say how long, not what."""

MOVABLE = ("data", "data_target")
"""Settings that say where the data are. They may have moved: that they are the same, their digest tells."""

MODEL_STREAM, BATCH_STREAM, EVALUATION_STREAM = 0, 1, 2
"""One seed, independent streams: `default_rng([seed, stream, ...])`."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained, whatever it is."""

    batch_size: int = setting(64, "examples in a batch", low=1)
    epochs: int = setting(10, "passes over the training data", low=1)
    patience: int | None = setting(None, "stop after so many epochs without a better one, or none", low=1)
    time_limit: float | None = setting(None, "stop training after so many minutes, or none", low=0.01)
    optimizer: str = setting("adam", "optimizer", choices=tuple(OPTIMIZERS))
    lr: float = setting(1e-3, "learning rate, at its peak", low=1e-12)
    momentum: float = setting(0.0, "momentum of sgd", low=0, high=1)
    weight_decay: float = setting(0.0, "weight decay of adam and adamw", low=0)
    schedule: str = setting("constant", "course of the learning rate", choices=SCHEDULES)
    warmup: int = setting(0, "steps of linear warm-up: cosine, linear, noam", low=0)
    decay: float = setting(0.5, "factor of step and plateau", low=0, high=1)
    decay_every: int = setting(1, "epochs between two decays of step, or of waiting of plateau", low=1)
    clip: float | None = setting(5.0, "upper bound of the gradient's norm, or none", low=1e-6)
    seed: int = setting(1, "of the initial weights, the order of the data, dropout and noise", low=0)


class Task:
    """A task: its data and recipe, and what becomes of a run.

    Attributes
    ----------
    name, summary : str
        For the command line.
    watch : str
        The validation metric that decides which epoch is best.
    unit : str
        What the loss is per.
    settings_type : type
        Its settings; a task may have more than all have.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    watch: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str]
    settings_type: ClassVar[type[Any]]

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The defaults of this task that differ from the general ones, given what the user chose."""
        raise NotImplementedError

    def check(self, settings: Any) -> None:
        """Raise ConfigError if values do not fit together."""

    def settings(self, changes: Mapping[str, Any]) -> Any:
        """The user's choices over the recipe over the general defaults.

        Raises
        ------
        ConfigError
            For an unknown key, or values that do not fit, alone or together.
        """
        chosen = update(self.settings_type(), changes, self.name)
        recipe = self.recipe({k: getattr(chosen, k) for k in changes})
        settings = update(self.settings_type(), {**recipe, **changes}, self.name)
        self.check(settings)
        return settings

    def start(self, settings: Any, run: Callable[[], RunDirectory], device: str) -> Trainer:
        """Prepare a new run. The run directory is made last, when data and settings have proved good."""
        raise NotImplementedError

    def resume(self, settings: Any, run: RunDirectory, device: str) -> Trainer:
        """Prepare to go on with a run. One that was stopped before its first checkpoint begins anew.

        Raises
        ------
        CheckpointError, DataError
            If the checkpoint is damaged or lost, or the data are no longer the same.
        """
        raise NotImplementedError

    def report(self, run: RunDirectory, trainer: Trainer, device: str) -> str:
        """Score the best model of a finished run; leave scores and pictures there; return what to tell the user."""
        raise NotImplementedError

    def evaluate(self, run: RunDirectory, device: str, data: str | None, **options: Any) -> dict[str, Any]:
        """Scores of a run's best model on its test part, or on `data`."""
        raise NotImplementedError

    def format(self, scores: Mapping[str, Any]) -> str:
        """Scores for a person."""
        raise NotImplementedError


def refuse_options(task: Task, options: Mapping[str, Any], *known: str) -> None:
    """Raise ConfigError for an option that was chosen and means nothing to the task."""
    for name, value in options.items():
        if value and name not in known:
            raise ConfigError(f"--{name} means nothing to the task {task.name}: leave it out")


def make_optimizer(settings: TrainingSettings, model: Module) -> Optimizer:
    """The optimizer over the model's parameters."""
    extra = {"sgd": {"momentum": settings.momentum}}
    extra["adam"] = extra["adamw"] = {"weight_decay": settings.weight_decay}
    return OPTIMIZERS[settings.optimizer](model.buffer, lr=settings.lr, **extra.get(settings.optimizer, {}))


def make_schedule(settings: TrainingSettings, steps_per_epoch: int) -> Schedule:
    """The course of the learning rate over the whole run."""
    s, total = settings, settings.epochs * steps_per_epoch
    schedules: dict[str, Callable[[], Schedule]] = {
        "constant": lambda: Constant(s.lr),
        "step": lambda: Step(s.lr, s.decay_every * steps_per_epoch, s.decay),
        "cosine": lambda: Cosine(s.lr, total, s.warmup),
        "linear": lambda: Linear(s.lr, total, s.warmup),
        "noam": lambda: Noam(s.lr, max(s.warmup, 1)),
        "plateau": lambda: Plateau(s.lr, s.decay, s.decay_every),
    }
    return schedules[s.schedule]()


def make_plan(settings: TrainingSettings, model: Module) -> Plan:
    """How long to train, and how often to look."""
    check_every = 1 if model.device == "cpu" else 25
    return Plan(settings.epochs, settings.patience, settings.time_limit, settings.clip, check_every)


def resumed_settings(task: Task, run: RunDirectory, changes: Mapping[str, Any]) -> Any:
    """The settings of a run that goes on: its own, but for how long it is to train and where the data are now.

    Raises
    ------
    ConfigError
        If `changes` would change anything else, or the run is of another task.
    """
    name, stored = run.read_config()
    if name != task.name:
        raise ConfigError(f"{run} is a run of the task {name!r}: `minis2s train {name} --output {run} --resume`")
    before = stored_settings(task, run, stored)
    after = update(before, changes, task.name)
    for key in changes:
        if key not in EXTENDABLE + MOVABLE and getattr(after, key) != getattr(before, key):
            raise ConfigError(
                f"{run} was trained with {key} = {getattr(before, key)}, which --resume cannot change to "
                f"{getattr(after, key)}: start a new run ({', '.join(EXTENDABLE)} may change)"
            )
    if after.epochs != before.epochs and after.schedule in WHOLE_RUN:
        logger.info(
            "epochs was %d and is %d now: the learning rate takes up where the %s schedule of the new length would be, "
            "so the result is not that of %d epochs from the start",
            *(before.epochs, after.epochs, after.schedule, after.epochs),
        )
    return after


def stored_settings(task: Task, run: RunDirectory, stored: Mapping[str, Any]) -> Any:
    """The settings that a run was made with, of their types; None for those that a file has no word for.

    Raises
    ------
    CheckpointError
        If they are not those of this version's task.
    """
    optional = {f.name: None for f in fields(task.settings_type) if "None" in str(f.type)}
    try:
        return update(task.settings_type(), {**optional, **stored}, task.name)
    except ConfigError as error:
        raise CheckpointError(f"{run.config} does not fit this minis2s ({error}): train anew") from error
