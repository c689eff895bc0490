"""Every planted bug is found, and most are called by their name: on those developed on and on those kept aside."""

from functools import cache

import pytest
from mutants import developed_on, held_out, named_causes

from minis2s.gradcheck.causes import CAUSES

ALL = [*developed_on(), *held_out()]


@cache
def report_of(mutant):
    return mutant.check()


def shares(mutants):
    """Of how many the true cause is named first, of how many among the first three."""
    ranks = [[cause in m.causes for cause in named_causes(report_of(m))[:3]] for m in mutants]
    return sum(r[:1] == [True] for r in ranks) / len(ranks), sum(any(r) for r in ranks) / len(ranks)


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
    (developed_on, 0.85, 0.95),
    (held_out, 0.75, 0.9),
]


@pytest.mark.parametrize(("mutants", "first", "three"), BARS)
def test_the_cause_is_named(mutants, first, three):
    shares_first, shares_three = shares(mutants())
    assert shares_first >= first
    assert shares_three >= three
