"""The ways by which gradient comes back to a value that is used several times: some missing, some joining elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.edges import goes_to_the_next
from minis2s.gradcheck.diagnosis.spoils.spoil import Spoil, entry_classes, is_binary, is_two_valued, named, rule_for
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Tape

WAYS = 6
"""Ways from a value of which any two are tried."""


def ways_of(group: Sequence[Entry]) -> dict[tuple, list[Edge]]:
    """The uses of a value, in all steps of a loop, by their place in the code."""
    ways: dict[tuple, list[Edge]] = {}
    for user in (user for entry in group for user in entry.users):
        ways.setdefault((user.child.place, user.slot, user.kind), []).append(user)
    return ways


def of_arrivals(tape: Tape) -> Iterator[Spoil]:
    """Of several gradients that arrive at a value only the first or the last counts."""
    pictures = any(leaf is not None and leaf.value.ndim == 4 for leaf in tape.leaves)
    for entry in tape.entries:
        if len(entry.users) < 2 or entry.value.size < 2:
            continue
        steps = len({(user.child.place, user.slot) for user in entry.users}) < len(entry.users)
        name = named(entry)
        for which in ("first", "last"):
            if steps:
                step = "last" if which == "first" else "first"
                cause, cost = "one-step-only", 0.9
                users = sorted(entry.users, key=lambda u: u.child.number, reverse=which == "first")
                alone = [u for u in entry.users if (u.child.place, u.slot) == (users[0].child.place, users[0].slot)]
                if len(alone) == 1:
                    cause, cost = "branch-missing", 1.2
                elif pictures:
                    cause = "sum-missing"
                what = "place" if pictures else "time step"
                finding = f"only the {step} {what} contributes to the gradient of {name}"
                hint = "Was it assigned in the loop, `=` instead of `+=`?"
            else:
                weight = entry.op == "input" and all(u.kind in ("right", "gather", "transpose") for u in entry.users)
                cause, cost = ("tied-counted-once", 1.0) if weight else ("branch-missing", 1.3)
                finding = f"only one of the {len(entry.users)} uses of {name} is in its gradient"
                hint = "An input that is used twice receives the sum of both gradients."
            yield Spoil(cause, cost, finding, hint, keep={entry.number: which})


def of_one_of_many(tape: Tape) -> Iterator[Spoil]:
    """A value is used in a loop, and elsewhere: of the uses in the loop only the first or the last counts."""
    for group in entry_classes(tape):
        for uses in ways_of(group).values():
            by_parent: dict[int, list[Edge]] = {}
            for use in sorted(uses, key=lambda u: u.child.number):
                by_parent.setdefault(use.parent.number, []).append(use)
            longest = max(map(len, by_parent.values()))
            if longest < 2 or len(group[0].users) == longest:  # of a value without other uses `of_arrivals` tells
                continue
            name, source = named(group[0]), named(uses[-1].child)
            for which, gone in (("first", slice(1, None)), ("last", slice(None, -1))):
                cut = [use for mine in by_parent.values() for use in mine[gone]]
                finding = f"of the times that {name} is used for {source} only the {which} is in its gradient"
                hint = "Was it assigned in the loop, `=` instead of `+=`?"
                also = (("sum-missing", 1.2),)
                yield Spoil("one-step-only", 1.1, finding, hint, rule_for(cut, None), also=also)


def of_two_ways(tape: Tape) -> Iterator[Spoil]:
    """Two of the ways from a value, such as those through two gates that look at a cell, are forgotten together."""
    for group in entry_classes(tape):
        ways = ways_of(group)
        if not 4 <= len(ways) <= WAYS:
            continue
        for a, b in combinations(ways.values(), 2):
            cause = "branch-missing"
            if a[-1].child.place == b[-1].child.place:
                cause = "sum-missing"
            elif carried := [edge for way in (a, b) if goes_to_the_next(way) for edge in way]:
                cause = "missing-dc-carry" if carried[0].kind == "factor" else "missing-dh-carry"
            name, sources = named(group[-1]), f"{named(a[-1].child)} and {named(b[-1].child)}"
            finding = f"of the {len(ways)} ways back to {name} those from {sources} are missing"
            hint = f"{name} is used {len(ways)} times: does the gradient of each use arrive?"
            yield Spoil(cause, 1.5, finding, hint, rule_for([*a, *b], None))


def of_detours(tape: Tape) -> Iterator[Spoil]:
    """What comes back from one of the uses of y = f(x) is added to the gradient of x, past the derivative of f."""
    for group in entry_classes(tape):
        edge = group[0].edges[0] if len(group[0].edges) == 1 else None
        if (
            edge is None
            or edge.kind not in ("slope", "factor", "choice")
            or edge.parent.value.shape != group[0].value.shape
        ):
            continue
        ways = ways_of(group)
        if not 2 <= len(ways) <= WAYS:
            continue
        factor = np.asarray(edge.parts.get("factor", 1.0))
        cause = "activation-derivative-missing" if edge.kind == "slope" else "missing-factor"
        cause = "mask-not-applied" if is_two_valued(factor) or (factor.ndim and is_binary(factor)) else cause
        for uses in ways.values():
            detours = {id(use): use.parent.edges[0].parent.number for use in uses}
            finding = f"what comes back from {named(uses[-1].child)} goes past the derivative of {named(group[-1])}"
            hint = "All that comes back to y is added up first, and goes through f's derivative together."
            yield Spoil(cause, 1.2, finding, hint, detours=detours)


def of_way_around(tape: Tape) -> Iterator[Spoil]:
    """Of the parts of a sum one hears from after what the sum goes through: a shortcut around an activation."""
    for entry in tape.entries:
        if entry.op not in ("add", "subtract") or len(entry.edges) < 2 or len(entry.users) != 1:
            continue
        through = entry.users[0]
        if through.kind not in ("slope", "factor", "choice") or through.child.value.shape != entry.value.shape:
            continue
        cause = {"slope": "activation-derivative-missing", "choice": "mask-not-applied"}.get(through.kind, "")
        cause = cause or ("mask-not-applied" if is_binary(np.asarray(through.parts["factor"])) else "missing-factor")
        for edge in entry.edges:

            def gradients(upstream: Sequence[np.ndarray], edge: Edge = edge, after: Entry = through.child) -> list:
                arrived = tape.arriving(upstream, after)
                return tape.backward(upstream, {id(edge): lambda e, dy: e.rule(e, arrived)})

            finding = (
                f"what goes back to {named(edge.parent)} has not gone through the derivative of {named(through.child)}"
            )
            hint = "The sum is made first: what comes back passes on to all of its parts."
            yield Spoil(cause, 1.3, finding, hint, gradients=gradients)
