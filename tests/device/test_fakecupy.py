"""The fake device must be as strict as it says: every test on it leans on that."""

import copy

import fakecupy as cp
import numpy as np
import pytest

HOST = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def x():
    return cp.asarray(HOST)


# ------------------------------------------------------------------------------------------------- it refuses


@pytest.mark.parametrize(
    "leak",
    [
        lambda x: np.asarray(x),
        lambda x: np.array([x, x]),
        lambda x: np.exp(x),
        lambda x: np.concatenate([x, x]),
        lambda x: np.add(HOST, x),
        lambda x: np.sum(x),
        lambda x: np.add(x, 1, out=HOST.copy()),
        lambda x: HOST + x,
        lambda x: x + HOST,
        lambda x: x @ HOST.T,
        lambda x: HOST @ x.T,
        lambda x: x < HOST,
        lambda x: x.__iadd__(HOST),
        lambda x: HOST.copy().__iadd__(x),
        lambda x: cp.maximum(x, HOST),
        lambda x: cp.where(x > 0, x, HOST),
        lambda x: cp.concatenate([x, HOST]),
        lambda x: cp.concatenate([x, [1.0]]),
        lambda x: cp.add(x, [1.0, 2.0, 3.0, 4.0]),
        lambda x: cp.exp(x, out=HOST.copy()),
        lambda x: x[np.array([0, 1])],
        lambda x: x[[0, 1]],
        lambda x: x[np.array([True, False, True])],
        lambda x: x.__setitem__(0, HOST[0]),
        lambda x: x.__setitem__(0, [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_no_host_array_gets_in_and_no_device_array_out(x, leak):
    with pytest.raises(TypeError):
        leak(x)
    np.testing.assert_array_equal(x.get(), HOST)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: cp.add(x, x, where=x > 0),
        lambda x: cp.max(x, initial=0),
        lambda x: x.sum(initial=0),
        lambda x: x.sum(where=x > 0),
        lambda x: x.var(correction=1),
        lambda x: x.mean(0, None, None, True, True),
        lambda x: cp.exp(x, order="C"),
        lambda x: cp.repeat(x, repeats=2, axes=0),
    ],
)
def test_keywords_that_cupy_lacks(x, call):
    with pytest.raises(TypeError, match=r"takes|does not take"):
        call(x)


@pytest.mark.parametrize("name", ["errstate", "vecdot", "ediff2d", "frompyfunc", "random", "float128", "seterr"])
def test_names_that_cupy_lacks(name):
    with pytest.raises(AttributeError, match=name):
        getattr(cp, name)


def test_methods_that_cupy_lacks(x):
    for name in ("newbyteorder", "setflags", "resize", "ctypes"):
        with pytest.raises(AttributeError, match=name):
            getattr(x, name)


def test_scatter_limits(x):
    with pytest.raises(TypeError, match="only supports"):
        cp.add.at(cp.zeros(3, dtype=cp.int64), cp.asarray([0]), 1)
    with pytest.raises(NotImplementedError):
        cp.multiply.at(x, cp.asarray([0]), 1)
    with pytest.raises(TypeError, match="on the host"):
        cp.add.at(x, np.array([0]), 1)
    with pytest.raises(IndexError, match="twice"):
        x[cp.asarray([1, 1])] = 0
    with pytest.raises(IndexError, match="twice"):
        x[cp.asarray([1, 1]), cp.asarray([2, 2])] = 0


def test_a_device_array_is_not_a_key(x):
    with pytest.raises(TypeError, match="unhashable"):
        {x}  # noqa: B018


# ------------------------------------------------------------------------------------------------- it waits


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: float(x[0, 0]),
        lambda x: int(x[0, 0]),
        lambda x: x[0, 0].item(),
        lambda x: x.tolist(),
        lambda x: x.get(),
        lambda x: repr(x),
        lambda x: copy.deepcopy(x),
        lambda x: 3 in x,
        lambda x: "yes" if x.any() else "no",
        lambda x: 1 if x[0, 0] == x[0, 1] else 2,
        lambda x: range(5)[x.argmax() : 11],
        lambda x: x[x > 1],
        lambda x: x.__setitem__(x > 1, 0),
        lambda x: cp.nonzero(x),
        lambda x: cp.where(x),
        lambda x: cp.unique(x),
        lambda x: cp.bincount(cp.arange(3)),
        lambda x: cp.asnumpy(x),
        lambda x: cp.zeros(x.argmax()),
        lambda x: x.reshape(x.argmin() + 3, -1),
    ],
)
def test_synchronisations_are_counted_and_can_be_forbidden(x, wait):
    with cp.trace() as t:
        wait(x)
    assert t.syncs == 1
    with cp.no_sync(), pytest.raises(cp.SyncError):
        wait(x)
    wait(x)  # allowed again


def test_what_does_not_wait(x):
    with cp.no_sync():
        first, *_ = x
        assert len(x) == 3
        assert x.shape == (3, 4)
        assert x.dtype == np.float32
        assert isinstance(x.sum(), cp.ndarray)
        assert isinstance(x[0, 0], cp.ndarray)
        assert isinstance(cp.allclose(x, x), cp.ndarray)
        cp.where(x > 1, x, 0)
        x[cp.asarray([2, 0])] = first


def test_float64_is_refused_on_demand(x):
    with cp.no_float64():
        assert (x * 0.5 + 1).dtype == np.float32
        assert (np.float32(2) * x).dtype == np.float32
        for make in (
            lambda: x * np.float64(2),
            lambda: cp.zeros(3),
            lambda: x.astype(float),
            lambda: cp.asarray([0.5]),
        ):
            with pytest.raises(cp.Float64Error):
                make()
    assert cp.zeros(3).dtype == np.float64


# ------------------------------------------------------------------------------------------------- it counts


def launches(f, *args):
    with cp.trace() as t:
        f(*args)
    assert t.copies <= t.launches == sum(t.by_name.values()) == sum(t.by_line.values())
    return t.launches, t.copies


def test_views_cost_nothing(x):
    def views():
        x[0], x[:, 1:3], x[..., None], x.T, x.reshape(2, 6), x.swapaxes(0, 1), cp.split(x, 2, axis=1)
        cp.broadcast_to(x, (5, 3, 4)), x.astype(np.float32, copy=False), cp.empty_like(x)

    assert launches(views) == (0, 0)


def test_operations_cost_one_launch_each(x):
    for f in (lambda: x + 1, lambda: cp.tanh(x), lambda: x.sum(axis=0), lambda: cp.zeros_like(x), lambda: x.T.copy()):
        assert launches(f) == (1, 0)
    assert launches(lambda: x.T.reshape(-1)) == (1, 0)
    assert launches(lambda: x[cp.arange(2)]) == (2, 0)
    assert launches(lambda: cp.concatenate([x, x, x])) == (3, 0)
    assert launches(lambda: cp.concatenate([x] * 9)) == (1, 0)
    assert launches(lambda: x[cp.arange(3), cp.arange(3)]) == (2 + 4, 0)
    assert launches(lambda: cp.take_along_axis(x, cp.zeros((3, 1), dtype=int), axis=1)) == (1 + 1 + 4, 0)
    assert launches(lambda: x.cumsum(axis=1)) == (3, 0)
    assert launches(lambda: cp.dot(x[0], x[1])) == (2, 0)


def test_writing_in_place(x):
    def add_to_row():
        x[0] += 1  # reads a view, adds in place, writes the view back to where it is

    def shift():
        x[1:] = x[:-1]

    assert launches(add_to_row) == (1, 0)
    assert launches(shift) == (2, 1)
    assert launches(lambda: x.fill(0)) == (1, 0)


def test_hidden_copies(x):
    row, y = x[0], cp.empty_like(x)
    assert launches(lambda: cp.tanh(row, out=row)) == (1, 0)
    assert launches(lambda: cp.tanh(x[0], out=x[0])) == (2, 1)  # two views of the same row are two objects
    assert launches(lambda: cp.tanh(x[:, :2], out=x[:, 2:])) == (2, 1)  # columns overlap in byte range
    assert launches(lambda: cp.add(x, y, x)) == (1, 0)
    assert launches(lambda: x[:, :2].__iadd__(x[:, 2:])) == (2, 1)
    assert launches(lambda: x @ x.T) == (1, 0)
    assert launches(lambda: x[:, ::2] @ x[:, ::2].T) == (3, 2)
    batch = cp.zeros((2, 3, 4), dtype=np.float32)
    assert launches(lambda: batch @ batch.swapaxes(1, 2)) == (2, 1)
    assert launches(lambda: batch @ x.T) == (5, 4)


def test_transfers_are_counted():
    with cp.trace() as t:
        y = cp.asarray(HOST)
        cp.asarray(y)
        y[cp.arange(2)] = 0.0
        cp.asnumpy(y)
    assert (t.uploads, t.downloads, t.syncs) == (2, 1, 1)


def test_the_report_names_the_line(x):
    with cp.trace() as t:
        for _ in range(4):
            cp.exp(x)
    assert "4 launches" in t.report()
    assert "test_fakecupy.py" in t.report()
    assert "exp 4" in t.report()


def test_traces_nest_and_end(x):
    with cp.trace() as outer:
        x + 1
        with cp.trace() as inner:
            x + 1
    x + 1
    assert (outer.launches, inner.launches) == (2, 1)


# ------------------------------------------------------------------------------------------------- it computes


def test_values_are_numpys(x):
    for f in (
        lambda xp, a: xp.exp(a) / (1 + a.sum(axis=1, keepdims=True)),
        lambda xp, a: 2**a - a % 3 + (a // 2),
        lambda xp, a: xp.where(a > 3, a, -a) @ a.T,
        lambda xp, a: xp.stack([a, a * 2])[:, 1:, ::-1],
        lambda xp, a: xp.linalg.norm(a),
        lambda xp, a: ~(a > 2) | (a == 1),
    ):
        np.testing.assert_array_equal(f(cp, x).get(), f(np, HOST))


def test_a_gpu_does_not_warn(x):
    assert np.isinf((x / 0).get()).any()
    assert np.isnan(cp.log(-x).get()).any()


def test_arrays_do_not_share_memory_with_the_host():
    host = HOST.copy()
    y = cp.asarray(host)
    host[:] = -1
    np.testing.assert_array_equal(y.get(), HOST)
    y.get()[:] = -1
    np.testing.assert_array_equal(y.get(), HOST)
    assert cp.get_array_module(HOST, y) is cp
    assert cp.get_array_module(HOST) is np
