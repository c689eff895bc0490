"""The checker itself: every function of the library is right, and every planted bug is found and placed."""

import numpy as np
import pytest

from minis2s import functional as F
from minis2s.errors import ConfigError
from minis2s.gradcheck import check, check_file, checker, format_table, run_library
from minis2s.gradcheck.cases import cases

RNG = np.random.default_rng(4)
X, W, B = RNG.standard_normal((5, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal(4)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_library_is_right(case):
    report = check(case.function, *case.inputs)
    assert report.passed, str(report)
    assert report.error < 1e-7
    assert report.gradients


def linear_with(change):
    """The affine map, with its gradients changed."""

    def linear(x, weight, bias):
        y, backward = F.linear(x, weight, bias)
        return y, lambda dy: change(dy, *backward(dy))

    return linear


BUGS = {
    "sign": (lambda dy, dx, dw, db: (-dx, dw, db), ["dx"]),
    "factor": (lambda dy, dx, dw, db: (dx, dw / len(X), db), ["dweight"]),
    "zero": (lambda dy, dx, dw, db: (dx, dw, 0 * db), ["dbias"]),
    "nan": (lambda dy, dx, dw, db: (dx * np.nan, dw, db), ["dx"]),
    "one entry": (lambda dy, dx, dw, db: (dx, dw * (1 + 1e-5 * (np.arange(12) == 7).reshape(4, 3)), db), ["dweight"]),
    "ones upstream": (lambda dy, dx, dw, db: (np.ones_like(dy) @ W, dw, db), ["dx"]),
}


@pytest.mark.parametrize("name", BUGS)
def test_finds_a_wrong_gradient_and_names_it(name):
    change, expected = BUGS[name]
    report = check(linear_with(change), X, W, B)
    assert report.verdict == "wrong"
    assert [g.name for g in report.gradients if g.verdict == "wrong"] == expected


def test_tells_the_place_and_both_values():
    report = check(linear_with(BUGS["one entry"][0]), X, W, B)
    wrong = report.gradients[1]
    assert wrong.index == (2, 1)
    assert wrong.yours / wrong.numeric == pytest.approx(1 + 1e-5, rel=1e-7)
    assert "[2, 1]" in str(report)


BROKEN = {
    "too few": (lambda dy, dx, dw, db: (dx, dw), "2 gradients for 3 inputs"),
    "order": (lambda dy, dx, dw, db: (dw, dx, db), "shape"),
    "summed": (lambda dy, dx, dw, db: (dx, dw, dy), "shape"),
    "float32": (lambda dy, dx, dw, db: (dx.astype("f"), dw, db), "float32"),
    "missing": (lambda dy, dx, dw, db: (dx, None, db), "dweight is NoneType"),
    "changes dy": (lambda dy, dx, dw, db: (dy.__imul__(2), dx, dw, db)[1:], "changed"),
    "changes x": (lambda dy, dx, dw, db: (X.__iadd__(0), dx, dw, db)[1:], None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_finds_a_broken_contract(name):
    change, message = BROKEN[name]
    report = check(linear_with(change), X, W, B)
    if message is None:
        assert report.passed  # the checker works on its own copy: adding 0 to the caller's array is nobody's harm
    else:
        assert report.verdict == "contract broken"
        assert message in str(report)


def test_finds_a_backward_that_answers_differently_the_second_time():
    def forgetful(x):
        kept = [2 * x]
        return x * x, lambda dy: dy * (kept.pop() if kept else 0 * x)

    assert "second time" in str(check(forgetful, X))


def test_finds_a_view_of_the_upstream():
    def identity(x):
        return x.copy(), lambda dy: dy

    def halves(a, b):
        return a + b, lambda dy: (g := 1.0 * dy, g)

    assert "dx and dy share memory" in str(check(identity, X))
    assert "da and db share memory" in str(check(halves, X, X.copy()))


def test_a_gradient_for_a_mask_or_ids_is_refused():
    def masked(x, mask):
        return x * mask, lambda dy: (dy * mask, x * dy)

    assert "dmask should be None" in str(check(masked, X, X > 0))


def test_large_arrays_are_sampled_and_a_direction_catches_what_the_sample_misses():
    x = RNG.standard_normal((40, 50))

    def square(x):
        def backward(dy):
            dx = 2 * x * dy
            dx[x == x.max()] *= 3  # one entry of 2,000
            return dx

        return x * x, backward

    report = check(square, x)
    assert report.gradients[0].checked == checker.SAMPLE
    assert report.verdict == "wrong"


def test_inputs_are_not_changed_and_float32_is_checked_in_float64():
    x = X.astype(np.float32)
    assert check(F.tanh, x).passed
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, X.astype(np.float32))


def test_wrt_chooses_inputs():
    assert [g.name for g in check(F.linear, X, W, B, wrt=[1]).gradients] == ["dweight"]


@pytest.mark.parametrize(("name", "value"), [("STEP", 1.0), ("TOLERANCE", 1e-17)])
def test_a_spoiled_checker_is_noticed(monkeypatch, name, value):
    monkeypatch.setattr(checker, name, value)
    assert not all(report.passed for report in run_library())


def test_an_upstream_of_ones_would_miss_a_softmax_that_returns_zero(monkeypatch):
    def lazy_softmax(x):
        y, _ = F.softmax(x)
        return y, lambda dy: np.zeros_like(x)

    assert check(lazy_softmax, X).verdict == "wrong"
    ones = type("Ones", (), {"standard_normal": staticmethod(np.ones)})
    monkeypatch.setattr(checker.np.random, "default_rng", lambda seed: ones)
    assert check(lazy_softmax, X).passed  # so a random upstream is what gives the check its power


def test_run_library_by_name_and_table():
    reports = run_library(["lstm"])
    assert {r.function.split(",")[0] for r in reports} == {"lstm", "lstm_step"}
    assert f"{len(reports)} of {len(reports)} right" in format_table(reports)
    with pytest.raises(ConfigError, match="no function is called transformer"):
        run_library(["transformer"])


def test_check_file(tmp_path):
    student = tmp_path / "student.py"
    student.write_text(
        "import numpy as np\n"
        "def my_tanh(x):\n    y = np.tanh(x)\n    return y, lambda dy: dy * (1 - y)\n"
        "def right_tanh(x):\n    y = np.tanh(x)\n    return y, lambda dy: dy * (1 - y * y)\n"
        "def unheard_of(x):\n    return x, lambda dy: dy\n",
        encoding="utf-8",
    )
    assert [r.verdict for r in check_file(f"{student}:my_tanh")] == ["wrong"]
    assert [r.verdict for r in check_file(f"{student}:right_tanh")] == ["right"]
    for place, message in [
        (f"{student}:unheard_of", "no case fits"),
        (f"{student}:missing", "no function 'missing'"),
        (f"{tmp_path}/none.py:my_tanh", "does not exist"),
        ("student.py", "not of the form"),
    ]:
        with pytest.raises(ConfigError, match=message):
            check_file(place)
    student.write_text("1 +", encoding="utf-8")
    with pytest.raises(ConfigError, match="does not run: SyntaxError"):
        check_file(f"{student}:my_tanh")


def test_report_as_json():
    import json

    table = json.loads(json.dumps(check(linear_with(BUGS["sign"][0]), X, W, B).to_dict()))
    assert table["verdict"] == "wrong"
    assert table["gradients"][0]["name"] == "dx"
