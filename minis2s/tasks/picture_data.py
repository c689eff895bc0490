"""Pictures to train and to test on: the default ones, the user's own, or others for a model that is there already."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minis2s.data.images import Images, ImageSplit, image_leaks, read_data, split_images
from minis2s.data.png import CONVERT
from minis2s.errors import DataError

if TYPE_CHECKING:
    from minis2s.tasks.pictures import Model, PictureTask

logger = logging.getLogger("minis2s.tasks")


def read_split(settings: Any) -> ImageSplit:
    """Training, validation and test pictures: the user's own, or MNIST's 5,000. Pictures in two parts are told of.

    Raises
    ------
    DataError
        If there are none, or too few.
    """
    split = _own_split(settings)
    logger.info("leak check: %s held-out pictures occur in training", image_leaks(*split) or "no")
    return split


def _own_split(settings: Any) -> ImageSplit:
    data, own_test = read_data(settings.data)
    if settings.limit is not None:
        data = _some(data, settings.limit)
        own_test = None if own_test is None else _some(own_test, settings.limit)
    split = split_images(data, own_test, settings.validation, settings.test)
    for part in ("train", "validation", "test"):
        if not len(getattr(split, part)):
            raise DataError(
                f"no picture is left for {part} ({sum(map(len, split))} in all): bring more, "
                "or change --set validation=... and test=..."
            )
    if split.test.shape != split.train.shape:
        raise wrong_size("the test part", split.test.shape, split.train.shape)
    return split


def _some(data: Images, limit: int) -> Images:
    """`limit` pictures, spread over all of them: files are often sorted by class."""
    return data[np.unique(np.linspace(0, len(data) - 1, min(limit, len(data))).round().astype(int))]


def other_data(path: str, task: PictureTask, model: Model, resize: bool) -> ImageSplit:
    """Other data, of the shape that a model takes.

    Without a test part they are split as those for training are; where nothing is learnt from a training part, all are
    for the test.

    Raises
    ------
    DataError
        If they are of another shape, or nothing is left to learn baselines from, or to test.
    """
    settings, shape = model.settings, task.shape(model)
    data, own_test = read_data(path, shape[1:] if resize else None)
    for part in (data, own_test):
        if part is not None and part.shape != shape:
            raise wrong_size(path, part.shape, shape)
    split = split_images(data, own_test, settings.validation, settings.test)
    if own_test is None and not task.learns_to_score:
        return split._replace(test=data)
    if not (len(split.train) and len(split.test)):
        raise DataError(
            f"{path} has {len(data)} pictures: too few to learn baselines from some and test on others; bring more"
        )
    return split


def warn_of_known(split: ImageSplit, model: Model) -> None:
    """Say how many of other data's test pictures the model was trained on, if its own data are still there."""
    try:
        own = _own_split(model.settings)
    except DataError as error:
        logger.info("no leak check: the data that the model was trained on cannot be read (%s)", error)
        return
    leaked = image_leaks(own.train, split.test) or "none"
    logger.info("leak check: the model was trained on %s of the test pictures", leaked)


def wrong_size(what: str, found: Sequence[int], wanted: Sequence[int]) -> DataError:
    """One line with both sizes, and the way out."""

    def spell(shape: Sequence[int]) -> str:
        return f"{shape[2]} x {shape[1]}, {'grey' if shape[0] == 1 else 'colour'}"

    remedy = CONVERT if wanted[0] == 1 else "train a model on such pictures"
    remedy = "add --resize" if found[0] == wanted[0] else remedy
    return DataError(f"{what} is {spell(found)}; this model takes {spell(wanted)}: {remedy}")


def name_of(data: str | None) -> str:
    """The data in words."""
    return data or "the default data set"
