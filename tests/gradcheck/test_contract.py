"""Every clause of the contract: a function that breaks it is found, with the cause's identifier."""

import numpy as np
import pytest

from minis2s import functional as F
from minis2s.gradcheck import check
from minis2s.gradcheck.causes import CAUSES

RNG = np.random.default_rng(4)
X, W, B = RNG.standard_normal((5, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal(4)
IDS = np.array([1, 0, 1, 3])


def causes(report):
    return [problem.cause for problem in report.problems]


def linear_with(change):
    def linear(x, weight, bias):
        y, backward = F.linear(x, weight, bias)
        return y, lambda dy: change(dy, *backward(dy))

    return linear


def nan_at(dx, place):
    dx = dx.copy()
    dx[place] = np.nan
    return dx


BROKEN = {
    "too few": (lambda dy, dx, dw, db: (dx, dw), "gradient-count", "2 gradients for 3 inputs"),
    "too many": (lambda dy, dx, dw, db: (dx, dw, db, db), "gradient-count", "4 gradients for 3 inputs"),
    "one": (lambda dy, dx, dw, db: dx, "gradient-count", "1 gradient for 3 inputs"),
    "order": (lambda dy, dx, dw, db: (dw, dx, db), "gradient-shape", "are they in another order?"),
    "summed": (lambda dy, dx, dw, db: (dx, dw, dy + 0), "gradient-shape", "dbias has shape (5, 4)"),
    "transposed": (lambda dy, dx, dw, db: (dx, dw.T, db), "gradient-shape", "its transpose's"),
    "float32": (lambda dy, dx, dw, db: (dx.astype("f"), dw, db), "gradient-dtype", "dx is float32"),
    "list": (lambda dy, dx, dw, db: (dx, dw, {"bias": db}), "gradient-dtype", "dbias is dict"),
    "missing": (lambda dy, dx, dw, db: (dx, None, db), "gradient-missing", "dweight is None"),
    "nan": (lambda dy, dx, dw, db: (nan_at(dx, (2, 1)), dw, db), "not-finite", "nan in dx, first at [2, 1]"),
    "inf": (lambda dy, dx, dw, db: (dx, dw, db / 0), "not-finite", "in dbias, first at [0]"),
    "changes dy": (lambda dy, dx, dw, db: (dy.__imul__(2), dx, dw, db)[1:], "dy-changed", "backward changes dy"),
    "raises": (lambda dy, dx, dw, db: (dx @ dw, dw, db), "raises", "backward raises ValueError: matmul"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_finds_a_broken_contract(name):
    change, cause, message = BROKEN[name]
    report = check(linear_with(change), X, W, B)
    assert report.verdict == "contract broken"
    assert cause in causes(report)
    assert message in " ".join(str(report).split())
    assert "Traceback" not in str(report)


def test_a_gradient_for_a_mask_or_ids_is_refused():
    def masked(x, mask):
        return x * mask, lambda dy: (dy * mask, x * dy)

    report = check(masked, X, X > 0)
    assert causes(report) == ["gradient-for-integers"]
    assert "dmask should be None" in str(report)
    assert causes(check(lambda ids, w: (w[ids], lambda dy: (0 * ids, F.embedding(ids, w)[1](dy)[1])), IDS, W)) == [
        "gradient-for-integers"
    ]


def test_other_gradients_are_compared_all_the_same():
    report = check(linear_with(lambda dy, dx, dw, db: (2 * dx, dw, dy + 0)), X, W, B)
    assert [(g.name, g.verdict) for g in report.gradients] == [("dx", "wrong"), ("dweight", "right")]


def scales_its_input(x):
    x *= 2
    return x**2, lambda dy: 4 * x * dy


def scales_in_backward(x):
    def backward(dy):
        dx = 2 * x * dy
        x[0] = 0
        return dx

    return x**2, backward


@pytest.mark.parametrize(
    ("function", "who"), [(scales_its_input, "the forward pass"), (scales_in_backward, "backward")]
)
def test_finds_changed_inputs(function, who):
    before = X.copy()
    report = check(function, X)
    assert causes(report)[0] == "input-changed"
    assert f"{who} changes its input x" in str(report)
    np.testing.assert_array_equal(X, before)


def test_a_function_that_changes_its_input_is_measured_all_the_same():
    assert check(scales_its_input, X).gradients[0].verdict == "right"


def test_finds_a_backward_that_answers_differently_the_second_time():
    def forgetful(x):
        kept = [2 * x]
        return x * x, lambda dy: dy * (kept.pop() if kept else 0 * x)

    def popping(x):
        kept = [2 * x]
        return x * x, lambda dy: dy * kept.pop()

    def accumulating(x):
        total = np.zeros_like(x)

        def backward(dy):
            nonlocal total
            total = total + 2 * x * dy
            return total

        return x * x, backward

    for function, words in [(forgetful, "second time"), (popping, "IndexError"), (accumulating, "second time")]:
        report = check(function, X)
        assert "second-call-differs" in causes(report)
        assert words in str(report)
        assert report.gradients[0].verdict == "right"


def test_finds_a_cache_outside_of_the_closure():
    cache = {}

    def square(x):
        cache["x"] = x
        return x * x, lambda dy: 2 * cache["x"] * dy

    report = check(square, X)
    assert causes(report) == ["second-call-differs"]
    assert "closure alone" in " ".join(str(report).split())


def test_finds_views():
    def identity(x):
        return x.copy(), lambda dy: dy

    def halves(a, b):
        return a + b, lambda dy: (g := 1.0 * dy, g)

    def returns_its_weight(x, w):
        return w * 2.0, lambda dy: (x, 2 * dy)

    def keeps(x):
        dx = np.empty_like(x)
        return x * x, lambda dy: np.multiply(2 * x, dy, out=dx)

    for function, inputs, words in [
        (identity, (X,), "dx and dy share memory"),
        (halves, (X, X.copy()), "da and db share memory"),
        (returns_its_weight, (X, X.copy()), "dx and x share memory"),
        (keeps, (X,), "dx of two calls is the same memory"),
    ]:
        report = check(function, *inputs)
        assert set(causes(report)) == {"view-returned"}
        assert words in str(report)


def test_finds_randomness_that_it_cannot_freeze():
    stream = np.random.default_rng(0)
    report = check(lambda x: F.dropout(x, rate=0.5, rng=stream), RNG.standard_normal((6, 5)))
    assert causes(report) == ["forward-not-deterministic"]
    assert report.gradients == []
    assert "Generator" in str(report)


def test_finds_where_a_nan_arises():
    report = check(lambda x: (np.log(x), lambda dy: dy / x), np.array([[1.0, 2.0], [-1.0, 3.0]]))
    assert causes(report) == ["not-finite"]
    assert "nan in the output, first at [1, 0], 1 in all" in str(report)
    report = check(lambda x: ((x, np.exp(x)), lambda a, b: a + b * np.exp(x)), np.array([1.0, 1000.0]))
    assert "inf in output 1, first at [1]" in str(report)


def test_finds_a_forward_that_raises_also_only_near_by():
    report = check(lambda x: x.nothing, X)
    assert causes(report) == ["raises"]
    assert "AttributeError" in str(report)

    def picky(x):
        if not np.array_equal(x, X):
            raise ValueError("not what I know\nsecond line")
        return x * x, lambda dy: 2 * x * dy

    report = check(picky, X)
    assert "raises" in causes(report)
    assert "second line" not in str(report)


def test_finds_float32_outputs():
    def rounded(x):
        return x.astype(np.float32) ** 2, lambda dy: 2 * x * dy

    def rounded_inside(x):
        return (x.astype(np.float32) ** 2).astype(np.float64), lambda dy: 2 * x * dy

    for function in (rounded, rounded_inside):
        assert causes(check(function, X)) == ["float32-inside"]
    small = X.astype(np.float32)
    assert check(F.relu, small).passed  # numbers that were float32 before are nobody's mistake
    assert check(lambda x: (np.round(x) + 0 * x, lambda dy: 0 * dy), X).problems == []


def test_every_cause_is_explained():
    named = {cause for _, cause, _ in BROKEN.values()}
    named |= {"gradient-for-integers", "input-changed", "second-call-differs", "view-returned", "float32-inside"}
    assert named | {"forward-not-deterministic", "grad-overwritten"} <= CAUSES.keys()
