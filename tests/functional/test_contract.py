"""What holds for every function: its gradients are right, and its backward is a pure function."""

import numpy as np
import pytest
from function_cases import CASES, Case, as_tuple, cast, run, upstream_of
from numeric import numeric_gradients, relative_error

from minis2s import functional as F

WITH_BACKWARD = [case for case in CASES if case.of != "token_losses"]
CONSTANT_INPUTS = {"reinforce": {1}, "batch_norm_running": {3, 4}}  # the reward; the statistics
CONSTANT_INPUTS |= {name: {1} for name in ("mse", "mae", "binary_cross_entropy_with_logits")}  # the target
NOT_THE_DERIVATIVE = {"embedding-padding"}  # the row of the padding stays as it is: see test_embedding.py


def every(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def assert_same(a, b, **tolerance):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        if x is None or y is None:
            assert x is y
        else:
            np.testing.assert_allclose(x, y, **tolerance or {"rtol": 1e-12, "atol": 1e-14})


def test_every_function_has_a_case():
    assert {case.of for case in CASES} == set(F.__all__)


@every([case for case in WITH_BACKWARD if case.name not in NOT_THE_DERIVATIVE])
def test_gradients_by_central_differences(case):
    outputs, gradients = run(case, case.inputs)
    numeric = numeric_gradients(case.function, case.inputs, upstream_of(case, outputs))
    assert len(gradients) == len(case.inputs)
    for k, (analytic, expected, x) in enumerate(zip(gradients, numeric, case.inputs, strict=True)):
        if expected is None or k in CONSTANT_INPUTS.get(case.of, ()):
            assert analytic is None
            continue
        assert analytic.shape == x.shape
        assert np.abs(analytic).max() > 1e-3
        assert relative_error(analytic, expected) < 1e-7


@every(CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(case, dtype):
    outputs, gradients = run(case, tuple(cast(x, dtype) for x in case.inputs))
    assert all(y.dtype == dtype for y in outputs)
    assert all(dx.dtype == dtype for dx in gradients if dx is not None)


@every(CASES)
def test_float32_agrees_with_float64(case):
    outputs, gradients = run(case, case.inputs)
    single = run(case, tuple(cast(x, np.float32) for x in case.inputs))
    assert_same(single[0], outputs, rtol=2e-4, atol=2e-5)
    assert_same(single[1], gradients, rtol=2e-4, atol=2e-5)


def strided(x):
    """The same numbers, neither C- nor F-contiguous, read-only."""
    if not isinstance(x, np.ndarray):
        return x
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    view = wide[..., 1::2]
    view[...] = x
    view.flags.writeable = False
    return view


@every(CASES)
def test_strided_and_read_only_inputs(case):
    outputs, gradients = run(case, case.inputs)
    upstream = tuple(dy if dy is None or dy.ndim == 0 else strided(dy) for dy in upstream_of(case, outputs))
    again = run(case, tuple(strided(x) for x in case.inputs), upstream)
    assert_same(again[0], outputs)
    assert_same(again[1], gradients)


@every(CASES)
def test_nothing_that_goes_in_is_changed(case):
    inputs = tuple(x.copy() if isinstance(x, np.ndarray) else x for x in case.inputs)
    outputs, backward = case.function(*inputs)
    upstream = upstream_of(case, as_tuple(outputs))
    kept = tuple(None if dy is None else dy.copy() for dy in upstream)
    if backward:
        backward(*upstream)
    assert_same(inputs, case.inputs, rtol=0)
    assert_same(upstream, kept, rtol=0)


@every(WITH_BACKWARD)
def test_backward_twice_gives_the_same(case):
    outputs, backward = case.function(*case.inputs)
    before = tuple(np.array(y) for y in as_tuple(outputs))
    upstream = upstream_of(case, before)
    first = tuple(None if dx is None else dx.copy() for dx in as_tuple(backward(*upstream)))
    assert_same(as_tuple(backward(*upstream)), first, rtol=0)
    assert_same(as_tuple(outputs), before, rtol=0)


@every(WITH_BACKWARD)
def test_two_calls_before_any_backward(case):
    """Each call has its own closure: time steps and shared weights rely on it."""
    _, expected = run(case, case.inputs)
    outputs, backward = case.function(*case.inputs)
    other = tuple(x * 0.5 if isinstance(x, np.ndarray) and x.dtype == np.float64 else x for x in case.inputs)
    case.function(*other)
    assert_same(as_tuple(backward(*upstream_of(case, as_tuple(outputs)))), expected, rtol=0)


@every(WITH_BACKWARD)
def test_gradients_are_no_views(case):
    """Whoever gets a gradient may write into it: not into the upstream, an input, an output or another gradient."""
    outputs, backward = case.function(*case.inputs)
    upstream = upstream_of(case, as_tuple(outputs))
    gradients = [dx for dx in as_tuple(backward(*upstream)) if dx is not None]
    others = [*case.inputs, *as_tuple(outputs), *upstream]
    for k, dx in enumerate(gradients):
        assert dx.flags.writeable
        for x in [*others, *gradients[:k]]:
            assert not isinstance(x, np.ndarray) or not np.shares_memory(dx, x)


@every(CASES)
def test_outputs_are_no_views_of_inputs(case):
    outputs, _ = case.function(*case.inputs)
    for y in as_tuple(outputs):
        assert not any(isinstance(x, np.ndarray) and np.shares_memory(y, x) for x in case.inputs)


def test_the_questions_of_this_file_have_teeth():
    """A wrong function fails them."""

    def wrong(x):
        y = 2 * x

        def backward(dy):
            dy *= 3
            return dy

        return y, backward

    case = Case("wrong", wrong, (np.ones((2, 3)),))
    for question in (test_gradients_by_central_differences, test_nothing_that_goes_in_is_changed):
        with pytest.raises(AssertionError):
            question(case)
    with pytest.raises(AssertionError):
        test_gradients_are_no_views(case)
    with pytest.raises(AssertionError):
        test_backward_twice_gives_the_same(case)
