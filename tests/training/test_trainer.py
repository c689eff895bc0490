import dataclasses
import json
import os
import signal

import numpy as np
import pytest

from minis2s.data.batching import collate
from minis2s.errors import CheckpointError
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.training import DivergenceError, Plan, RunDirectory, load_checkpoint, load_weights
from minis2s.training import trainer as module

LEARNS = {"epochs": 4}


def interrupt_in(trainable, calls, hook="on_step"):
    """Press Ctrl-C in the `calls`-th call of the hook."""
    left = iter(range(calls))

    def press():
        if next(left, None) == calls - 1:
            os.kill(os.getpid(), signal.SIGINT)

    setattr(trainable, hook, press)


def result(run):
    """What must be equal in two runs that did the same: all tensors, random state, position but for the clock."""
    tensors, metadata = load_checkpoint(run.last)
    del metadata["state"]["seconds"]
    return {name: tensor.tobytes() for name, tensor in tensors.items()}, metadata


def losses(run):
    keys = ("event", "epoch", "step", "loss", "train_loss", "lr", "error", "best")
    return [{key: r[key] for key in keys if key in r} for r in run.log.read() if r["event"] in ("loss", "validation")]


# ------------------------------------------------------------------------------------------------- it trains


def test_it_learns_and_leaves_everything(make_trainer, regression):
    trainer = make_trainer(trainable=regression(count=60), lr=0.05, epochs=4)
    assert trainer.fit() == "all 4 epochs done"
    records = trainer.run.log.read()
    assert [r["event"] for r in records if r["event"] != "loss"] == ["start", *["validation"] * 4, "end"]
    assert records[0]["parameters"] == 8
    assert records[0]["task"] == "line"
    train = [r["loss"] for r in records if r["event"] == "loss"]
    assert len(train) == 4 + 240 // 50
    assert train[-1] < 0.2 * train[0]
    assert trainer.trainable.steps == list(range(240))
    assert sorted(os.listdir(trainer.run.path)) == ["best.safetensors", "config.toml", "last.safetensors", "log.jsonl"]


def test_the_reported_loss_is_the_mean_over_what_was_counted(make_trainer, regression):
    trainable, booked = regression(count=5), []
    plain = trainable.loss_and_backward
    trainable.loss_and_backward = lambda batch, step: booked.append(plain(batch, step)) or booked[-1]
    trainer = make_trainer(trainable=trainable, epochs=1)
    trainer.fit()
    expected = sum(float(loss) * count for loss, count in booked) / sum(count for _, count in booked)
    validation = next(r for r in trainer.run.log.read() if r["event"] == "validation")
    assert validation["train_loss"] == pytest.approx(expected, rel=1e-6)


def test_the_gradient_is_clipped(make_trainer, sgd):
    trainer = make_trainer(optimizer=sgd, lr=1.0, clip=1e-3, epochs=1)
    before = trainer.trainable.model.buffer.data.copy()
    trainer.fit()
    assert 0 < np.linalg.norm(trainer.trainable.model.buffer.data - before) <= 12 * 1.001e-3


def test_best_is_the_best_and_not_the_last(make_trainer, regression):
    weights = []
    trainable = regression(scores=[3.0, 1.0, 2.0])
    trainable.on_validate = lambda: weights.append(trainable.model.weight.data.copy())
    trainer = make_trainer(trainable=trainable)
    trainer.fit()
    tensors, metadata = load_weights(trainer.run)
    np.testing.assert_array_equal(tensors["weight"], weights[1])
    assert metadata["metrics"] == {"error": 1.0}
    assert (trainer.state.best, trainer.state.best_epoch, trainer.state.stale) == (1.0, 2, 1)


@pytest.mark.parametrize(("higher", "best"), [(True, 4.0), (False, 1.0)])
def test_the_direction_of_the_metric(make_trainer, regression, higher, best):
    trainable = regression(scores=[2.0, 4.0, 1.0, float("nan")])
    trainable.higher_is_better = higher
    trainer = make_trainer(trainable=trainable, epochs=4)
    trainer.fit()
    assert trainer.state.best == best


def test_patience(make_trainer, regression):
    trainer = make_trainer(trainable=regression(scores=[3.0, 2.0, 2.0, 2.5, 1.0]), epochs=9, patience=2)
    assert trainer.fit() == "no better for 2 epochs"
    assert trainer.state.epoch == 4


def test_plateau_hears_the_metric(make_trainer, regression):
    trainable = regression(scores=[1.0, 2.0, 3.0])
    trainable.higher_is_better = True
    rising = make_trainer("a", trainable=trainable)
    rising.fit()
    falling = make_trainer("b", trainable=regression(scores=[1.0, 2.0, 3.0]))
    falling.fit()
    assert rising.optimizer.lr == 0.01
    assert falling.optimizer.lr == 0.005


def test_the_time_limit_ends_an_epoch_early_and_validates(make_trainer, monkeypatch):
    now = iter(range(10**6))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))
    trainer = make_trainer(epochs=100, time_limit=2.0)
    assert trainer.fit() == "the time limit of 2 minutes is reached"
    assert 120 <= trainer.state.seconds < 140
    assert trainer.state.batch > 0
    assert trainer.run.best.exists()
    assert trainer.run.last.exists()


# -------------------------------------------------------------------------------------------------- it resumes


@pytest.mark.parametrize("calls", [1, 7, 12, 13, 24, 35])
def test_interrupted_in_a_step_and_resumed_is_bit_equal(make_trainer, regression, calls):
    whole = make_trainer("whole")
    whole.fit()

    first = regression()
    interrupt_in(first, calls)
    broken = make_trainer("broken", trainable=first)
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    assert len(first.seen) == calls, "the step is finished, and no other begun"

    second = regression()
    again = make_trainer("broken", trainable=second)
    again.resume()
    assert again.state.step == calls
    again.fit()
    assert first.seen + second.seen == whole.trainable.seen
    assert result(again.run) == result(whole.run)
    best, expected = load_weights(again.run)[0], load_weights(whole.run)[0]
    assert {name: w.tobytes() for name, w in best.items()} == {name: w.tobytes() for name, w in expected.items()}
    assert losses(again.run) == losses(whole.run)


def test_interrupted_again_and_again(make_trainer, regression):
    whole = make_trainer("whole")
    whole.fit()
    for round_ in range(40):
        trainable = regression()
        interrupt_in(trainable, 5)
        trainer = make_trainer("broken", trainable=trainable)
        if round_:
            trainer.resume()
        try:
            trainer.fit()
        except KeyboardInterrupt:
            continue
        break
    assert round_ == 7
    assert result(trainer.run) == result(whole.run)


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_interrupted_in_the_validation_and_resumed_is_bit_equal(make_trainer, regression, calls):
    whole = make_trainer("whole")
    whole.fit()
    first = regression()
    interrupt_in(first, calls, "on_validate")
    broken = make_trainer("broken", trainable=first)
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    assert broken.state.epoch == calls - 1, "the epoch is not booked before its validation"
    again = make_trainer("broken")
    again.resume()
    again.fit()
    assert result(again.run) == result(whole.run)
    assert losses(again.run) == losses(whole.run)


def test_killed_without_warning_goes_on_from_the_last_checkpoint(make_trainer, regression):
    whole = make_trainer("whole")
    whole.fit()
    first = regression()

    def die():
        if len(first.seen) == 20:
            raise SystemError("the power is cut")

    first.on_step = die
    broken = make_trainer("broken", trainable=first)
    with pytest.raises(SystemError):
        broken.fit()
    again = make_trainer("broken")
    again.resume()
    assert again.state.step == 12
    again.fit()
    assert result(again.run) == result(whole.run)
    assert losses(again.run) == losses(whole.run), "what was logged after the checkpoint is logged once"


def test_looking_seldom_trains_the_same(make_trainer, regression):
    often, seldom = make_trainer("often"), make_trainer("seldom", check_every=5)
    often.fit()
    first = regression()
    interrupt_in(first, 8)
    broken = make_trainer("seldom", trainable=first, check_every=5)
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    seldom = make_trainer("seldom", check_every=5)
    seldom.resume()
    seldom.fit()
    assert result(seldom.run)[0] == result(often.run)[0]
    for a, b in zip(losses(often.run), losses(seldom.run), strict=True):
        assert a == pytest.approx(b)


def test_long_epochs_are_saved_on_the_way(make_trainer, regression, monkeypatch):
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    trainable = regression()

    def die():
        if len(trainable.seen) == 8:
            raise SystemError("the power is cut")

    trainable.on_step = die
    with pytest.raises(SystemError):
        make_trainer(trainable=trainable).fit()
    again = make_trainer()
    again.resume()
    assert again.state.step == 7


def test_more_epochs_after_the_end(make_trainer):
    make_trainer("short", epochs=2).fit()
    longer = make_trainer("short", epochs=3)
    longer.resume()
    longer.fit()
    whole = make_trainer("whole", epochs=3)
    whole.fit()
    assert result(longer.run) == result(whole.run)


def test_a_finished_run_stays_as_it_is(make_trainer):
    make_trainer().fit()
    again = make_trainer()
    again.resume()
    assert again.fit() == "all 3 epochs done"
    assert again.trainable.seen == []


def test_the_second_ctrl_c_does_not_wait(make_trainer, regression):
    trainable = regression()

    def press_twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    trainable.on_step = press_twice
    trainer = make_trainer(trainable=trainable)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert trainer.state.step == 0
    assert not trainer.run.last.exists()


def test_ctrl_c_means_what_it_meant_before_afterwards(make_trainer):
    before = signal.getsignal(signal.SIGINT)
    make_trainer().fit()
    assert signal.getsignal(signal.SIGINT) is before


def test_it_trains_outside_the_main_thread(make_trainer):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(make_trainer().fit).result(60) == "all 3 epochs done"


def test_resume_with_another_model_or_optimizer(make_trainer, sgd):
    make_trainer().fit()
    with pytest.raises(CheckpointError, match=r"does not fit this model .*own settings"):
        make_trainer(optimizer=sgd).resume()


def test_resume_without_a_checkpoint(make_trainer):
    with pytest.raises(CheckpointError, match=r"last\.safetensors does not exist"):
        make_trainer().resume()


# ------------------------------------------------------------------------------------------- it stops when it must


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_gradient_that_is_not_finite_is_named(make_trainer, regression, name, value):
    trainable = regression()

    def spoil():
        if len(trainable.seen) == 16:
            getattr(trainable.model, name).grad.flat[-1] = value

    trainable.on_step = spoil
    trainer = make_trainer(trainable=trainable)
    message = rf"epoch 2, step 16: the gradient is not finite \(first in the gradient of {name}\).*last good state"
    with pytest.raises(DivergenceError, match=message) as info:
        trainer.fit()
    assert "\n" not in str(info.value)
    assert np.isfinite(trainable.model.buffer.data).all(), "the bad step is not taken"
    again = make_trainer()
    again.resume()
    assert again.state.step == 12


def test_a_loss_that_is_not_finite(make_trainer, regression):
    trainable = regression()
    trainable.loss_and_backward = lambda batch, step: (np.float32("nan"), 1)
    with pytest.raises(DivergenceError, match=r"step 1: the loss is not finite .*nothing was saved before"):
        make_trainer(trainable=trainable).fit()


def test_a_gradient_too_large_to_square_is_named_by_its_size(make_trainer, regression):
    trainable = regression()
    trainable.on_step = lambda: trainable.model.bias.grad.fill(1e30)
    with pytest.raises(DivergenceError, match=r"largest gradient is 1e\+30, in bias"):
        make_trainer(trainable=trainable).fit()


def test_weights_that_are_not_finite_never_replace_a_checkpoint(make_trainer, regression):
    trainable = regression()

    def spoil():
        trainable.model.weight.data[0, 0] = np.nan

    make_trainer(epochs=1).fit()
    good = RunDirectory(make_trainer().run.path).last.read_bytes()
    trainable.on_validate = spoil
    trainer = make_trainer(trainable=trainable)
    trainer.resume()
    with pytest.raises(DivergenceError, match=r"\(first in the weight weight\)"):
        trainer.fit()
    assert trainer.run.last.read_bytes() == good


class Pairs:
    """A tiny translator, two batches an epoch."""

    watch, higher_is_better, unit = "loss", False, "token"

    def __init__(self):
        shape = Seq2SeqConfig(9, 9, embedding=4, hidden=3, layers=2, dropout=0.1)
        self.rng = np.random.default_rng(0)
        self.model = Seq2Seq(shape, self.rng)
        self.parameters = dict(self.model.named_parameters())

    def batches(self, epoch):
        return [collate([[4, 5], [6, 7, 8]], [[k, 8, 4], [5]], [0, 1]) for k in (5, 6)]

    def loss_and_backward(self, batch, step):
        return self.model.loss_and_backward(batch)

    def validate(self):
        return {"loss": 1.0}

    def extra_state(self):
        return {}


PLACES = ["encoder.embedding.weight", "encoder.rnn.weight_hh_l0", "bridge.h.bias", "decoder.attention.weight",
          "decoder.combine.weight", "decoder.output.bias"]  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_weight_that_is_not_finite_is_named_and_not_the_gradients_that_it_spoils(make_trainer, name):
    trainable = Pairs()
    trainable.parameters[name].data.flat[-1] = np.nan
    with pytest.raises(DivergenceError, match=rf"step 1: the loss is not finite \(first in the weight {name}\)"):
        make_trainer(trainable=trainable).fit()


@pytest.mark.parametrize("layer", ["decoder.attention", "decoder.output"])
def test_finite_weights_that_overflow_are_named_by_their_output(make_trainer, layer):
    trainable = Pairs()
    trainable.model.buffer.data *= 50  # what each layer hands on is near 1 or -1
    weight = trainable.parameters[f"{layer}.weight"].data
    weight[...] = np.where(weight > 0, 1, -1) * np.float32(3e38)
    with pytest.raises(DivergenceError, match=rf"\(first in the output of {layer}\)") as info:
        make_trainer(trainable=trainable).fit()
    assert "\n" not in str(info.value)
    assert all("forward" not in vars(module) for module in trainable.model.modules()), "nothing is watched any more"


def test_a_gradient_that_overflows_is_named_where_backward_meets_it_first(make_trainer):
    trainable = Pairs()

    def spoil(batch, step):
        answer = trainable.model.loss_and_backward(batch)
        for name in ("encoder.rnn.weight_hh_l0", "bridge.h.bias", "decoder.attention.weight"):
            trainable.parameters[name].grad.fill(np.inf)
        return answer

    trainable.loss_and_backward = spoil
    with pytest.raises(DivergenceError, match=r"first in the gradient of decoder\.attention\.weight\)"):
        make_trainer(trainable=trainable).fit()


def test_if_every_weight_is_bad_none_is_blamed(make_trainer):
    trainable = Pairs()
    trainable.model.buffer.data.fill(np.nan)
    with pytest.raises(DivergenceError, match=r"\(in every weight\)"):
        make_trainer(trainable=trainable).fit()


@pytest.mark.parametrize("limit", [{"time_limit": 0}, {"clip": 0.0}, {"clip": float("nan")}])
def test_a_limit_of_nothing_is_a_programming_error(limit):
    with pytest.raises(ValueError, match=rf"{next(iter(limit))} is .*, expected more than 0, or None"):
        Plan(1, **limit)


def test_a_best_model_never_stands_without_a_checkpoint_to_go_on_from(make_trainer, monkeypatch):
    def cut(*args):
        raise SystemError("the power is cut")

    with monkeypatch.context() as power:
        power.setattr(module.Trainer, "_finish_epoch", cut)
        trainer = make_trainer("broken")
        with pytest.raises(SystemError):
            trainer.fit()
    assert trainer.run.best.exists()
    again = make_trainer("broken")
    assert again.run.has_checkpoint()
    again.resume()
    again.fit()
    whole = make_trainer("whole")
    whole.fit()
    assert result(again.run) == result(whole.run)


def test_a_nan_is_noticed_within_the_interval(make_trainer, regression):
    trainable = regression()

    def spoil():
        if len(trainable.seen) == 3:
            trainable.model.bias.grad[0] = np.nan

    trainable.on_step = spoil
    with pytest.raises(DivergenceError):
        make_trainer(trainable=trainable, check_every=5).fit()
    assert len(trainable.seen) == 5


def test_full_disk_in_the_second_epoch(make_trainer, regression, monkeypatch):
    trainable = regression()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    trainer = make_trainer(trainable=trainable)
    with monkeypatch.context() as disk:
        trainable.on_step = lambda: len(trainable.seen) == 20 and disk.setattr(os, "fsync", fail)
        with pytest.raises(CheckpointError, match="No space left on device"):
            trainer.fit()
    again = make_trainer()
    again.resume()
    assert again.state.step == 12
    assert not [name for name in os.listdir(again.run.path) if name.endswith(".tmp")]


def test_no_batches_is_a_programming_error(make_trainer, regression):
    with pytest.raises(ValueError, match="batches"):
        make_trainer(trainable=regression(count=0)).fit()


def test_the_state_is_json(make_trainer):
    trainer = make_trainer()
    trainer.fit()
    _, metadata = load_checkpoint(trainer.run.last)
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["state"] == dataclasses.asdict(trainer.state)
