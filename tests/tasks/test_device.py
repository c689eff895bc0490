"""A whole run on the device: the host's weights, and no waiting but where the loop looks."""

import fakecupy
import numpy as np
import pytest

from minis2s.tasks import load_task
from minis2s.tasks.sequence import start
from minis2s.training import RunDirectory

SETTINGS = {"limit": 200, "epochs": 2, "embedding": 5, "hidden": 6, "batch_size": 16, "validation_examples": 20}
VARIANTS = {"addition": {}, "reverse": {"cell": "lstm", "layers": 2, "clip": None, "weight_decay": 0.1}}


def trainer_on(device, task, folder):
    settings = load_task(task).settings(SETTINGS | VARIANTS[task])
    return start(load_task(task), settings, lambda: RunDirectory.create(folder), device)


@pytest.mark.parametrize("task", VARIANTS)
def test_a_run_on_the_device_is_a_run_on_the_host(task, tmp_path, device):
    runs = {name: trainer_on(name, task, tmp_path / name) for name in ("cpu", "cuda")}
    for trainer in runs.values():
        trainer.fit()
    weights = {name: trainer.trainable.model.state_dict() for name, trainer in runs.items()}
    for name, expected in weights["cpu"].items():
        np.testing.assert_allclose(weights["cuda"][name], expected, atol=100 * device.tolerance, err_msg=name)
    again = trainer_on("cpu", task, tmp_path / "again")
    again.run = runs["cuda"].run
    again.resume()
    assert again.state.step == runs["cpu"].state.step, "a run moves from one device to another"


@pytest.mark.parametrize("task", VARIANTS)
def test_a_step_waits_for_the_device_only_when_the_loop_looks(task, tmp_path, fake_device):
    trainer = trainer_on("cuda", task, tmp_path / "run")
    batches = trainer.trainable.batches(0)
    with fakecupy.no_sync():
        trainer._step(batches[0], look=False)
    with fakecupy.trace() as trace:
        trainer._step(batches[1], look=True)
    assert trace.syncs == 1
    assert trainer.state.epoch_count > 0
