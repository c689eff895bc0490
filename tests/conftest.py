"""Which machine the tests run on: markers that skip or fail, and the devices."""

import importlib.util
import os
import sys

if "PYTEST_XDIST_WORKER" in os.environ:  # read when NumPy is imported: a worker has one core, more threads would wait
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from devices import Device, FakeDevice, why_no_gpu

from minis2s import backend
from minis2s.gradcheck import diagnosis

diagnosis.STRICT = True


def _why_no_torch():
    return None if importlib.util.find_spec("torch") else "PyTorch is not installed: pip install 'minis2s[twin]'"


REQUIREMENTS = {"gpu": (why_no_gpu, "MINIS2S_REQUIRE_GPU"), "parity": (_why_no_torch, "MINIS2S_REQUIRE_TORCH")}


def pytest_configure(config):
    """Hand out the files in their order: else those with few tests come last, and the lessons, few and long, alone."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_runtest_setup(item):
    """Skip what this machine cannot run; fail instead where the environment says that it must."""
    for marker, (why_not, variable) in REQUIREMENTS.items():
        if item.get_closest_marker(marker) and (reason := why_not()):
            (pytest.fail if os.environ.get(variable) == "1" else pytest.skip)(reason)


@pytest.fixture
def torch():
    """PyTorch, for tests marked `parity`; imported only when such a test runs."""
    import torch

    torch.set_num_threads(1)
    return torch


@pytest.fixture
def fake_device(monkeypatch):
    """The strict fake device in the place of CuPy."""
    return FakeDevice(monkeypatch)


@pytest.fixture(params=["fake", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """Each device there is: the strict fake, and CuPy on a real GPU."""
    return FakeDevice(monkeypatch) if request.param == "fake" else Device()


@pytest.fixture
def same_random_numbers(monkeypatch):
    """Let a device draw the numbers that the host draws, wherever the library calls `random_uniform`."""

    def drawn_on_host(rng, shape, like):
        return backend.to_device(rng.random(shape, dtype=np.float32), "cpu" if isinstance(like, np.ndarray) else "cuda")

    for name, module in list(sys.modules.items()):
        if name.startswith("minis2s.") and hasattr(module, "random_uniform"):
            monkeypatch.setattr(module, "random_uniform", drawn_on_host)
