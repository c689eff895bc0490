"""Mistakes in the loop back over time: where it begins and ends, and which way it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.edges import carried_over
from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, edge_groups, entry_classes, rule_for
from minis2s.gradcheck.diagnosis.tape.entries import Entry, Jump, Rule, Tape

Chain = tuple[Entry | None, list[Entry]]
"""The state before the first step, if it is recorded, and that after each step."""


def of_loop(tape: Tape) -> Iterator[Spoil]:
    """The loop stops a step early, starts a step late, or runs forwards."""
    chains = chains_of(tape)
    if not chains:
        return
    hint = "Where does the loop begin, and where does it end? The backward pass goes through all steps, last to first."
    for words, spoil in (("first", _without_first(chains)), ("last", _without_last(chains))):
        rules, jumps = spoil
        finding = f"the loop back over time leaves out the {words} step"
        yield Spoil("off-by-one", 0.8, finding, hint, rules, jumps=jumps)
    yield Spoil(
        "missing-dh-carry", 1.2,
        "the loop back over time runs forwards: each step is handed what comes back from the step before it",
        "dh_(t-1) comes from step t: go from the last step to the first.",
        gradients=lambda upstream: forwards(tape, chains, upstream),
    )  # fmt: skip


def chains_of(tape: Tape) -> list[Chain]:
    """The states of a loop: of an LSTM h and c."""
    classes = entry_classes(tape)
    found: list[Chain] = []
    for group in edge_groups(tape):
        chain = _by_name(tape, group, classes) if group[0].kind == "carry" else _by_operand(group, classes)
        if chain is not None and len(chain[1]) > 2 and not any(chain[1][0] is c[1][0] for c in found):
            found.append(chain)
    lengths = {len(states) for _, states in found}
    return found if len(lengths) == 1 else []


def _by_name(tape: Tape, group: Group, classes: list[list[Entry]]) -> Chain | None:
    """From the record of a form, which marks what is carried."""
    if group[0].parts["cause"] not in ("missing-dh-carry", "missing-dc-carry"):
        return None
    states = next((c for c in classes if group[0].parent in c), [])
    label = group[0].child.label
    start = next((e for e in tape.entries if e.op == "carry" and e.label == label), None)
    return (start.edges[0].parent if start is not None else None), states


def _by_operand(group: Group, classes: list[list[Entry]]) -> Chain | None:
    """From the edges that lead back to the step before."""
    carried = carried_over(group, classes) if len(group) > 1 else []
    if not carried:
        return None
    states = next((c for c in classes if carried[0].parent in c), [])
    if len(states) != len(carried) + 1:
        return None
    return (group[0].parent if len(group) > len(carried) else None), states


def _shown(state: Entry) -> Group:
    """The edges by which a state goes to the output of its step."""
    return [user for user in state.users if user.kind in ("stacked", "written", "joined")]


def _without_first(chains: Sequence[Chain]) -> tuple[dict[int, Rule], dict[int, tuple[int, Jump | None]]]:
    rules: dict[int, Rule] = {}
    jumps: dict[int, tuple[int, Jump | None]] = {}
    for start, states in chains:
        rules |= rule_for(_shown(states[0]), None)
        if start is None:
            rules |= rule_for(states[0].edges, None)
        else:
            jumps[states[0].number] = (start.number, None)
    return rules, jumps


def _without_last(chains: Sequence[Chain]) -> tuple[dict[int, Rule], dict[int, tuple[int, Jump | None]]]:
    rules: dict[int, Rule] = {}
    jumps: dict[int, tuple[int, Jump | None]] = {}
    for _, states in chains:
        rules |= rule_for(_shown(states[-1]), None)
        jumps[states[-1].number] = (states[-2].number, None)
    return rules, jumps


def forwards(tape: Tape, chains: Sequence[Chain], upstream: Sequence[np.ndarray]) -> list[np.ndarray | None]:
    """Gradients if the loop back ran over the steps from the first to the last."""
    states = [[start, *after] for start, after in chains]
    everywhere = rule_for([edge for chain in states for s in chain if s is not None for edge in s.edges], None)
    last = [np.zeros_like(dy) if np.shape(dy) != states[0][-1].value.shape else dy for dy in upstream]  # type: ignore[union-attr]
    shown = tape.run(tape.injected(upstream), everywhere, {}, {}, {})
    handed = tape.run(tape.injected(last), everywhere, {}, {}, {})
    carried = [handed[chain[-1].number] for chain in states]  # type: ignore[union-attr]
    leaves = {leaf.number for leaf in tape.leaves if leaf is not None}
    total: dict[int, np.ndarray] = {}
    for t in range(1, len(states[0])):
        arrived: list[np.ndarray | None] = [None] * len(tape.entries)
        for chain, come in zip(states, carried, strict=True):
            entry = chain[t]
            assert entry is not None
            own = shown[entry.number]
            if t == len(chain) - 1 and own is not None and handed[entry.number] is not None:
                own = own - handed[entry.number]
            parts = [part for part in (own, come) if part is not None]
            arrived[entry.number] = sum(parts[1:], parts[0]) if parts else None
        before = [chain[t - 1] for chain in states]
        stop = rule_for([edge for s in before if s is not None for edge in s.edges], None)
        arrived = tape.run(arrived, stop, {}, {}, {})
        carried = [None if s is None else arrived[s.number] for s in before]
        held_back = {s.number for s in before if s is not None}
        for number in leaves - held_back:
            gradient = arrived[number]
            if gradient is not None:
                total[number] = total[number] + gradient if number in total else gradient
    for chain, come in zip(states, carried, strict=True):
        if chain[0] is not None and come is not None:
            total[chain[0].number] = come
    return [None if leaf is None else total.get(leaf.number, np.zeros_like(leaf.value)) for leaf in tape.leaves]
