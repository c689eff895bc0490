"""Optimizers against their equations, schedules at the steps that matter, clipping, and going on where one stopped."""

import json
from math import pi, sqrt

import numpy as np
import pytest

from minis2s import optim
from minis2s.nn.module import Parameter, ParameterBuffer
from minis2s.optim import OPTIMIZERS, clip_global_norm

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def make_buffer(size=6, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    half = size // 2
    return ParameterBuffer([Parameter(rng.normal(size=half).astype(dtype)) for _ in range(2)])


def gradient(step, size=6):
    return np.random.default_rng([1, step]).normal(size=size)


# ------------------------------------------------------------------------------------------------- the equations


def by_hand(name, p, gradients, lr):
    """Each number by itself, as the docstrings write it."""
    m, v = 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        if name == "sgd":
            m = 0.9 * m + g
            p = p - lr * m
        elif name == "adagrad":
            v = v + g**2
            p = p - lr * g / (sqrt(v) + 1e-10)
        elif name == "rmsprop":
            v = 0.99 * v + 0.01 * g**2
            p = p - lr * g / (sqrt(v) + 1e-8)
        else:
            if name == "adamw":
                p = p - lr * 0.01 * p
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g**2
            p = p - lr * (m / (1 - 0.9**t)) / (sqrt(v / (1 - 0.999**t)) + 1e-8)
    return p


def make(name, buffer, lr=0.05):
    return OPTIMIZERS[name](buffer, lr=lr, **({"momentum": 0.9} if name == "sgd" else {}))


@every_optimizer
def test_ten_steps_by_hand(name):
    buffer = make_buffer()
    start, optimizer = buffer.data.copy(), make(name, buffer)
    for step in range(10):
        buffer.grad[...] = gradient(step)
        optimizer.step()
    for k in range(6):
        expected = by_hand(name, start[k], [gradient(step)[k] for step in range(10)], 0.05)
        assert buffer.data[k] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam"])
def test_the_scale_of_a_gradient_does_not_matter(name):
    ends = []
    for scale in (1.0, 1e4):
        buffer = make_buffer()
        optimizer = make(name, buffer)
        for step in range(5):
            buffer.grad[...] = scale * gradient(step)
            optimizer.step()
        ends.append(buffer.data.copy())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5)


@every_optimizer
def test_a_valley_is_found(name):
    """The minimum of a quadratic whose curvatures differ a hundredfold."""
    buffer = make_buffer()
    curvature, goal = np.logspace(-1, 1, 6), np.linspace(-1, 1, 6)
    optimizer = make(name, buffer)
    for step in range(2000):
        optimizer.lr = 0.1 / (1 + step / 100)
        buffer.grad[...] = curvature * (buffer.data - goal)
        optimizer.step()
    np.testing.assert_allclose(buffer.data, goal, atol=0.05)


@every_optimizer
def test_the_gradient_is_left_alone(name):
    buffer = make_buffer()
    buffer.grad[...] = gradient(0)
    make(name, buffer).step()
    np.testing.assert_array_equal(buffer.grad, gradient(0))


@every_optimizer
def test_blocks_are_the_whole(name, monkeypatch):
    """A large buffer is updated block by block, on all cores; nobody may notice."""
    ends = []
    for block in (optim.BLOCK, 7):
        monkeypatch.setattr(optim, "BLOCK", block)
        buffer = make_buffer(100, np.float32)
        optimizer = make(name, buffer)
        for step in range(3):
            buffer.grad[...] = gradient(step, 100)
            optimizer.step()
        ends.append(buffer.data.copy())
    np.testing.assert_array_equal(ends[0], ends[1])


@every_optimizer
def test_float32_stays_float32(name):
    buffer = make_buffer(dtype=np.float32)
    buffer.grad[...] = gradient(0)
    optimizer = make(name, buffer)
    optimizer.step()
    assert buffer.data.dtype == np.float32
    assert {a.dtype for a in optimizer.state.values()} == {np.dtype(np.float32)}


def test_no_gradient_no_step():
    for name in OPTIMIZERS:
        buffer = make_buffer()
        before = buffer.data.copy()
        make(name, buffer).step()
        np.testing.assert_allclose(buffer.data, before * (1 - 0.05 * 0.01 if name == "adamw" else 1), rtol=1e-15)


# ------------------------------------------------------------------------------------------------- going on


@every_optimizer
def test_going_on_is_bit_equal(name):
    """Ten steps, or five, a saved state, a new optimizer, and five."""

    def run(optimizer, steps):
        for step in steps:
            optimizer.buffer.grad[...] = gradient(step)
            optimizer.step()

    whole, first = (make(name, make_buffer(dtype=np.float32)) for _ in range(2))
    run(whole, range(10))
    run(first, range(5))
    state, weights = first.state_dict(), first.buffer.data.copy()
    run(first, range(50, 60))  # what happens later does not reach into a saved state
    second = make(name, make_buffer(dtype=np.float32, seed=9))
    second.load_state_dict(state)
    second.buffer.data[...] = weights
    run(second, range(5, 10))
    np.testing.assert_array_equal(second.buffer.data, whole.buffer.data)
    assert second.steps == whole.steps == 10


def test_a_state_that_does_not_fit_changes_nothing():
    optimizer = make("adam", make_buffer())
    with pytest.raises(ValueError, match=r"holds \['momentum_buffer', 'steps'\], Adam has \['square_sum', 'steps'"):
        optimizer.load_state_dict(make("sgd", make_buffer()).state_dict())
    other = make("adam", make_buffer(8))
    other.buffer.grad[...] = 1
    other.step()
    with pytest.raises(ValueError, match="sum has 8 numbers, the model 6"):
        optimizer.load_state_dict(other.state_dict())
    mixed = other.state_dict() | {"sum": np.ones(6)}
    with pytest.raises(ValueError, match="square_sum has 8 numbers, the model 6"):
        optimizer.load_state_dict(mixed)
    assert optimizer.steps == 0
    assert not any(a.any() for a in optimizer.state.values())


# ------------------------------------------------------------------------------------------------- clipping


@pytest.mark.parametrize("max_norm", [0.1, 1e3])
def test_clipping(max_norm):
    buffer = make_buffer()
    buffer.grad[...] = gradient(0)
    norm = clip_global_norm(buffer, max_norm)
    assert float(norm) == pytest.approx(np.linalg.norm(gradient(0)))
    if max_norm < norm:
        assert np.linalg.norm(buffer.grad) == pytest.approx(max_norm, rel=1e-5)
        np.testing.assert_allclose(buffer.grad / gradient(0), max_norm / (norm + 1e-6), rtol=1e-12)
    else:
        np.testing.assert_array_equal(buffer.grad, gradient(0))


def test_clipping_nothing():
    buffer = make_buffer()
    assert clip_global_norm(buffer, 1.0) == 0
    assert not buffer.grad.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clipping_shows_what_is_not_finite(bad):
    """The norm tells; a trainer stops by it."""
    buffer = make_buffer()
    buffer.grad[2] = bad
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(clip_global_norm(buffer, 1.0))


# ------------------------------------------------------------------------------------------------- schedules


def rates(schedule, steps):
    return [schedule(step) for step in steps]


def test_constant():
    assert rates(optim.Constant(0.3), [0, 1, 10**9]) == [0.3, 0.3, 0.3]


def test_step():
    assert rates(optim.Step(1.0, every=10, gamma=0.5), [0, 9, 10, 19, 20]) == [1, 1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(("kind", "middle"), [(optim.Cosine, 0.55), (optim.Linear, 0.55)])
def test_warm_up_and_down(kind, middle):
    schedule = kind(1.0, total=110, warmup=10, final=0.1)
    assert rates(schedule, [0, 4, 9, 10]) == pytest.approx([0.1, 0.5, 1, 1])
    assert rates(schedule, [60, 110, 500]) == pytest.approx([middle, 0.1, 0.1])
    assert rates(schedule, range(10, 120)) == sorted(rates(schedule, range(10, 120)), reverse=True)


def test_half_a_cosine_is_steepest_in_the_middle():
    schedule = optim.Cosine(1.0, total=100)
    assert schedule(25) == pytest.approx((1 + np.cos(pi / 4)) / 2)
    assert schedule(0) == 1
    assert schedule(49) - schedule(51) > 5 * (schedule(0) - schedule(2))


@pytest.mark.parametrize("kind", [optim.Cosine, optim.Linear])
def test_a_warm_up_as_long_as_the_run(kind):
    assert rates(kind(1.0, total=10, warmup=20), [0, 9, 19]) == pytest.approx([0.05, 0.5, 1])
    assert kind(1.0, total=0)(0) == 1


def test_noam():
    """Vaswani et al. (2017), equation 3, scaled to a peak of lr."""
    schedule = optim.Noam(2.0, warmup=400)
    assert schedule(399) == 2.0
    assert max(rates(schedule, range(5000))) == 2.0
    for step in (1, 10, 399, 4000):
        paper = 512**-0.5 * min(step**-0.5, step * 400**-1.5)
        assert schedule(step - 1) == pytest.approx(2.0 * paper / (512**-0.5 * 400**-0.5))


def test_plateau():
    schedule = optim.Plateau(1.0, factor=0.5, patience=1)
    seen = []
    for metric in (3.0, 2.0, 2.5, 2.0, 1.9, 1.9, 1.9, 1.9, 1.9):
        schedule.report(metric)
        seen.append(schedule(0))
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_plateau_goes_on_where_it_was():
    schedule, other = optim.Plateau(1.0), optim.Plateau(1.0)
    for metric in (3.0, 3.0, 3.0, 3.0):
        schedule.report(metric)
    other.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for metric in (3.0, 2.0, 2.0, 2.0):
        schedule.report(metric)
        other.report(metric)
        assert other(7) == schedule(7)


@pytest.mark.parametrize(
    "schedule",
    [optim.Constant(1.0), optim.Step(1.0, 5), optim.Cosine(1.0, 9), optim.Linear(1.0, 9), optim.Noam(1.0, 3)],
)
def test_the_others_depend_on_the_step_alone(schedule):
    before = rates(schedule, range(20))
    schedule.report(5.0)
    schedule.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert rates(schedule, range(20)) == before
