"""NumPy or CuPy: the one file that knows there are two.

Everything above this floor asks an array which module it belongs to, and calls that module::

    xp = get_xp(x)
    y = xp.tanh(x)

Data crosses between host and device in :func:`to_device`, :func:`to_numpy` and :func:`item`, and nowhere else.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from threading import current_thread
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from minis2s.errors import DeviceError

Array = Any
"""A `numpy.ndarray` or a `cupy.ndarray`: which of the two, only :func:`get_xp` asks."""

T = TypeVar("T")

DEVICES = ("cpu", "cuda", "auto")
_current_device: ContextVar[str] = ContextVar("minis2s_device", default="cpu")


# --------------------------------------------------------------------------------------------------- which device


def get_xp(x: Array) -> ModuleType:
    """The module, `numpy` or `cupy`, whose functions take `x`."""
    return np if isinstance(x, (np.ndarray, np.generic)) else load_cupy()


def load_cupy() -> ModuleType:
    """Import CuPy, or say how to install it. An import proves nothing about a GPU: see :func:`resolve_device`."""
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            "device 'cuda' needs CuPy, which is not installed; run `pip install 'minis2s[gpu]'` "
            "(CUDA 13; for CUDA 12 `minis2s[gpu12]`), or use --device cpu"
        ) from error
    return cupy


def _first_line(error: Exception) -> str:
    """What an error says first; its name if it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__


def _require_gpu() -> None:
    """Make sure of a GPU by one small computation; CuPy imports happily without one."""
    cupy = load_cupy()
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if count:
            (cupy.arange(3, dtype=np.float32) + 1).sum().item()
    except Exception as error:
        raise DeviceError(
            f"device 'cuda' is not usable: {_first_line(error)}; "
            "check the driver with `nvidia-smi`, or use --device cpu"
        ) from error
    if not count:
        raise DeviceError("device 'cuda' found no GPU; check `nvidia-smi`, CUDA_VISIBLE_DEVICES, or use --device cpu")


def resolve_device(name: str | None = None) -> str:
    """Turn `cpu`, `cuda` or `auto` into `cpu` or `cuda`; None reads MINIS2S_DEVICE, else means `cpu`.

    Only `auto` falls back to the CPU.

    Raises
    ------
    DeviceError
        For `cuda` without CuPy or without a working GPU, and for any other name.
    """
    name = name or os.environ.get("MINIS2S_DEVICE") or "cpu"
    if name not in DEVICES:
        raise DeviceError(f"device is {name!r}, expected one of {', '.join(DEVICES)}")
    if name == "cpu":
        return "cpu"
    try:
        _require_gpu()
    except DeviceError:
        if name == "cuda":
            raise
        return "cpu"
    return "cuda"


@contextmanager
def use_device(name: str | None = None) -> Iterator[str]:
    """Make `name` the device that :func:`to_device` moves arrays to, inside the `with` block.

    A device that runs out of memory inside the block is reported with what to do about it.
    """
    device = resolve_device(name)
    token = _current_device.set(device)
    try:
        yield device
    except Exception as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        raise DeviceError(
            f"the GPU is out of memory ({_first_line(error)}); "
            "use a smaller --set batch_size=... or hidden=..., or --device cpu"
        ) from error
    finally:
        _current_device.reset(token)


def current_device() -> str:
    """`cpu` or `cuda`: where :func:`to_device` puts arrays now."""
    return _current_device.get()


# ------------------------------------------------------------------------------------------------- transfers


def to_device(x: np.ndarray | None, device: str | None = None) -> Array:
    """Move a host array to `device` (default: the current one). An array that is there already is returned as it is."""
    if x is None:
        return None
    device = device or current_device()
    if device == "cpu":
        return to_numpy(x)
    return load_cupy().asarray(x)


def to_numpy(x: Array) -> np.ndarray:
    """Move an array to the host; this waits for the device. A host array is returned as it is."""
    if isinstance(x, (np.ndarray, np.generic, int, float, list, tuple)):
        return np.asarray(x)
    return load_cupy().asnumpy(x)


def item(x: Array) -> float | int | bool:
    """The one number in `x`, on the host; this waits for the device."""
    return x.item() if hasattr(x, "item") else x


# ---------------------------------------------------------------------------------- what the two spell differently


def scatter_add(ids: Array, rows: Array, count: int) -> Array:
    """Sum rows that share an id: `out[v] = sum of rows[n] over n with ids[n] == v`.

    On the host number by number: NumPy has a fast `add.at` for one axis only, eight times as fast as for rows. On the
    device `add.at` adds with atomics, without waiting.

    Parameters
    ----------
    ids : integer array (M,)
        In [0, count). The device does not check: validate on the host.
    rows : array (M, D)
    count : int
        Number of rows of the result.

    Returns
    -------
    array (count, D)
    """
    xp = get_xp(rows)
    out = xp.zeros((count, rows.shape[1]), dtype=rows.dtype)
    if ids.size == 0:
        return out
    if xp is not np:
        xp.add.at(out, ids, rows)
        return out
    width = rows.shape[1]
    places = (ids[:, None] * width + np.arange(width)).reshape(-1)
    np.add.at(out.reshape(-1), places, rows.reshape(-1))
    return out


def random_uniform(rng: np.random.Generator, shape: tuple[int, ...], like: Array) -> Array:
    """Numbers in [0, 1), float32, on the device of `like`, drawn from the host's stream `rng`.

    On a device only a 64-bit key comes from `rng`; the numbers are a hash of key and position (the finaliser of
    SplitMix64, Steele, Lea & Flood 2014). So the stream's whole state stays on the host, and a run resumes exactly.
    """
    xp = get_xp(like)
    if xp is np:
        return rng.random(shape, dtype=np.float32)
    key = int(rng.integers(2**63))
    size = int(np.prod(shape))
    bits = (xp.arange(size, dtype=xp.uint64) + np.uint64(key)) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = (bits ^ (bits >> np.uint64(31))) >> np.uint64(40)
    return (bits.astype(xp.float32) * np.float32(2.0**-24)).reshape(shape)


def strided_view(x: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """View memory of `x`, from its first number on, in another shape, by steps in bytes. Nothing is checked."""
    return get_xp(x).lib.stride_tricks.as_strided(x, shape, strides)


def rows_without_padding(mask: Array | None, count: int) -> list[bool]:
    """For each of the `count` rows of a mask: does the host know that the row is all True?

    Lets a loop over time skip the masking of full steps. Asking a device would make it wait, so there the answer is no.
    """
    if mask is None:
        return [True] * count
    if isinstance(mask, np.ndarray):
        return [bool(row.all()) for row in mask]
    return [False] * count


# --------------------------------------------------------------------------------------------- all cores of the host


PAYS = 1 << 12
"""Numbers in an array from which on a second thread is worth waking."""

SHARE_PAYS = 1 << 19
"""Numbers in an array from which on to share one operation on it, of a tenth of a millisecond or more, is worth it."""

MATMUL_PAYS = 1 << 21
"""Multiplications in a core's share of a matrix product, or of a stack of them, that make waking it worth while."""


@cache
def _cores() -> int:
    """How many there are. The system takes longer to say so than a small product takes."""
    return os.cpu_count() or 1


@cache
def _blas() -> Any:
    """The handle on NumPy's matrix library."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@cache
def _blas_threads() -> int:
    """How many threads it would use by itself, or was told to (OPENBLAS_NUM_THREADS), before we say anything."""
    return max((library["num_threads"] for library in _blas().info()), default=1)


@contextmanager
def one_core() -> Iterator[None]:
    """Matrix products on one core inside the `with` block: for small ones, whose threads would only wait."""
    if _pool() is None:  # nor are there others to keep asleep
        yield
        return
    _blas_threads()  # to be asked before, and remembered
    with _blas().limit(limits=1):
        yield


@cache
def _pool() -> ThreadPoolExecutor | None:
    """A thread for every core but the caller's; None where there is one core, or no threads (Pyodide)."""
    others = _cores() - 1
    return ThreadPoolExecutor(others, "minis2s") if others and sys.platform != "emscripten" else None


_has_its_share: ContextVar[bool] = ContextVar("minis2s_has_its_share", default=False)


@contextmanager
def _sharing() -> Iterator[None]:
    """Every core has its share inside the `with` block, the caller too, and makes its matrix products alone."""
    token = _has_its_share.set(True)
    try:
        with one_core():
            yield
    finally:
        _has_its_share.reset(token)


def _helpers() -> ThreadPoolExecutor | None:
    """The pool, for a caller whose work is not shared yet.

    One of its own threads gets None: waiting for itself it would wait for ever. So does the caller while every core has
    its share: it would wait for a core that is busy.
    """
    shared = _has_its_share.get() or current_thread().name.startswith("minis2s")
    return None if shared else _pool()


def in_blocks(work: Callable[[slice], object], count: int, block: int, like: Array) -> None:
    """Call `work(rows)` for slices that together cover range(count).

    For several operations on large host arrays: blocks of `block` rows stay in the cache from one to the next, and the
    cores share them, because NumPy lets go of the interpreter inside its loops. A device gets one slice with
    everything: it wants few and large launches.
    """
    if not isinstance(like, np.ndarray) or count <= block:
        work(slice(0, count))
        return

    def run(first: int, last: int) -> None:
        for start in range(first, last, block):
            work(slice(start, min(start + block, last)))

    _share(run, count, _cores())


def in_shares(work: Callable[[slice], object], count: int, like: Array) -> None:
    """Call `work(rows)` for slices that together cover range(count): one for each core, if `like` is large enough.

    For few and long operations. Where they are many and short, the cores wait for the interpreter more than they gain.
    """
    cores = os.cpu_count() or 1
    in_blocks(work, count, count if like.size < SHARE_PAYS else -(-count // cores), like)


def elementwise(work: Callable[..., object], *arrays: Array) -> None:
    """Call `work(*arrays)` with a part of all arrays on each core: for operations number by number, as `in_shares`.

    The arrays have one shape, and should lie alike in memory; else, and on a device, work gets them whole.
    """
    first = arrays[0]
    if first.size < SHARE_PAYS or not isinstance(first, np.ndarray) or not _alike(arrays):
        work(*arrays)
        return
    flat = [a.ravel(order="K") for a in arrays]  # views, in the order in which the numbers lie
    in_shares(lambda part: work(*(a[part] for a in flat)), first.size, like=first)


def _alike(arrays: tuple[np.ndarray, ...]) -> bool:
    """Do arrays lie in the same order, without gaps?"""
    return all(a.strides == arrays[0].strides and a.size * a.itemsize == _extent(a) for a in arrays)


def _extent(x: np.ndarray) -> int:
    """Bytes from the first number of an array to the end of its last."""
    return x.itemsize + sum((n - 1) * abs(step) for n, step in zip(x.shape, x.strides, strict=True))


def _share(work: Callable[[int, int], object], count: int, shares: int) -> None:
    """Call `work(first, last)` for equal shares of range(count), each on a core of its own."""
    pool = _helpers()
    if pool is None:
        work(0, count)
        return
    bounds = np.linspace(0, count, shares + 1).astype(int).tolist()
    with _sharing():
        others = [pool.submit(work, first, last) for first, last in pairwise(bounds[1:])]
        work(0, bounds[1])
        for other in others:
            other.result()


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """Product a @ b of two matrices, or of two stacks of as many matrices.

    The matrix library shares a large product among the cores, but works through a stack one matrix after the other.
    On the host a large stack is cut between its matrices, and each core makes its part alone.
    """
    xp = get_xp(a)
    shares = min(_cores(), a.size * b.shape[-1] // MATMUL_PAYS) if xp is np else 1
    if shares < 2 or _helpers() is None:
        return xp.matmul(a, b, out=out)
    if a.ndim == 2:
        with _blas().limit(limits=_blas_threads()):
            return np.matmul(a, b, out=out)
    if out is None:
        out = np.empty((*a.shape[:-1], b.shape[-1]), dtype=np.result_type(a, b))

    def part(first: int, last: int) -> None:
        np.matmul(a[first:last], b[first:last], out=out[first:last])

    _share(part, len(a), shares)
    return out


def side_by_side_pays(like: Array) -> bool:
    """Is there a second core, and `like`, an array such as each step handles, large enough to wake it?"""
    return isinstance(like, np.ndarray) and like.size >= PAYS and _helpers() is not None


def side_by_side(first: Callable[[], T], second: Callable[[], T], like: Array) -> tuple[T, T]:
    """Results of two computations that know nothing of each other, such as the two directions of a recurrent net.

    On the host, and where `like`, an array such as each step handles, is large enough to pay for it, each gets a core
    of its own: its matrix products run on that core alone meanwhile, which beats sharing every small one.
    """
    pool = _helpers()
    if pool is None or not side_by_side_pays(like):
        return first(), second()
    with _sharing():
        other = pool.submit(second)
        mine = first()
        return mine, other.result()


# ----------------------------------------------------------------------------------------------- settings of a program


def prepare_process() -> None:
    """Make the whole process fit for training: memory that is freed is kept, other cores are woken for large work only.

    For programs, at their start, and not for a library, which would change its user's process.
    """
    _keep_memory()
    _wake_few_cores()


def _keep_memory() -> None:
    """Let the process keep the memory it frees, for the arrays that come next.

    A training step makes and drops the same arrays every time. Handed back to the system and fetched again page by
    page they cost up to a fifth of the step. Only glibc (Linux) hands back so eagerly; elsewhere nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    trim_threshold, mmap_threshold = -1, -3  # malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda option, value: 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_threshold, 2**30)


def _wake_few_cores() -> None:
    """Let the matrix library wake other cores for large products only.

    Its threads wait for each other in every product. While other programs keep a core busy, that makes a small one a
    hundred times slower, and a training ten times.
    """
    if _blas_threads() > 1:
        _blas().limit(limits=1)
