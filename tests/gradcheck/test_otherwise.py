"""Right code written otherwise is called right: all gradients, the contract, and no weakness where there is none."""

import importlib

import numpy as np
import pytest
from mutants.otherwise import numpy_code

from minis2s import gradcheck


def inputs_of(written, seed):
    return written.inputs(np.random.default_rng(seed))


def report_of(written):
    inputs = inputs_of(written, seed=1)
    if isinstance(written.function, tuple):
        return gradcheck.check_pair(*written.function, *inputs)
    return gradcheck.check(written.function, *inputs)


def assert_called_right(written):
    report = report_of(written)
    assert report.verdict == "right", str(report)
    assert [str(problem) for problem in report.problems] == []
    assert report.diagnoses == []
    assert [weakness.text for weakness in report.weaknesses] == []


def assert_same_outputs(written):
    inputs = inputs_of(written, seed=1)
    (y, _), (expected, _) = written.function(*inputs), written.reference(*inputs)
    for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (y, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def name(written):
    return written.name


@pytest.mark.parametrize("written", numpy_code.rewritten.found, ids=name)
def test_numpy_code_is_right(written):
    assert_called_right(written)


@pytest.mark.parametrize("written", [w for w in numpy_code.rewritten.found if w.reference], ids=name)
def test_numpy_code_is_the_same_function(written):
    assert_same_outputs(written)


def test_there_is_enough_of_it():
    assert len(numpy_code.rewritten.found) >= 25


@pytest.mark.parametrize("library", [pytest.param("torch", marks=pytest.mark.parity), "jax"])
def test_other_libraries_functions_are_right(library):
    pytest.importorskip(library)
    found = importlib.import_module(f"mutants.otherwise.{library}_code").rewritten.found
    assert len(found) >= 10
    for written in found:
        assert_called_right(written)
        if written.reference:
            assert_same_outputs(written)
