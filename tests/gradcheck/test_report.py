"""How a report is told: in a terminal, in a notebook, as JSON."""

import json
import xml.etree.ElementTree

import numpy as np
import pytest

from minis2s import functional as F
from minis2s.errors import ConfigError
from minis2s.gradcheck import (
    Diagnosis,
    Gradient,
    Problem,
    Report,
    Weakness,
    check,
    check_file,
    format_table,
    run_library,
)
from minis2s.gradcheck.html import MOST_COLUMNS, MOST_ROWS, pool

RNG = np.random.default_rng(4)
X, W, B = RNG.standard_normal((5, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal(4)


def halved(x, weight, bias):
    y, backward = F.linear(x, weight, bias)

    def half(dy):
        dx, dweight, dbias = backward(dy)
        return dx, dweight / 2, dbias

    return y, half


def made_up():
    """A report with something of everything, as the issue of a student would have it."""
    where = np.zeros((64, 16), bool)
    where[32:48] = True
    return Report(
        "lstm_step",
        [
            Gradient("dx", "right", (0, 0), 1.0, 1.0, 1e-12, 12, 12),
            Gradient("dw_hh", "wrong", (37, 4), 0.0, 0.1834, 1.0, 1024, 1024, "", where),
            Gradient("dh", "inconclusive", (), 0.0, 0.1, 1e-3, 60, 2000, "the differences do not settle"),
        ],
        [],
        [
            Diagnosis(
                "activation-derivative-missing",
                "dw_hh",
                "rows 32:48 (gate g)",
                1e-12,
                "Rows 32:48 (gate g) are off by the factor 1/(1 - g**2): was tanh's derivative applied?",
            )
        ],
        [Weakness("zero-bias", "b", "b is all zero")],
    )


def test_the_text_of_a_wrong_function():
    text = str(made_up())
    assert text.splitlines()[0] == "lstm_step: 1 of 3 gradients are right. Wrong: dw_hh. Inconclusive: dh."
    flat = " ".join(text.split())
    assert "dw_hh worst at [37, 4]: yours 0, numeric 0.1834. Rows 32:48 (gate g) are off by" in flat
    assert "the differences do not settle. 60 of 2000 entries compared." in flat
    assert "weak test b is all zero" in flat
    assert "dx" not in flat  # what is right is not spoken of


def test_the_text_fits_a_terminal_and_is_no_wall_of_numbers():
    def all_wrong(*inputs):
        y, backward = F.lstm(*inputs)
        return y, lambda *dy: tuple(None if d is None else 3 * d + 1 for d in backward(*dy))

    from minis2s.gradcheck.cases import cases

    inputs = next(case.inputs for case in cases() if case.name == "lstm, mask")
    for report in (
        made_up(),
        check(all_wrong, *inputs),
        Report("f" * 30, [Gradient("d" * 60, "wrong", (1,), 0, 1, 1, 1, 1)]),
    ):
        lines = str(report).splitlines()
        assert max(map(len, lines)) <= 100
        assert len(lines) <= 5 * (len(report.gradients) + 1)


def test_the_text_of_a_right_function_is_a_line():
    text = str(check(F.linear, X, W, B))
    assert text.startswith("linear: all gradients are right (3, relative error at most ")
    assert "\n" not in text


def test_verdicts_and_their_order():
    wrong, unclear, right = (Gradient("dx", v, (), 0, 0, 0, 1, 1) for v in ("wrong", "inconclusive", "right"))
    assert Report("f", [right]).verdict == "right"
    assert Report("f", [right, unclear]).verdict == "inconclusive"
    assert Report("f", [unclear, wrong]).verdict == "wrong"
    assert Report("f", [wrong], [Problem("dy-changed", "it is")]).verdict == "contract broken"
    assert Report("f", [right]).passed
    assert not Report("f", [unclear]).passed
    assert str(Problem("dy-changed", "it is")) == "it is"


def test_explain_has_a_paragraph_for_each_cause_once():
    report = Report(
        "f",
        [Gradient("dx", "wrong", (), 0, 0, 0, 1, 1)],
        [Problem("dy-changed", "it is"), Problem("dy-changed", "again")],
        [Diagnosis("transposed", "dx", "", 0.0, "it is the transpose")],
    )
    text = report.explain()
    assert text.startswith(str(report))
    assert text.count("dW = dy^T x") == 1
    assert len(text.split("\n\n")) >= 3


def test_json():
    for report in (made_up(), check(halved, X, W, B), check(lambda x: (x**2, lambda dy: dy * np.nan), X)):
        table = json.loads(json.dumps(report.to_dict(), allow_nan=False))
        assert table["verdict"] == report.verdict
        assert [g["name"] for g in table["gradients"]] == [g.name for g in report.gradients]
    table = made_up().to_dict()
    assert table["gradients"][1]["wrong_entries"] == 256
    assert table["gradients"][1]["where"][0] == [32, 0]
    assert table["diagnoses"][0]["cause"] == "activation-derivative-missing"
    assert table["weaknesses"] == [{"kind": "zero-bias", "input": "b", "text": "b is all zero"}]


# ---------------------------------------------------------------------------------------------------------------- HTML


def test_html_has_a_row_for_each_gradient_and_a_map_for_what_is_wrong():
    html = made_up()._repr_html_()
    tree = xml.etree.ElementTree.fromstring(html)
    assert len(tree.findall(".//tbody/tr")) == 3
    (picture,) = tree.findall(".//svg")
    colours = {cell.get("fill") for cell in picture.findall("rect")}
    assert colours == {"#dddddd", "#d00000"}
    assert picture.find("title").text == "256 of 1024 entries are wrong"
    assert "gate g" in html


def test_html_escapes_what_a_function_is_called():
    html = Report("<lambda>", [], [Problem("raises", "a < b & c")])._repr_html_()
    assert "&lt;lambda&gt;" in html
    assert "a &lt; b &amp; c" in html
    xml.etree.ElementTree.fromstring(html)


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4, 5), (1000, 3), (2, 900), (33, 65)])
def test_maps_of_any_shape_are_small(shape):
    where = np.zeros(shape, bool)
    where[(-1,) * len(shape)] = True
    html = Report("f", [Gradient("dx", "wrong", (), 0, 0, 0, 1, 1, "", where)])._repr_html_()
    assert html.count("<rect") <= MOST_ROWS * MOST_COLUMNS
    assert html.count("<rect") - html.count("#dddddd") == 1
    assert len(html) < 200_000


def test_pooling_tells_the_share():
    where = np.zeros((64, 128), bool)
    where[:2, :1] = True
    assert pool(where).shape == (MOST_ROWS, MOST_COLUMNS)
    assert pool(where)[0, 0] == 0.5
    np.testing.assert_array_equal(pool(where[:3, :4]), where[:3, :4])


# ------------------------------------------------------------------------------------------------- library and files


def test_run_library_by_name_and_table():
    reports = run_library(["lstm"])
    assert {r.function.split(",")[0] for r in reports} == {"lstm", "lstm_step"}
    assert f"{len(reports)} of {len(reports)} right" in format_table(reports)
    with pytest.raises(ConfigError, match="no function is called transformer"):
        run_library(["transformer"])


STUDENT = """
import numpy as np
def my_tanh(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y)
def right_tanh(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)
def unheard_of(x):
    return x, lambda dy: dy
def linear_forward(x, w, b):
    return x @ w.T + b, (x, w)
def linear_backward(dout, cache):
    x, w = cache
    flat = dout.reshape(-1, dout.shape[-1])
    return dout @ w, flat.T @ x.reshape(-1, x.shape[-1]), flat.sum(axis=0)
"""


def test_check_file(tmp_path):
    student = tmp_path / "student.py"
    student.write_text(STUDENT, encoding="utf-8")
    assert [r.verdict for r in check_file(f"{student}:my_tanh")] == ["wrong"]
    assert [r.verdict for r in check_file(f"{student}:right_tanh")] == ["right"]
    assert [r.verdict for r in check_file(f"{student}:linear_forward")] == ["right"]
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
