"""Which machine the tests run on: markers that skip or fail, and the devices."""

import importlib.util
import os

import pytest
from devices import Device, FakeDevice, why_no_gpu


def _why_no_torch():
    return None if importlib.util.find_spec("torch") else "PyTorch is not installed: pip install 'minis2s[twin]'"


REQUIREMENTS = {"gpu": (why_no_gpu, "MINIS2S_REQUIRE_GPU"), "parity": (_why_no_torch, "MINIS2S_REQUIRE_TORCH")}


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
