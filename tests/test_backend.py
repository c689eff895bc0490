"""Devices, transfers, scatter_add and random numbers."""

import sys
from contextlib import contextmanager
from functools import cache
from types import ModuleType, SimpleNamespace

import fakecupy
import numpy as np
import pytest

from minis2s import backend
from minis2s.errors import DeviceError, UserError


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv("MINIS2S_DEVICE", raising=False)


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # makes `import cupy` fail


def put_cupy(monkeypatch, get_device_count):
    """A CuPy that imports, as it does without a GPU, and answers `get_device_count()` when asked for devices."""
    cupy = ModuleType("cupy")
    cupy.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=get_device_count))
    cupy.arange = fakecupy.arange
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy


def no_driver():
    raise RuntimeError(
        "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version\nmore"
    )


def assert_for_the_user(error, *parts):
    """One line that names the cause and the remedy."""
    assert isinstance(error.value, UserError)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 250
    for part in parts:
        assert part in message


# ------------------------------------------------------------------------------------------------- which device


@pytest.mark.usefixtures("no_cupy")
def test_cuda_without_cupy_says_how_to_install_it():
    with pytest.raises(DeviceError) as error:
        backend.resolve_device("cuda")
    assert_for_the_user(error, "CuPy", "not installed", "pip install 'minis2s[gpu]'", "--device cpu")


def test_cuda_with_a_broken_driver_names_the_cause(monkeypatch):
    put_cupy(monkeypatch, no_driver)
    with pytest.raises(DeviceError) as error:
        backend.resolve_device("cuda")
    assert_for_the_user(error, "cudaErrorInsufficientDriver", "nvidia-smi", "--device cpu")


def test_cuda_without_a_gpu(monkeypatch):
    put_cupy(monkeypatch, lambda: 0)
    with pytest.raises(DeviceError) as error:
        backend.resolve_device("cuda")
    assert_for_the_user(error, "no GPU", "nvidia-smi", "CUDA_VISIBLE_DEVICES", "--device cpu")


def test_cuda_that_cannot_compute(monkeypatch):
    """A device is counted, but its first kernel fails: an import and a count prove nothing."""

    def fail(*args, **kwargs):
        raise RuntimeError("")

    put_cupy(monkeypatch, lambda: 1).arange = fail
    with pytest.raises(DeviceError) as error:
        backend.resolve_device("cuda")
    assert_for_the_user(error, "not usable: RuntimeError")


def test_auto_falls_back_and_only_auto(monkeypatch):
    for count in (no_driver, lambda: 0):
        put_cupy(monkeypatch, count)
        assert backend.resolve_device("auto") == "cpu"
        assert backend.resolve_device("cpu") == "cpu"
        with pytest.raises(DeviceError):
            backend.resolve_device("cuda")
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert backend.resolve_device("auto") == "cpu"


def test_auto_takes_a_gpu_that_works(monkeypatch):
    put_cupy(monkeypatch, lambda: 1)
    assert backend.resolve_device("auto") == "cuda"
    assert backend.resolve_device("cuda") == "cuda"


def test_the_variable_speaks_where_nobody_else_does(monkeypatch):
    put_cupy(monkeypatch, lambda: 1)
    assert backend.resolve_device() == "cpu"
    monkeypatch.setenv("MINIS2S_DEVICE", "cuda")
    assert backend.resolve_device() == "cuda"
    assert backend.resolve_device("cpu") == "cpu"
    monkeypatch.setenv("MINIS2S_DEVICE", "")
    assert backend.resolve_device() == "cpu"


@pytest.mark.parametrize("name", ["gpu", "CPU", "cuda:0"])
def test_unknown_names_are_refused(name, monkeypatch):
    with pytest.raises(DeviceError) as error:
        backend.resolve_device(name)
    assert_for_the_user(error, repr(name), "cpu, cuda, auto")
    monkeypatch.setenv("MINIS2S_DEVICE", name)
    with pytest.raises(DeviceError, match="expected one of"):
        backend.resolve_device()


@pytest.mark.usefixtures("fake_device")
def test_use_device_holds_inside_its_block():
    x = np.ones(2)
    assert backend.current_device() == "cpu"
    assert backend.to_device(x) is x
    with backend.use_device("cuda") as outer:
        assert outer == backend.current_device() == "cuda"
        assert isinstance(backend.to_device(x), fakecupy.ndarray)
        with backend.use_device("cpu"):
            assert backend.to_device(x) is x
        assert backend.current_device() == "cuda"
    assert backend.current_device() == "cpu"
    with pytest.raises(KeyError), backend.use_device("cuda"):
        raise KeyError
    assert backend.current_device() == "cpu"


@pytest.mark.usefixtures("fake_device")
def test_out_of_memory_says_what_to_do():
    with pytest.raises(DeviceError) as error, backend.use_device("cuda"):
        raise fakecupy.cuda.memory.OutOfMemoryError("Out of memory allocating 9,663,676,416 bytes")
    assert_for_the_user(error, "out of memory", "9,663,676,416 bytes", "batch_size", "--device cpu")
    assert isinstance(error.value.__cause__, fakecupy.cuda.memory.OutOfMemoryError)
    with pytest.raises(DeviceError, match="out of memory"), backend.use_device("cuda"):
        raise fakecupy.cuda.memory.OutOfMemoryError  # without a word


# ------------------------------------------------------------------------------------------------- transfers


def test_transfers(device):
    host = np.arange(6, dtype=np.float32).reshape(2, 3)
    there = backend.to_device(host, "cuda")
    assert not isinstance(there, np.ndarray)
    assert backend.to_device(there, "cuda") is there
    assert backend.to_device(None, "cuda") is None
    assert backend.get_xp(there) is backend.load_cupy()
    assert backend.get_xp(host) is backend.get_xp(np.float32(1)) is np
    back = backend.to_numpy(there)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, host)
    np.testing.assert_array_equal(backend.to_device(there, "cpu"), host)
    assert backend.item(there.sum()) == backend.item(host.sum()) == 15
    assert backend.item(3) == 3
    assert type(backend.item(host.sum())) is float
    np.testing.assert_array_equal(backend.to_numpy([1, 2]), [1, 2])
    assert backend.to_numpy(host) is host
    assert device.tolerance


def test_transfers_are_the_only_ones(fake_device):
    with fakecupy.trace() as t:
        x = backend.to_device(np.ones(3), "cuda")
        backend.to_numpy(x)
        backend.item(x.sum())
    assert (t.uploads, t.downloads, t.syncs) == (1, 2, 2)
    assert fake_device


# ------------------------------------------------------------------------------------------------- scatter_add


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "ids", [[], [3], [2, 2, 2, 2], [4, 0, 4, 1, 0, 4], list(range(5)), [0] * 50 + [4] * 50], ids=len
)
def test_scatter_add_is_add_at(ids, dtype):
    rng = np.random.default_rng(0)
    ids = np.array(ids, dtype=np.int64)
    rows = rng.normal(size=(len(ids), 3)).astype(dtype)
    expected = np.zeros((5, 3), dtype)
    np.add.at(expected, ids, rows)
    kept = ids.copy(), rows.copy()
    out = backend.scatter_add(ids, rows, 5)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)
    np.testing.assert_array_equal(ids, kept[0])
    np.testing.assert_array_equal(rows, kept[1])


@pytest.mark.parametrize("ids", [[], [4, 0, 4, 1, 0, 4]], ids=len)
def test_scatter_add_on_the_device(ids, device):
    ids = np.array(ids, dtype=np.int64)
    rows = np.random.default_rng(0).normal(size=(len(ids), 3)).astype(np.float32)
    on_device = device.put((ids, rows))
    with device.strict():
        out = backend.scatter_add(*on_device, 5)
    np.testing.assert_allclose(backend.to_numpy(out), backend.scatter_add(ids, rows, 5), rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------------------------- random numbers


@pytest.fixture(params=["cpu", "fake", pytest.param("gpu", marks=pytest.mark.gpu)])
def like(request, monkeypatch):
    """An array on each machine."""
    if request.param == "fake":
        monkeypatch.setattr(backend, "load_cupy", lambda: fakecupy)
    return backend.to_device(np.zeros(1, np.float32), "cpu" if request.param == "cpu" else "cuda")


def draw(like, shape, seed=0):
    return backend.to_numpy(backend.random_uniform(np.random.default_rng(seed), shape, like))


def test_random_numbers_are_uniform(like):
    count = 200_000
    u = draw(like, (count,))
    assert u.dtype == np.float32
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 4 * np.sqrt(1 / 12 / count)
    assert abs(u.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / count)
    counts, _ = np.histogram(u, bins=100, range=(0, 1))
    chi_square = ((counts - count / 100) ** 2 / (count / 100)).sum()
    assert 55 < chi_square < 150  # 99 degrees of freedom: one in a thousand on either side


def test_random_numbers_do_not_depend_on_their_neighbours(like):
    u = draw(like, (200_000,)) - 0.5
    for lag in (1, 2, 7, 64):
        assert abs((u[:-lag] * u[lag:]).mean() * 12) < 4 / np.sqrt(len(u))
    pairs, _, _ = np.histogram2d(u[::2], u[1::2], bins=10)
    expected = len(u) / 2 / 100
    assert ((pairs - expected) ** 2 / expected).sum() < 150


def test_one_seed_gives_one_sequence_and_two_draws_differ(like):
    np.testing.assert_array_equal(draw(like, (3, 5)), draw(like, (3, 5)))
    assert draw(like, (3, 5)).shape == (3, 5)
    assert draw(like, ()).shape == ()
    rng = np.random.default_rng(0)
    first, second = (backend.to_numpy(backend.random_uniform(rng, (1000,), like)) for _ in range(2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.13  # 4 standard deviations
    assert (first != second).mean() > 0.99
    assert (draw(like, (1000,), seed=1) != draw(like, (1000,))).mean() > 0.99


def test_a_device_hashes_as_splitmix64(fake_device):
    """The first outputs of SplitMix64 from state 0, as its authors publish them; the stream starts one step later."""
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC, 0x1B39896A51A8749B]
    key_zero = SimpleNamespace(integers=lambda high: 0)
    u = backend.to_numpy(backend.random_uniform(key_zero, (6,), fake_device.put(np.zeros(1))))
    assert (u[1:] * 2**24).tolist() == [value >> 40 for value in published]


def test_a_device_takes_one_key_from_the_stream_however_much_it_draws(fake_device):
    """So the host's generator is the whole random state, and a run resumes exactly."""
    like = fake_device.put(np.zeros(1, np.float32))
    rngs = [np.random.default_rng(0) for _ in range(2)]
    with fake_device.strict() as t:
        backend.random_uniform(rngs[0], (10,), like)
        backend.random_uniform(rngs[1], (1000, 3), like)
    assert t.uploads == 0
    assert rngs[0].bit_generator.state == rngs[1].bit_generator.state


# ------------------------------------------------------------------------------------------------- the rest


def test_rows_without_padding(fake_device):
    mask = np.array([[True, True], [True, False]])
    assert backend.rows_without_padding(mask, 2) == [True, False]
    assert backend.rows_without_padding(None, 2) == [True, True]
    with fake_device.strict():
        assert backend.rows_without_padding(fake_device.put(mask), 2) == [False, False]  # it does not wait to know


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_in_blocks_covers_every_row_once(count):
    seen = np.zeros(count, dtype=int)

    def work(rows):
        seen[rows] += 1

    backend.in_blocks(work, count, 8, like=seen)
    np.testing.assert_array_equal(seen, 1)


def test_in_blocks_passes_errors_on():
    def work(rows):
        if rows.stop > 900:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        backend.in_blocks(work, 1000, 8, like=np.zeros(1))


def test_a_device_gets_everything_in_one_slice(fake_device):
    slices = []
    backend.in_blocks(slices.append, 1000, 8, like=fake_device.put(np.zeros(1)))
    assert slices == [slice(0, 1000)]


LARGE = np.zeros(1 << 16)


@pytest.mark.parametrize("like", [np.zeros(1), LARGE], ids=["small", "large"])
def test_side_by_side_gives_both_results_in_order(like):
    assert backend.side_by_side(lambda: 1, lambda: 2, like) == (1, 2)


@pytest.mark.parametrize("at_fault", [0, 1])
def test_side_by_side_passes_errors_on(at_fault):
    work = [lambda: 1, lambda: 1]
    work[at_fault] = lambda: 1 // 0
    with pytest.raises(ZeroDivisionError):
        backend.side_by_side(*work, LARGE)


def test_work_within_work_does_not_wait_for_itself():
    seen = np.zeros(1000, dtype=int)

    def work(rows):
        seen[rows] += 1

    def inner():
        return backend.side_by_side(lambda: 1, lambda: backend.in_blocks(work, 1000, 8, like=seen), LARGE)

    assert backend.side_by_side(lambda: 0, inner, LARGE) == (0, (1, None))
    np.testing.assert_array_equal(seen, 1)


def test_a_device_takes_one_after_the_other(fake_device):
    order = []
    backend.side_by_side(lambda: order.append(1), lambda: order.append(2), fake_device.put(LARGE))
    assert order == [1, 2]


class Blas:
    """A matrix library with four threads."""

    threads = 4

    def info(self):
        return [{"num_threads": self.threads}]

    @contextmanager
    def limit(self, limits):
        before, self.threads = self.threads, limits
        yield
        self.threads = before


def test_one_core_remembers_how_many_the_matrix_library_had(monkeypatch):
    library = Blas()
    monkeypatch.setattr(backend, "_blas", lambda: library)
    monkeypatch.setattr(backend, "_pool", object)
    monkeypatch.setattr(backend, "_blas_threads", cache(backend._blas_threads.__wrapped__))
    with backend.one_core():
        assert library.threads == 1
        assert backend._blas_threads() == 4
    assert library.threads == 4
