"""The measurement: every function of the library is right, every planted bug is found and placed, and nothing else."""

import warnings
from functools import partial

import numpy as np
import pytest

from minis2s import functional as F
from minis2s.gradcheck import check, check_pair, checker, contract, numeric, run_library
from minis2s.gradcheck.cases import cases

RNG = np.random.default_rng(4)
X, W, B = RNG.standard_normal((5, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal(4)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_library_is_right(case):
    report = check(case.function, *case.inputs)
    assert report.verdict == "right", str(report)
    assert report.error <= checker.TOLERANCE
    assert report.gradients
    assert report.weaknesses == []


def linear_with(change):
    """The affine map, with its gradients changed."""

    def linear(x, weight, bias):
        y, backward = F.linear(x, weight, bias)
        return y, lambda dy: change(dy, *backward(dy))

    return linear


def wrong_names(report):
    return [g.name for g in report.gradients if g.verdict == "wrong"]


def as_float32(x):
    return x.astype(np.float32).astype(np.float64)


ONE_ENTRY = (np.arange(12) == 7).reshape(4, 3)
BUGS = {
    "sign": (lambda dy, dx, dw, db: (-dx, dw, db), ["dx"]),
    "factor": (lambda dy, dx, dw, db: (dx, dw / len(X), db), ["dweight"]),
    "zero": (lambda dy, dx, dw, db: (dx, dw, 0 * db), ["dbias"]),
    "one entry": (lambda dy, dx, dw, db: (dx, dw * (1 + 1e-5 * ONE_ENTRY), db), ["dweight"]),
    "ones upstream": (lambda dy, dx, dw, db: (np.ones_like(dy) @ W, dw, db), ["dx"]),
    "float32": (lambda dy, dx, dw, db: (dx, as_float32(dw), db), ["dweight"]),
}


@pytest.mark.parametrize("name", BUGS)
def test_finds_a_wrong_gradient_and_names_it(name):
    change, expected = BUGS[name]
    report = check(linear_with(change), X, W, B)
    assert report.verdict == "wrong"
    assert wrong_names(report) == expected


def test_tells_the_place_and_both_values():
    wrong = check(linear_with(BUGS["one entry"][0]), X, W, B).gradients[1]
    assert wrong.index == (2, 1)
    assert wrong.yours / wrong.numeric == pytest.approx(1 + 1e-5, rel=1e-7)
    np.testing.assert_array_equal(wrong.where, ONE_ENTRY)


def test_every_wrong_entry_is_marked_also_where_only_a_few_are_measured_again():
    report = check(linear_with(lambda dy, dx, dw, db: (dx, dw * np.where(np.arange(3) == 1, 2, 1), db)), X, W, B)
    np.testing.assert_array_equal(report.gradients[1].where, np.broadcast_to(np.arange(3) == 1, W.shape))


# ----------------------------------------------------------------------------------------------------- large and small


def test_large_arrays_are_sampled_and_a_direction_catches_what_the_sample_misses():
    x = RNG.standard_normal((40, 50))

    def square(x):
        def backward(dy):
            dx = 2 * x * dy
            dx.flat[np.abs(dx).argmin()] += 1e-3  # one entry of 2,000, and not one of the largest
            return dx

        return x * x, backward

    report = check(square, x)
    assert report.verdict == "wrong"
    right = check(lambda x: (x * x, lambda dy: 2 * x * dy), x)
    assert right.passed
    assert "60 of 2,000 entries of dx" in str(right)


def test_a_large_gradient_that_is_wrong_is_measured_entirely():
    x = RNG.standard_normal((40, 50))
    row = check(lambda x: (x * x, lambda dy: 2 * x * dy * (1 + (np.arange(40) == 7)[:, None])), x).gradients[0]
    assert row.checked == x.size
    assert row.where.sum() == row.where[7].sum() == 50


def test_scalars_and_empty_arrays():
    assert check(lambda x: (x**2, lambda dy: 2 * x * dy), np.array(3.0)).passed
    assert check(lambda x: ((x**2).sum(), lambda dy: 2 * x * dy), X).passed
    assert check(lambda x, w: (x @ w, lambda dy: (dy @ w.T, x.T @ dy)), np.zeros((0, 3)), W.T).passed
    assert check(lambda x: (float((x**3).sum()), lambda dy: 3 * x * x * dy), X).passed


SMOOTH = [(np.log, lambda x: 1 / x), (np.sqrt, lambda x: 0.5 / np.sqrt(x)), (np.square, lambda x: 2 * x)]


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("analytic", [True, False])
@pytest.mark.parametrize(("function", "derivative"), SMOOTH, ids=["log", "sqrt", "square"])
def test_inputs_of_any_size(function, derivative, analytic, size):
    x = size * (1 + RNG.random((4, 3)))

    def off_by(factor):
        def off(x):
            y = function(x if analytic else np.abs(x))
            return y, lambda dy: dy * derivative(x) * factor

        return off

    report = check(off_by(1), x)
    assert report.passed, str(report)
    assert check(off_by(1.001), x).verdict == "wrong"


def test_a_small_difference_of_large_outputs_is_measured_or_called_inconclusive():
    report = check(lambda x: (1e8 + x**3, lambda dy: 3 * x * x * dy), X)
    assert report.verdict == "right", str(report)
    report = check(lambda x: (np.abs(1e12 + x**3), lambda dy: 3 * x * x * dy), X)
    assert report.verdict in ("right", "inconclusive")
    assert report.verdict == "right" or "coarsely" in report.gradients[0].reason


# -------------------------------------------------------------------------------- kinks and rough spots


def test_steps_around_kinks_that_are_near():
    x = np.array([1e-2, -3e-3, 1e-4, -2e-5, 3e-6, -1.0, 2.0])
    assert check(F.relu, 1e-7 * np.array([-2.0, -1.5, -1, -0.5, -0.1, 0.7, 1e7])).passed
    for function in (F.relu, F.leaky_relu, F.elu):
        report = check(function, x)
        assert report.passed, str(report)
        assert report.gradients[0].checked == len(x)
    wrong = check(lambda x: (np.abs(x), lambda dy: dy * np.where(np.abs(x) < 1e-3, 0.9, 1) * np.sign(x)), x)
    assert wrong_names(wrong) == ["dx"]
    assert wrong.gradients[0].where.sum() == 3


def test_at_a_kink_every_slope_between_the_two_sides_is_right_and_no_other():
    x = np.array([[0.0, 1.0], [-2.0, 0.0]])

    def relu(at_zero):
        return lambda x: (np.maximum(x, 0), lambda dy: dy * np.where(x == 0, at_zero, x > 0))

    for slope in (0, 0.3, 1):
        assert check(relu(slope), x).passed
    for slope in (-0.1, 1.2):
        assert check(relu(slope), x).verdict == "wrong"
    report = check(relu(0.3), x)
    assert "2 on a kink" in str(report)
    assert report.gradients[0].checked == 2


def test_only_kinks_are_inconclusive():
    report = check(lambda x: (np.abs(x), lambda dy: 0.5 * dy), np.zeros(3))
    assert report.verdict == "inconclusive"
    assert "move the inputs" in str(report)


def test_ties_of_a_maximum():
    x = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]])

    def largest(x):
        y = x.max(axis=1)
        first = np.arange(3) == x.argmax(axis=1)[:, None]
        return y, lambda dy: dy[:, None] * first

    assert check(largest, x).verdict != "wrong"


def test_rounding_to_float32_inside_is_not_called_right():
    def rounded(x):
        return as_float32(np.sin(x)) * np.pi, lambda dy: dy * np.cos(x) * np.pi

    report = check(rounded, X)
    assert report.verdict == "inconclusive"
    assert "float32" in report.gradients[0].reason


def test_an_infinite_slope_is_inconclusive_or_wrong_but_not_right():
    assert not check(lambda x: (np.sqrt(x), lambda dy: dy), np.array([0.0, 1.0])).passed


def test_minus_infinity_behind_a_mask_is_a_constant():
    mask = np.arange(5) < np.array([[5], [3], [1]])
    assert check(F.log_softmax, RNG.standard_normal((3, 5)), mask).passed


# ------------------------------------------------------------------------------------------------------ complex steps


def test_a_function_that_is_not_analytic_is_measured_by_differences():
    def norm(x):  # the complex modulus has another derivative
        y = np.abs(x) ** 2
        return y, lambda dy: 2 * x * dy

    def takes_reals(x):
        assert x.dtype == np.float64
        return x**3, lambda dy: 3 * x**2 * dy

    def drops(x):
        return np.array(x.real**2, dtype=np.float64), lambda dy: 2 * x * dy

    for function in (norm, takes_reals, drops):
        assert check(function, X).passed

    def lazy(x):  # the modulus is flat along the imaginary axis: so is this gradient
        return np.abs(x) ** 2, lambda dy: 0 * dy

    assert check(lazy, X).verdict == "wrong"


def test_gradient_at_other_inputs():
    upstream = (RNG.standard_normal((5, 4)),)
    dx = numeric.gradient(lambda *a: ((y := F.linear(*a))[0:1], y[1]), (X, W, B), upstream, 0)
    np.testing.assert_allclose(dx, upstream[0] @ W, rtol=1e-12)


# -------------------------------------------------------------------------------- what is given


def test_inputs_are_not_changed_and_float32_is_checked_in_float64():
    x = X.astype(np.float32)
    assert check(F.tanh, x).passed
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, X.astype(np.float32))


def test_wrt_chooses_inputs_by_place_or_name():
    assert [g.name for g in check(F.linear, X, W, B, wrt=[1]).gradients] == ["dweight"]
    assert [g.name for g in check(F.linear, X, W, B, wrt=["bias", 0]).gradients] == ["dbias", "dx"]
    for wrong in (3, "weights"):
        with pytest.raises(ValueError, match="wrt names"):
            check(F.linear, X, W, B, wrt=[wrong])


def test_streams_are_turned_back():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert check(partial(F.dropout, rate=0.4, rng=rng), X).passed
    assert check(lambda x, rng: ((d := F.dropout(x, rate=0.4, rng=rng))[0], lambda dy: (d[1](dy), None)), X, rng).passed
    assert rng.bit_generator.state != before  # used, by the first call
    rng.bit_generator.state = before
    assert check(partial(F.reparameterise, rng=rng), X, X[::-1].copy()).passed


def test_options_states_and_warnings_cost_nothing(capfd):
    def overflowing(x):
        with_inf = np.exp(1000 * np.abs(x) + 800)  # inf, and a RuntimeWarning
        return x * x + 1 / with_inf, lambda dy: 2 * x * dy

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check(overflowing, X).passed
    assert capfd.readouterr().err == ""


def test_the_same_seed_gives_the_same_report():
    first, second = (check(linear_with(BUGS["factor"][0]), X, W, B, seed=3).to_dict() for _ in range(2))
    assert first == second


# -------------------------------------------------------------------------------- a check of the check


@pytest.mark.parametrize("steps", [(4.0,), (1e-13,)])
def test_a_spoiled_step_is_noticed(monkeypatch, steps):
    monkeypatch.setattr(numeric, "STEPS", steps)
    assert not all(report.passed for report in run_library(["elu", "max_pool2d", "softmax"]))


def test_a_spoiled_tolerance_is_noticed(monkeypatch):
    monkeypatch.setattr(checker, "TOLERANCE", 1e-17)
    monkeypatch.setattr(checker, "ENOUGH", 1e-17)
    assert not all(report.passed for report in run_library(["softmax"]))


def test_a_generous_tolerance_is_noticed(monkeypatch):
    monkeypatch.setattr(checker, "TOLERANCE", 1e-4)
    assert check(linear_with(BUGS["one entry"][0]), X, W, B).passed  # which the other test asks to be wrong


def test_an_upstream_of_ones_would_miss_a_softmax_that_returns_zero(monkeypatch):
    def lazy_softmax(x):
        y, _ = F.softmax(x)
        return y, lambda dy: np.zeros_like(x)

    assert check(lazy_softmax, X).verdict == "wrong"
    monkeypatch.setattr(contract, "_upstream", lambda y, rng, target: np.ones_like(y))
    assert check(lazy_softmax, X).passed  # so a random upstream is what gives the check its power


def test_the_upstream_gradient_is_not_an_input_of_the_same_seed():
    """x of `default_rng(0)` and dy of the seed 0 must differ: a backward that mistakes one for the other would pass."""
    x = np.random.default_rng(0).standard_normal((3, 4))
    report = check(lambda x: (x**3, lambda dy: 3 * x * x * x), x)
    assert report.verdict == "wrong", str(report)


def test_a_pair_in_the_out_cache_style():
    def affine_forward(x, w, b):
        return x @ w + b, (x, w)

    def affine_backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout, dout.sum(axis=0)

    report = check_pair(affine_forward, affine_backward, X, W.T, B)
    assert report.passed
    assert report.function == "affine"
    assert [g.name for g in report.gradients] == ["dx", "dw", "db"]
    wrong = check_pair(affine_forward, lambda dout, cache: (*affine_backward(dout, cache)[:2], dout[0] + 0), X, W.T, B)
    assert wrong_names(wrong) == ["db"]


def test_a_pair_with_states_and_settings():
    def step_forward(x, h, settings):
        new = np.tanh(x + h) * settings["scale"]
        return new, 2 * h, (x, h, settings)

    def step_backward(dnew, dtwice, cache):
        x, h, settings = cache
        d = dnew * settings["scale"] * (1 - np.tanh(x + h) ** 2)
        return d, d + 2 * dtwice

    assert check_pair(step_forward, step_backward, X, X[::-1].copy(), {"scale": 3.0}).passed
    nested = check_pair(lambda x: ((x**2, x**3), x), lambda dys, x: dys[0] * 2 * x + dys[1] * 3 * x**2, X)
    assert nested.passed, str(nested)
