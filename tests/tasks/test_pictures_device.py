"""A run with pictures on the device: the host's weights, and no waiting but where the loop looks."""

import fakecupy
import numpy as np
import pytest

from minis2s.data import strokes
from minis2s.tasks import load_task
from minis2s.training import RunDirectory

pytest.importorskip("skimage")
pytest.importorskip("sklearn")

VARIANTS = {
    "compression": {"width": 3},
    "compression, pooled": {"width": 3, "net": "pooled"},
    "compression, stacked": {"width": 9, "net": "stacked", "code": 4, "sparsity": 0.1},
    "denoising, unet": {"net": "unet", "width": 2},
    "generation": {"width": 9, "latent": 3},
    "generation, conv": {"width": 2, "latent": 3, "net": "conv"},
}


@pytest.fixture
def trainer_on(tmp_path):
    pixels, labels = strokes.generate(90, np.random.default_rng(0), 8)
    np.savez(tmp_path / "data.npz", images=pixels, labels=labels)

    def make(device, variant, name="run"):
        task = load_task(variant.split(",")[0])
        data = {"data": str(tmp_path / "data.npz"), "epochs": 2, "batch_size": 16, "validation": 0.1, "lr": 1e-3}
        return task.start(task.settings(data | VARIANTS[variant]), lambda: RunDirectory.create(tmp_path / name), device)

    return make


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.usefixtures("same_random_numbers")
def test_a_run_on_the_device_is_a_run_on_the_host(variant, trainer_on, device):
    runs = {name: trainer_on(name, variant, name) for name in ("cpu", "cuda")}
    for trainer in runs.values():
        trainer.fit()
    weights = {name: trainer.trainable.model.state_dict() for name, trainer in runs.items()}
    for name, expected in weights["cpu"].items():
        np.testing.assert_allclose(weights["cuda"][name], expected, atol=100 * device.tolerance, err_msg=name)
    validations = [trainer.trainable.validate() for trainer in runs.values()]
    assert validations[0] == pytest.approx(validations[1], rel=0.01)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_waits_for_the_device_only_when_the_loop_looks(variant, trainer_on, fake_device):
    trainer = trainer_on("cuda", variant)
    batches = trainer.trainable.batches(0)
    with fakecupy.no_sync():
        trainer._step(batches[0], look=False)
    with fakecupy.trace() as trace:
        trainer._step(batches[1], look=True)
    assert trace.syncs == 1
    assert trainer.state.epoch_count > 0
