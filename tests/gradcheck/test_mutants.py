"""Every planted bug is found, and most are called by their name: on those developed on and on those kept aside."""

from functools import cache

import pytest
from mutants import developed_on, held_out, named_causes

from minis2s.gradcheck.causes import CAUSES

ALL = [*developed_on(), *held_out()]


@cache
def report_of(mutant):
    return mutant.check()


def share(mutants, most):
    """Of how many the true cause is among the first so many that are named."""
    return sum(not set(m.causes).isdisjoint(named_causes(report_of(m))[:most]) for m in mutants) / len(mutants)


def test_every_cause_is_planted():
    assert {cause for m in ALL for cause in m.causes} == set(CAUSES)


def test_the_diagnosis_was_developed_on_every_cause():
    assert {cause for m in developed_on() for cause in m.causes} == set(CAUSES)


def test_names_of_causes_and_cases_are_known():
    for mutant in ALL:
        assert (mutant.like is None) != (mutant.draw is None), mutant.name
        assert mutant.inputs(), mutant.name


@pytest.mark.parametrize("mutant", ALL, ids=lambda m: m.name)
def test_is_called_wrong(mutant):
    report = report_of(mutant)
    assert report.verdict in ("wrong", "contract broken"), str(report)
    assert tuple(g.name for g in report.gradients if g.verdict == "wrong") == mutant.wrong


BARS = [
    pytest.param(developed_on, 1, 0.85, id="developed_on, first"),
    pytest.param(held_out, 1, 0.75, id="held_out, first"),
    pytest.param(developed_on, 3, 0.95, id="developed_on, among three"),
    pytest.param(held_out, 3, 0.9, id="held_out, among three"),
]


@pytest.mark.parametrize(("mutants", "most", "bar"), BARS)
def test_the_cause_is_named(mutants, most, bar):
    assert share(mutants(), most) >= bar
