"""A strict stand-in for CuPy on machines without a GPU.

Arrays of this module live in host memory, but behave as if they did not: whatever CuPy 14 refuses is refused, and what
CuPy does silently at a cost is counted::

    with fakecupy.trace() as t, fakecupy.no_sync(), fakecupy.no_float64():
        model.loss_and_backward(batch)
    assert t.launches <= 500, t.report()

Refused as by CuPy: implicit conversion to NumPy, operations that mix device and host arrays, functions, methods and
keywords that CuPy lacks (cupy_surface.json, written by make_surface.py from an installed CuPy 14.2), `add.at` in types
without an atomic addition.

Refused though CuPy would go on: NumPy functions of device arrays (CuPy forwards some), index lists and host index
arrays (it moves them unasked), writing through repeated indices (it keeps any of the values), indices out of range (it
wraps them).

Counted, after the sources of CuPy 14 (cupy/_core): a kernel for each operation that makes or changes an array, more
where CuPy starts more; views are free. Hidden copies: of an input that overlaps `out` in byte range and is another
object, of strided operands of a product. Waits of the host: `float`, `item`, `if`, boolean indices, `nonzero`.
The counts are those of kernels and cannot tell how long one takes.

There is no `random`: on a device the project hashes a key (:func:`minis2s.backend.random_uniform`).
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np

from .array import SURFACE, call, ndarray, several_index_kernels, unwrap, wrap
from .counting import (
    Float64Error,
    SyncError,
    Trace,
    check_dtype,
    launch,
    no_float64,
    no_sync,
    sync,
    trace,
    upload,
)

__all__ = ["Float64Error", "SyncError", "Trace", "ndarray", "no_float64", "no_sync", "trace"]

AS_IN_NUMPY = {
    *("e", "inf", "nan", "newaxis", "pi", "dtype", "finfo", "iinfo", "bool_", "float16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "complex64", "complex128"),
}
"""Constants and types that the two share."""
ATOMIC = ("int32", "float16", "float32", "float64", "uint32", "uint64")
"""Types in which CuPy's `add.at` works."""


# ------------------------------------------------------------------------------------------------- transfers


def asarray(x, dtype=None):
    """Move to the device, unless it is there."""
    if isinstance(x, ndarray):
        return x if dtype in (None, x.dtype) else x.astype(dtype)
    upload()
    host = np.array(x, dtype=dtype)
    check_dtype("asarray", host.dtype)
    return wrap(host)


def array(x, dtype=None, copy=True):
    """Move to the device, or copy there."""
    return x.astype(dtype or x.dtype, copy=copy) if isinstance(x, ndarray) else asarray(x, dtype)


def asnumpy(x):
    """Move to the host, which waits for it."""
    return x.get() if isinstance(x, ndarray) else np.asarray(x)


def get_array_module(*args):
    """This module if any argument is on the device."""
    return sys.modules[__name__] if any(isinstance(x, ndarray) for x in args) else np


# ------------------------------------------------------------------------------------------------- functions


class Function:
    """A function of CuPy, carried out by NumPy's of the same name."""

    def __init__(self, name, function, parameters):
        self.__name__, self.function, self.parameters = name, function, parameters

    def __call__(self, *args, **kwargs):
        result = call(self.__name__, self.function, args, kwargs, self.parameters)
        return wrap(np.asarray(result)) if isinstance(result, bool) else result  # allclose: 0-d, on the device

    def at(self, a, index, values):
        """Add, or take the larger or smaller, by atomics: repeated indices are right."""
        if self.__name__ not in ("add", "maximum", "minimum"):
            raise NotImplementedError(f"`cupy_{self.__name__}.at` is not supported yet")
        if not isinstance(a, ndarray) or a.dtype.name not in ATOMIC:
            raise TypeError(f"scatter_{self.__name__} only supports device arrays of {', '.join(ATOMIC)}")
        parts = index if isinstance(index, tuple) else (index,)
        self.function.at(a._host, unwrap(index, "at"), unwrap(values, "at"))
        launch(f"{self.__name__}.at", several_index_kernels(len(parts)))


def _lookup(prefix, section, ours):
    """What CuPy calls `prefix + name`, or AttributeError if it has no such thing."""

    def lookup(name):
        if name not in section:
            raise AttributeError(f"CuPy {SURFACE['cupy']} has no {prefix}{name}, or the fake device does not know it")
        return Function(prefix + name, getattr(ours, name), section[name])

    return lookup


_function = _lookup("", SURFACE["functions"], np)
linalg = ModuleType("fakecupy.linalg")
lib = SimpleNamespace(
    stride_tricks=SimpleNamespace(
        as_strided=lambda x, shape, strides: wrap(np.lib.stride_tricks.as_strided(x._host, shape, strides))
    )
)
linalg.__getattr__ = _lookup("linalg.", SURFACE["linalg"], np.linalg)


def __getattr__(name):
    return getattr(np, name) if name in AS_IN_NUMPY else _function(name)


# ------------------------------------------------------------------------------------------------- the one device


class OutOfMemoryError(MemoryError):
    """As cupy.cuda.memory.OutOfMemoryError."""


cuda = SimpleNamespace(
    runtime=SimpleNamespace(getDeviceCount=lambda: 1, deviceSynchronize=lambda: sync("deviceSynchronize")),
    memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
)
