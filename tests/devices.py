"""The devices that a test can run on, behind one face: CuPy on a GPU, or the strict fake of it."""

from contextlib import contextmanager, nullcontext
from functools import cache

import fakecupy

from minis2s import backend
from minis2s.errors import DeviceError


@cache
def why_no_gpu():
    """The reason why tests on a real GPU cannot run here, or None."""
    try:
        backend.resolve_device("cuda")
    except DeviceError as error:
        return str(error)
    return None


class Device:
    """CuPy, whichever the backend finds."""

    tolerance = 2e-4
    """Relative error that float32 may show against NumPy: another order of summation."""

    def put(self, x):
        """Move an array, None, or a tuple or list of them to the device."""
        if isinstance(x, (tuple, list)):
            return type(x)(self.put(part) for part in x)
        return backend.to_device(x, "cuda")

    def strict(self):
        """Inside the block nothing may wait or be float64. Only the fake can tell."""
        return nullcontext(fakecupy.Trace())


class FakeDevice(Device):
    """The strict fake, put in the place of CuPy for one test."""

    tolerance = 1e-5

    def __init__(self, monkeypatch):
        monkeypatch.setattr(backend, "load_cupy", lambda: fakecupy)

    @contextmanager
    def strict(self):
        """Inside the block nothing may wait or be float64; the launches are counted."""
        with fakecupy.trace() as t, fakecupy.no_sync(), fakecupy.no_float64():
            yield t
