"""One loop for every model: train what a :class:`Trainable` gives, watch, save, and go on where it stopped."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np

from minis2s import __version__
from minis2s.backend import Array, get_xp, item, to_numpy
from minis2s.errors import CheckpointError, UserError
from minis2s.optim import Optimizer, Schedule, clip_global_norm
from minis2s.training.checkpoint import load_checkpoint, save_checkpoint
from minis2s.training.interrupt import Interruptible
from minis2s.training.log import to_json
from minis2s.training.progress import Progress, clock, compact
from minis2s.training.run import RunDirectory

logger = logging.getLogger("minis2s.training")

LOG_STEPS = 50
"""A record of the training loss every so many steps."""

SAVE_SECONDS = 300.0
"""In a long epoch, a checkpoint every so many seconds: a power cut costs no more."""


SPREAD = 0.01
STUCK_FOR = 3
"""Validations in a row: the first answers of a small run are often all alike, and soon no longer."""
STUCK = (
    "warning: the output no longer depends on the input: every input gets nearly the same answer. More epochs seldom "
    "help; start anew with another loss, another --set lr=... or another --seed"
)


class DivergenceError(UserError):
    """A loss, gradient or weight is no longer a finite number."""


class Trainable(Protocol):
    """What the loop needs to know of a model and its data.

    Attributes
    ----------
    model : Module
        With `buffer` (all parameters in one flat array, `.data` and `.grad`), `named_parameters`, `state_dict`,
        `named_modules`.
    rng : numpy.random.Generator
        The PCG64 stream (`numpy.random.default_rng`) of all that is random in a step: dropout, sampling.
    watch : str
        The metric, among those of `validate`, that decides which weights are best.
    higher_is_better : bool
        Its direction.
    unit : str
        What the loss counts: a token, a picture.
    """

    model: Any
    rng: np.random.Generator
    watch: str
    higher_is_better: bool
    unit: str

    def batches(self, epoch: int) -> Sequence[Any]:
        """The batches of an epoch, in order: always the same for the same `epoch`."""
        ...

    def loss_and_backward(self, batch: Any, step: int) -> tuple[Array, Any]:
        """Add the gradients of one batch; return its mean loss (0-d array, nats) and what the mean was divided by."""
        ...

    def validate(self) -> dict[str, float]:
        """Metrics on held-out data, by name; the model is in evaluation mode.

        A metric `spread`, how much outputs differ from each other as a share of how much they should, is watched: near
        0 the output does not depend on the input, and the loop says so.
        """
        ...

    def extra_state(self) -> dict[str, np.ndarray]:
        """What a step changes besides weights and `rng`: running means, say. Mostly nothing."""
        ...

    def load_extra_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `extra_state` gave."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long to train, and how carefully.

    Parameters
    ----------
    epochs : int
    patience : int, optional
        Stop after so many epochs without a better validation.
    time_limit : float, optional
        Stop after so many minutes, validations included.
    clip : float, optional
        Upper bound of the gradient's global norm.
    check_every : int
        Look at loss and gradient every so many steps. Looking makes a GPU wait; on a CPU it is free.
    """

    epochs: int
    patience: int | None = None
    time_limit: float | None = None
    clip: float | None = None
    check_every: int = 1

    def __post_init__(self) -> None:
        for name, value in (("time_limit", self.time_limit), ("clip", self.clip)):
            if value is not None and not value > 0:
                raise ValueError(f"Plan: {name} is {value}, expected more than 0, or None for no limit")

    @property
    def seconds(self) -> float:
        """The time limit in seconds; infinite if there is none."""
        return math.inf if self.time_limit is None else 60 * self.time_limit


@dataclass
class State:
    """Where a run stands; part of every `last` checkpoint."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    epoch_nats: float = 0.0
    epoch_count: float = 0.0
    window_nats: float = 0.0
    window_count: float = 0.0
    best: float | None = None
    best_epoch: int | None = None
    stale: int = 0


class Trainer:
    """Train a :class:`Trainable` inside a run directory.

    Parameters
    ----------
    trainable : Trainable
    optimizer : Optimizer
        Over `trainable.model.buffer`.
    schedule : Schedule
    run : RunDirectory
        Gets `best.safetensors`, `last.safetensors` and `log.jsonl`.
    plan : Plan
    config : mapping, JSON-able
        What a reader of the checkpoints needs to build the model again.
    """

    def __init__(
        self,
        trainable: Trainable,
        optimizer: Optimizer,
        schedule: Schedule,
        run: RunDirectory,
        plan: Plan,
        config: Mapping[str, Any],
    ):
        self.trainable, self.optimizer, self.schedule = trainable, optimizer, schedule
        self.run, self.plan, self.config = run, plan, dict(config)
        self.state = State()
        self._buffer = trainable.model.buffer
        self._session_start = time.monotonic()
        self._saved_at = self._rate_start = self._session_start
        self._session_seconds = self._rate_count = 0.0
        self._nats: Array
        self._count: Array
        self._squares: Array
        self._batch: Any = None
        self._stuck = 0
        self._forget_pending()

    # ------------------------------------------------------------------------------------------------ the loop

    def fit(self) -> str:
        """Train until the plan is fulfilled; return the reason for stopping, in words.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C; the run is saved and :meth:`resume` goes on with it.
        DivergenceError
            If loss, gradients or weights stop being finite. The checkpoints of before stand.
        CheckpointError
            If a checkpoint cannot be written. The checkpoints of before stand.
        """
        self._session_start = self._saved_at = time.monotonic()
        self._session_seconds = self.state.seconds
        self._write_start()
        self.trainable.model.train()
        # An overflow is reported by _look, once and with its place; NumPy's warnings would only bury it.
        with (
            np.errstate(all="ignore"),
            Interruptible() as self._interrupt,
            Progress(self._fraction(1)) as self._progress,
        ):
            while (reason := self._reason_to_stop()) is None:
                complete = self._train_epoch()
                self._validate(complete)
                self.save()
        self.run.log.write("end", step=self.state.step, seconds=round(self.state.seconds, 3), reason=reason)
        return reason

    def _train_epoch(self) -> bool:
        """Train from where the epoch stands to its end; False if time ran out before."""
        state = self.state
        batches = self.trainable.batches(state.epoch)
        if not len(batches):
            raise ValueError("Trainer: batches(epoch) is empty, expected at least one batch")
        self._rate_start, self._rate_count = time.monotonic(), 0.0
        for index in range(state.batch, len(batches)):
            last = index + 1 == len(batches)
            self._step(batches[index], look=last or (state.step + 1) % self.plan.check_every == 0)
            state.batch = index + 1
            if state.step % LOG_STEPS == 0 or last:
                self._write_loss()
            self._progress.update(
                f"epoch {state.epoch + 1}/{self.plan.epochs}",
                self._fraction(len(batches)),
                state.epoch_nats / max(state.epoch_count, 1),
                f"{compact(self._rate())} {self.trainable.unit}s/s",
            )
            if self._interrupt.requested:
                self._stop()
            if time.monotonic() - self._saved_at >= SAVE_SECONDS:
                self.save()
            if self._out_of_time():
                break
        return state.batch == len(batches)

    def _step(self, batch: Any, look: bool) -> None:
        """One batch: gradients, a look at them, clipping, the optimizer's step."""
        self._batch = batch
        self.trainable.model.zero_grad()
        loss, count = self.trainable.loss_and_backward(batch, self.state.step)
        gradient = self._buffer.grad
        self._nats = self._nats + loss * count
        self._count = self._count + count
        self._squares = self._squares + gradient @ gradient
        self._pending = True
        if look:
            self._look()
        if self.plan.clip is not None:
            clip_global_norm(self._buffer, self.plan.clip)
        self.optimizer.lr = self.schedule(self.state.step)
        self.optimizer.step()
        self.state.step += 1

    def _reason_to_stop(self) -> str | None:
        state, plan = self.state, self.plan
        if state.epoch >= plan.epochs:
            return f"all {plan.epochs} epochs done"
        if plan.patience is not None and state.stale >= plan.patience:
            return f"no better for {state.stale} epochs"
        if self._out_of_time():
            return f"the time limit of {plan.time_limit:g} minutes is reached"
        return None

    # ------------------------------------------------------------------------------------- looking at the numbers

    def _forget_pending(self) -> None:
        """Start new sums of loss, count and squared gradient, on the model's device."""
        xp = get_xp(self._buffer.grad)
        self._nats = xp.zeros((), dtype=xp.float64)
        self._count = xp.zeros((), dtype=xp.float64)
        self._squares = xp.zeros((), dtype=xp.float64)
        self._pending = False

    def _look(self) -> None:
        """Bring the pending sums to the host (a GPU waits here), book them, and stop if they are not finite."""
        xp = get_xp(self._buffer.grad)
        nats, count, squares = to_numpy(xp.stack([self._nats, self._count, self._squares])).tolist()
        self._forget_pending()
        if not (math.isfinite(nats) and math.isfinite(squares)):
            raise self._divergence("the loss" if not math.isfinite(nats) else "the gradient")
        self.state.epoch_nats += nats
        self.state.window_nats += nats
        self.state.epoch_count += count
        self.state.window_count += count
        self._rate_count += count

    def _divergence(self, symptom: str) -> DivergenceError:
        """Say where the numbers stopped being finite, and what is left to go on with."""
        place = self._first_bad_place()
        saved = f"{self.run.last} is the last good state" if self.run.last.exists() else "nothing was saved before"
        return DivergenceError(
            f"training diverged in epoch {self.state.epoch + 1}, step {self.state.step + 1}: {symptom} is not finite "
            f"({place}); {saved}: train anew with a smaller --set lr=... or --set clip=..."
        )

    def _first_bad_place(self) -> str:
        """Look where a step looks: at the weights, then forward through the layers, then backward at the gradients.

        After a loss of NaN every gradient is NaN, so that gradients only tell if all that went before is finite.
        """
        named = dict(self.trainable.model.named_parameters())
        weights = [name for name, parameter in named.items() if not is_finite(parameter.data)]
        if weights:
            return "in every weight" if len(weights) == len(named) else f"first in the weight {weights[0]}"
        sizes = {name: float(item(abs(parameter.grad).max())) for name, parameter in named.items()}
        outputs = self._bad_outputs()
        if outputs:
            return f"first in the output of {outputs[0]}"
        gradients = [name for name, size in sizes.items() if not math.isfinite(size)]
        if gradients:
            return f"first in the gradient of {gradients[-1]}"  # backward runs from the last layer to the first
        largest = max(sizes, key=sizes.__getitem__)
        return f"the largest gradient is {sizes[largest]:.3g}, in {largest}"

    def _bad_outputs(self) -> list[str]:
        """Run the last batch once more, watched: training itself pays nothing for it."""
        with watched_outputs(self.trainable.model) as bad:
            self.trainable.loss_and_backward(self._batch, self.state.step)
        return bad

    def _rate(self) -> float:
        """Tokens, or whatever the loss counts, per second of training in this epoch."""
        return self._rate_count / max(time.monotonic() - self._rate_start, 1e-9)

    def _update_seconds(self) -> float:
        self.state.seconds = self._session_seconds + time.monotonic() - self._session_start
        return self.state.seconds

    def _out_of_time(self) -> bool:
        return self._update_seconds() >= self.plan.seconds

    def _fraction(self, batches: int) -> float:
        """The share of the plan that is done, by epochs or by the clock, whichever is nearer its end."""
        by_epochs = (self.state.epoch + self.state.batch / batches) / max(self.plan.epochs, 1)
        by_clock = self.state.seconds / self.plan.seconds
        return min(max(by_epochs, by_clock), 1.0)

    # ----------------------------------------------------------------------------------------------- validation

    def _validate(self, complete: bool) -> None:
        """Validate and keep the best. An epoch that time cut short may be the best, but counts for nothing else."""
        rate = self._rate()
        if not self.run.last.exists():
            self.save()  # so that no best model ever stands without a checkpoint to go on from
        metrics = self._measure()
        state, value = self.state, metrics[self.trainable.watch]
        best = math.isfinite(value) and (
            state.best is None or (value > state.best if self.trainable.higher_is_better else value < state.best)
        )
        loss = state.epoch_nats / max(state.epoch_count, 1)
        epoch = state.epoch + 1
        if best:
            state.best, state.best_epoch = value, epoch
            self._save_best(metrics)
        if complete:
            self._finish_epoch(best, value)
        seconds = round(self._update_seconds(), 3)
        self.run.log.write(
            "validation", epoch=epoch, step=state.step, train_loss=loss, **metrics, best=best, seconds=seconds
        )
        numbers = ", ".join(f"{name} {number:.4g}" for name, number in metrics.items() if name != "spread")
        self._progress.line(
            f"epoch {epoch}/{self.plan.epochs}: loss {loss:.4g}, {compact(rate)} {self.trainable.unit}s/s | {numbers}"
            f"{' (best)' if best else ''} | {clock(seconds)}"
        )
        self._stuck = self._stuck + 1 if metrics.get("spread", 1.0) < SPREAD else 0
        if self._stuck == min(STUCK_FOR, self.plan.epochs):
            self._progress.line(STUCK)

    def _measure(self) -> dict[str, float]:
        """The metrics; whatever chance they need is not taken from training's. Ctrl-C need not wait for them."""
        if self._interrupt.requested:
            self._stop()
        rng, model = self.trainable.rng.bit_generator, self.trainable.model
        before, metrics = rng.state, None
        model.eval()
        try:
            with self._interrupt.at_once():
                metrics = self.trainable.validate()
        except KeyboardInterrupt:
            logger.debug("the validation was interrupted")
        model.train()
        rng.state = before
        return metrics if metrics is not None else self._stop()

    def _finish_epoch(self, best: bool, value: float) -> None:
        state = self.state
        state.stale = 0 if best else state.stale + 1
        self.schedule.report(-value if self.trainable.higher_is_better else value)
        state.epoch += 1
        state.batch = 0
        state.epoch_nats = state.epoch_count = 0.0

    # -------------------------------------------------------------------------------------------- log, save, resume

    def _write_start(self) -> None:
        self.run.log.write(
            "resume" if self.state.step else "start",
            step=self.state.step,
            time=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            version=__version__,
            parameters=int(self._buffer.data.size),
            **self.config,
        )

    def _write_loss(self) -> None:
        state = self.state
        if state.window_count:
            loss = state.window_nats / state.window_count
            self.run.log.write(
                "loss",
                epoch=state.epoch + 1,
                step=state.step,
                loss=loss,
                lr=float(self.optimizer.lr),
                rate=round(self._rate(), 1),
                seconds=round(self._update_seconds(), 3),
            )
        state.window_nats = state.window_count = 0.0

    def _stop(self) -> NoReturn:
        """Save after Ctrl-C, and go."""
        self.save()
        self._progress.line(f"stopped in epoch {self.state.epoch + 1} after step {self.state.step}: saved")
        raise KeyboardInterrupt

    def save(self) -> None:
        """Write `last.safetensors`: weights, optimizer, schedule, random state and position."""
        if self._pending:
            self._look()
        self._require_finite_weights()
        self._update_seconds()
        save_checkpoint(
            self.run.last,
            {
                **add_prefix("model.", self.trainable.model.state_dict()),
                **add_prefix("optimizer.", self.optimizer.state_dict()),
                **add_prefix("extra.", self.trainable.extra_state()),
            },
            {
                "kind": "last",
                "config": self.config,
                "state": dataclasses.asdict(self.state),
                "rng": self.trainable.rng.bit_generator.state,
                "schedule": self.schedule.state_dict(),
            },
        )
        self._saved_at = time.monotonic()

    def _save_best(self, metrics: Mapping[str, float]) -> None:
        self._require_finite_weights()
        details = {"kind": "best", "config": self.config, "metrics": to_json(dict(metrics))}
        save_checkpoint(
            self.run.best,
            add_prefix("model.", self.trainable.model.state_dict()),
            details | {"state": dataclasses.asdict(self.state)},
        )

    def resume(self) -> None:
        """Take up `last.safetensors`; training then goes on as if it had never stopped.

        Raises
        ------
        CheckpointError
            If the checkpoint is missing, damaged, or does not fit the model.
        """
        tensors, metadata = load_checkpoint(self.run.last)
        try:
            self.trainable.model.load_state_dict(select(tensors, "model."))
            self.optimizer.load_state_dict(select(tensors, "optimizer."))
            self.trainable.load_extra_state(select(tensors, "extra."))
            self.schedule.load_state_dict(metadata["schedule"])
            self.trainable.rng.bit_generator.state = metadata["rng"]
            self.state = State(**metadata["state"])
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{self.run.last} does not fit this model ({str(error).splitlines()[0]}): "
                "resume with the run's own settings"
            ) from error
        self.run.log.rewind(self.state.step)
        logger.info("resuming %s in epoch %d, step %d", self.run, self.state.epoch + 1, self.state.step)

    def _require_finite_weights(self) -> None:
        """Never let a checkpoint of NaNs replace a good one."""
        if not is_finite(self._buffer.data):
            raise self._divergence("a weight")


def is_finite(value: Any) -> bool:
    """Whether all numbers are finite in an array, or in the arrays of a tuple; what else is in it has none."""
    if isinstance(value, tuple):
        return all(map(is_finite, value))
    return not hasattr(value, "dtype") or bool(item(get_xp(value).isfinite(value).all()))


@contextmanager
def watched_outputs(model: Any) -> Iterator[list[str]]:
    """Gather, inside the block, the dotted names of layers whose outputs are not finite, in the order of the run."""
    bad: list[str] = []
    names: dict[Any, str] = {}
    for name, layer in model.named_modules():
        if layer is not model:
            names.setdefault(layer, name)  # a layer that two others share goes by its first name

    def watch(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            output, backward = forward(*args, **kwargs)
            if not is_finite(output):
                bad.append(name)
            return output, backward

        return watched

    for layer, name in names.items():
        layer.forward = watch(name, layer.forward)
    try:
        yield bad
    finally:
        for layer in names:
            del layer.forward  # the class's own is behind it


def add_prefix(prefix: str, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors, their names lengthened by `prefix`."""
    return {prefix + name: value for name, value in tensors.items()}


def select(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The tensors whose names begin with `prefix`, under the rest of their names."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def load_weights(run: RunDirectory) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The best weights of a run (the last ones, if no epoch was validated yet) and the metadata saved with them.

    Raises
    ------
    CheckpointError
        If there are none, or they are damaged.
    """
    path = run.best if run.best.exists() or not run.last.exists() else run.last
    tensors, metadata = load_checkpoint(path)
    return select(tensors, "model."), metadata
