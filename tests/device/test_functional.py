"""Every function, forward and backward, in float32 on the device: NumPy's numbers, nothing leaks, nothing waits."""

import numpy as np
import pytest
from function_cases import CASES, as_tuple, cast, run, upstream_of

from minis2s import backend


def assert_equal(on_device, on_host, tolerance):
    assert len(on_device) == len(on_host)
    for got, expected in zip(on_device, on_host, strict=True):
        if expected is None:
            assert got is None
            continue
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("same_random_numbers")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_function(case, device):
    inputs = tuple(cast(x, np.float32) for x in case.inputs)
    outputs, gradients = run(case, inputs)
    upstream = upstream_of(case, outputs)
    on_device, upstream_on_device = device.put(inputs), device.put(upstream)
    with device.strict():
        y, backward = case.function(*on_device)
        dx = as_tuple(backward(*upstream_on_device)) if backward else ()
    assert_equal(as_tuple(y), outputs, device.tolerance)
    assert_equal(dx, gradients, device.tolerance)


@pytest.mark.parametrize("case", [c for c in CASES if c.of in ("dropout", "hard_attend")], ids=lambda case: case.name)
def test_the_device_draws_its_own_numbers_without_waiting(case, device):
    inputs = device.put(tuple(cast(x, np.float32) for x in case.inputs))
    with device.strict():
        first, _ = case.function(*inputs)
        again, _ = case.function(*inputs)
    for a, b in zip(as_tuple(first), as_tuple(again), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(a), backend.to_numpy(b))
