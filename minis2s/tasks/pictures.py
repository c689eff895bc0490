"""What all tasks with pictures share: settings, training, going on, and loading a model again."""

from __future__ import annotations

import importlib.util
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minis2s.backend import Array, to_numpy
from minis2s.data.images import INSTALL, Images, ImageSplit, read_pngs
from minis2s.errors import CheckpointError, ConfigError, DataError
from minis2s.tasks.picture_data import name_of, other_data, read_split, warn_of_known, wrong_size
from minis2s.tasks.picture_scores import format_table, in_batches
from minis2s.tasks.report import dumps
from minis2s.tasks.settings import setting
from minis2s.tasks.task import (
    BATCH_STREAM,
    EVALUATION_STREAM,
    MODEL_STREAM,
    Task,
    TrainingSettings,
    make_optimizer,
    make_plan,
    make_schedule,
    refuse_options,
    stored_settings,
)
from minis2s.training import RunDirectory, Trainer, load_checkpoint, load_weights, write_text

logger = logging.getLogger("minis2s.tasks")

SSIM_WINDOW = 7
"""Pixels on each side that structural similarity looks at."""


@dataclass(frozen=True)
class PictureSettings(TrainingSettings):
    """Every setting that tasks with pictures share, with its default."""

    data: str | None = setting(
        None, "a folder of IDX or PNG files, an IDX or NPZ file, or none: 5,000 of MNIST's digits"
    )
    limit: int | None = setting(None, "use only so many pictures, or none for all", low=20)
    validation: float = setting(0.02, "share of the pictures to choose the best epoch with", low=0.001, high=0.5)
    test: float = setting(0.2, "share to score the model with, if the data have no test part", low=0.001, high=0.5)


class Model(NamedTuple):
    """A trained model, its settings, the digest of the data it was trained on, and where it comes from."""

    net: Any
    settings: Any
    data: str
    run: RunDirectory


class PictureTask(Task):
    """A task with pictures."""

    watch: ClassVar[str] = "loss"
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "picture"
    settings_type: ClassVar[type[PictureSettings]] = PictureSettings
    learns_to_score: ClassVar[bool] = True  # from the training part: baselines, probes

    # ---------------------------------------------------------------------------------------------- what a task defines

    def config(self, settings: Any, shape: tuple[int, int, int]) -> Any:
        """The model's configuration, a dataclass, for pictures of this shape; ValueError if there is none."""
        raise NotImplementedError

    def make(self, config: Any, rng: np.random.Generator) -> Any:
        """The model of a configuration, or of the mapping that JSON makes of it."""
        raise NotImplementedError

    def loss_and_backward(self, net: Any, pixels: np.ndarray, settings: Any, step: int) -> tuple[Array, Any]:
        """One batch of training."""
        raise NotImplementedError

    def measure(self, net: Any, pixels: np.ndarray, settings: Any, rng: np.random.Generator) -> dict[str, float]:
        """Metrics of a batch of held-out pictures, each a mean over them; at least `loss`."""
        raise NotImplementedError

    def reconstruct(self, net: Any, pixels: np.ndarray, settings: Any, rng: np.random.Generator) -> Array:
        """What the net makes of pictures: the more two differ, the more it sees of them."""
        return net.reconstruct(pixels)

    def score(self, model: Model, split: ImageSplit, pictures: Path | None) -> dict[str, Any]:
        """All scores on the test part; with pictures of them in the folder `pictures`."""
        raise NotImplementedError

    def use(self, run: RunDirectory) -> str:
        """The command to try next."""
        raise NotImplementedError

    def require(self, split: ImageSplit) -> None:
        """Refuse data that the model could not be scored on, before anything is trained; DataError says why."""
        if min(split.test.shape[1:]) < SSIM_WINDOW:
            _, H, W = split.test.shape
            raise DataError(
                f"the pictures are {W} x {H}, and SSIM looks at {SSIM_WINDOW} x {SSIM_WINDOW} pixels: enlarge them"
            )

    # -------------------------------------------------------------------------------------------------------- the rest

    def check(self, settings: Any) -> None:
        """Refuse settings of the model that contradict each other, before the data are read."""
        self._config(settings, (1, 28, 28))

    def _config(self, settings: Any, shape: tuple[int, int, int]) -> Any:
        try:
            return self.config(settings, shape)
        except ValueError as error:
            raise ConfigError(f"these settings do not go together: {error}") from error

    def start(self, settings: Any, run: Callable[[], RunDirectory], device: str) -> Trainer:
        """See :class:`Task`."""
        require_libraries()
        split = read_split(settings)
        self.require(split)
        config = self._config(settings, split.train.shape)
        directory = run()
        directory.write_config(self.name, asdict(settings))
        return self._trainer(settings, split, config, directory, device)

    def resume(self, settings: Any, run: RunDirectory, device: str) -> Trainer:
        """See :class:`Task`."""
        if not run.has_checkpoint():
            logger.info("%s has no checkpoint yet: beginning anew", run)
            return self.start(settings, lambda: run, device)
        stored = load_checkpoint(run.last).metadata["config"]
        split = read_split(settings)
        if split.digest != stored["data"]:
            raise DataError(
                f"{name_of(settings.data)} is not what {run} was trained on: restore it, or start a new run"
            )
        trainer = self._trainer(settings, split, self._config(settings, split.train.shape), run, device)
        trainer.resume()
        return trainer

    def _trainer(self, settings: Any, split: ImageSplit, config: Any, run: RunDirectory, device: str) -> Trainer:
        net = self.make(config, np.random.default_rng([settings.seed, MODEL_STREAM])).to(device)
        training = PictureTraining(self, settings, split, net)
        steps = len(training.batches(0))
        self.prepare(net, settings, steps)
        size = net.buffer.data.size
        logger.info("%d pictures to train on, %d to validate, %d to test", *map(len, split))
        logger.info("%d parameters; %d batches an epoch", size, steps)
        stored = {
            "task": self.name,
            "settings": asdict(settings),
            "model": asdict(config),
            "data": split.digest,
        }
        plan, schedule = make_plan(settings, net), make_schedule(settings, steps)
        return Trainer(training, make_optimizer(settings, net), schedule, run, plan, stored)

    def prepare(self, net: Any, settings: Any, steps_per_epoch: int) -> None:
        """Tell the model what it must know of the course of the training."""

    def load(self, run: RunDirectory, device: str) -> Model:
        """Read a run's best model.

        Raises
        ------
        CheckpointError
            If anything is missing, damaged, of another task, or does not belong together.
        ConfigError
            If a library is not installed that tasks with pictures need.
        """
        name, stored = run.read_config()
        if name != self.name:
            raise CheckpointError(f"{run} is a run of the task {name!r}, {self.name!r} is needed: name another run")
        require_libraries()
        settings = stored_settings(self, run, stored)
        weights, metadata = load_weights(run)
        try:
            net = self.make(metadata["config"]["model"], np.random.default_rng(0))
            net.load_state_dict(weights)
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(f"the weights in {run} do not fit its model ({error}): train anew") from error
        return Model(net.to(device).eval(), settings, metadata["config"]["data"], run)

    def report(self, run: RunDirectory, trainer: Trainer, device: str) -> str:
        """See :class:`Task`."""
        model, split = self.load(run, device), trainer.trainable.split  # type: ignore[attr-defined]
        logger.info("scoring the best model on %d held-out pictures", len(split.test))
        scores = {"task": self.name, "examples": len(split.test), **self.score(model, split, run.path)}
        write_text(run.metrics, dumps(scores) + "\n")
        return f"{self.format(scores)}\n\nmodel, scores and pictures are in {run}; try\n  {self.use(run)}"

    def evaluate(self, run: RunDirectory, device: str, data: str | None, **options: Any) -> dict[str, Any]:
        """See :class:`Task`; the option `resize` makes pictures of other data as large as the model's."""
        refuse_options(self, options, "resize")
        model = self.load(run, device)
        if data is None:
            split = read_split(model.settings)
            if split.digest != model.data:
                raise DataError(
                    f"{name_of(model.settings.data)} is not what {run} was trained on: restore it, or --data"
                )
        else:
            split = other_data(data, self, model, bool(options.get("resize")))
            self.require(split)
            warn_of_known(split, model)
        where = {"data": data} if data else {}
        return {"task": self.name, **where, "examples": len(split.test), **self.score(model, split, None)}

    def shape(self, model: Model) -> tuple[int, int, int]:
        """(C, H, W) of the model's pictures."""
        return model.net.config.shape

    def read(self, model: Model, paths: Sequence[str], resize: bool) -> Images:
        """Picture files for the model.

        Raises
        ------
        DataError
            If one is no picture, of another kind, or of another size and `resize` is not wanted.
        """
        shape = self.shape(model)
        pictures = []
        for path in paths:
            picture = read_pngs([path], shape[1:] if resize else None)
            if picture.shape != shape:
                raise wrong_size(path, picture.shape, shape)
            pictures.append(picture.pixels)
        return Images(np.concatenate(pictures))

    def format(self, scores: Mapping[str, Any]) -> str:
        """The scores and those of each baseline as a table."""
        return format_table(scores)


class PictureTraining:
    """What :class:`minis2s.training.Trainer` drives."""

    def __init__(self, task: PictureTask, settings: Any, split: ImageSplit, net: Any):
        self.watch, self.higher_is_better, self.unit = task.watch, task.higher_is_better, task.unit
        self.task, self.settings, self.split = task, settings, split
        self.model, self.rng = net, net.rng

    def batches(self, epoch: int) -> Batches:
        """All training pictures, shuffled anew each epoch."""
        rng = np.random.default_rng([self.settings.seed, BATCH_STREAM, epoch])
        return Batches(self.split.train.pixels, rng.permutation(len(self.split.train)), self.settings.batch_size)

    def loss_and_backward(self, batch: np.ndarray, step: int) -> tuple[Array, Any]:
        """One batch."""
        return self.task.loss_and_backward(self.model, batch, self.settings, step)

    def validate(self) -> dict[str, float]:
        """The task's metrics, and how much outputs differ from each other beside the pictures themselves."""
        rng = evaluation_rng(self.settings)
        pixels = self.split.validation.pixels
        parts = [(self.task.measure(self.model, x, self.settings, rng), len(x)) for x in in_batches(pixels)]
        metrics = {name: sum(part[name] * n for part, n in parts) / len(pixels) for name in parts[0][0]}
        some = next(in_batches(pixels))
        made = to_numpy(self.task.reconstruct(self.model, some, self.settings, rng))
        spread = float(made.std(axis=0).mean() / max(some.std(axis=0).mean(), 1e-9)) if len(some) > 1 else 1.0
        return metrics | {"spread": spread}

    def extra_state(self) -> dict[str, np.ndarray]:
        """Nothing: all that a step changes is in the model."""
        return {}

    def load_extra_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Nothing to take back."""


class Batches(Sequence[np.ndarray]):
    """The batches of one epoch; each is put together when it is asked for."""

    def __init__(self, pixels: np.ndarray, order: np.ndarray, size: int):
        self.pixels, self.order, self.size = pixels, order, size

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __getitem__(self, k: Any) -> Any:
        return self.pixels[self.order[k * self.size : (k + 1) * self.size]]


# ------------------------------------------------------------------------------------------------------------- the data


def require_libraries() -> None:
    """Refuse to begin what could not be finished.

    Raises
    ------
    ConfigError
        If a library is not installed.
    """
    missing = [name for name, module in LIBRARIES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigError(f"tasks with pictures need {', '.join(missing)}, not installed here: {INSTALL}")


LIBRARIES = {"scikit-image": "skimage", "scikit-learn": "sklearn", "Pillow": "PIL", "constriction": "constriction"}


def evaluation_rng(settings: Any) -> np.random.Generator:
    """The stream of all chance in measuring: the same each time, so that epochs and runs can be compared."""
    return np.random.default_rng([settings.seed, EVALUATION_STREAM])


def quoted(run: RunDirectory) -> str:
    """The run for a shell."""
    return shlex.quote(str(run))
