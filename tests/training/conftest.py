import os

import numpy as np
import pytest

from minis2s.nn.module import Module, Parameter
from minis2s.optim import SGD, Adam, Plateau
from minis2s.training import Plan, RunDirectory, Trainer


class Line(Module):
    """y = x w + b, the smallest model with two layers' worth of names."""

    def __init__(self, rng):
        self.weight = Parameter(rng.normal(size=(3, 2)).astype(np.float32))
        self.bias = Parameter(rng.normal(size=2).astype(np.float32))


class Regression:
    """A trainable that uses noise in every step, draws in its validation, and can be told to misbehave."""

    watch = "error"
    higher_is_better = False
    unit = "row"

    def __init__(self, seed=0, count=12, scores=None):
        self.model = Line(np.random.default_rng([seed, 1]))
        self.rng = np.random.default_rng([seed, 2])
        self.seed, self.count, self.scores = seed, count, scores
        self.on_step = self.on_validate = lambda: None
        self.seen, self.steps = [], []
        self.mean = np.float32(0)

    def batches(self, epoch):
        rng = np.random.default_rng([self.seed, epoch])
        return [rng.normal(size=(4 + k % 3, 3)).astype(np.float32) for k in rng.permutation(self.count)]

    def extra_state(self):
        return {"mean": np.asarray(self.mean)}

    def load_extra_state(self, state):
        self.mean = state["mean"]

    def loss_and_backward(self, batch, step):
        assert self.model.training
        self.seen.append(float(batch[0, 0]))
        self.mean = 0.9 * self.mean + 0.1 * batch.mean()
        batch = batch - self.mean
        self.steps.append(step)
        x = batch + 0.1 * self.rng.normal(size=batch.shape).astype(np.float32)
        y = x @ self.model.weight.data + self.model.bias.data
        target = batch[:, :2] * 2 - 1
        dy = 2 * (y - target) / y.size
        self.model.weight.grad += x.T @ dy
        self.model.bias.grad += dy.sum(axis=0)
        self.on_step()
        return ((y - target) ** 2).mean(), len(batch)

    def validate(self):
        assert not self.model.training
        self.rng.random(7)
        self.on_validate()
        if self.scores is not None:
            return {"error": self.scores.pop(0)}
        return {"error": float(np.square(self.model.weight.data).mean()), "extra": 1.0}


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # the disk is not under test, except where a test says so


@pytest.fixture
def make_trainer(tmp_path):
    def make(name="run", trainable=None, optimizer=Adam, schedule=None, lr=0.01, **plan):
        trainable = trainable or Regression()
        run = RunDirectory(tmp_path / name)
        if not run.path.exists():
            run = RunDirectory.create(run.path)
            run.write_config("line", {"lr": lr})
        return Trainer(
            trainable,
            optimizer(trainable.model.buffer, lr=lr),
            schedule or Plateau(lr, patience=0),
            run,
            Plan(**{"epochs": 3, "clip": 1.0} | plan),
            {"task": "line", "lr": lr},
        )

    return make


@pytest.fixture
def regression():
    return Regression


@pytest.fixture
def sgd():
    return SGD
