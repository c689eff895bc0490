"""Mistakes that are made at several edges at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.edges import descends, is_deviation_path, is_mean_path
from minis2s.gradcheck.diagnosis.spoils.slopes import ACTIVATIONS, wrong_slopes
from minis2s.gradcheck.diagnosis.spoils.spoil import (
    Group,
    Spoil,
    edge_groups,
    is_binary,
    is_two_valued,
    named,
    rule_for,
    scaled,
    with_operand,
)
from minis2s.gradcheck.diagnosis.spoils.values import operand, operand_entries
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Jump, Rule, Tape
from minis2s.gradcheck.diagnosis.tape.rules import unbroadcast


def of_all_like(tape: Tape) -> Iterator[Spoil]:
    """The same mistake at every place of its kind: all sigmoids, all masks, all carries of one state."""
    edges = [edge for entry in tape.entries for edge in entry.edges]
    for op in (*ACTIVATIONS, "all"):
        ops = ACTIVATIONS if op == "all" else (op,)
        group = [e for e in edges if e.kind == "slope" and e.child.op in ops]
        if len({e.child.place for e in group}) > 1:
            name = "all activations" if op == "all" else f"every {op}"
            for cause, words, rule in (
                ("activation-derivative-missing", "is missing", lambda e, dy: dy),
                ("activation-derivative-doubled", "is applied twice", lambda e, dy: dy * e.parts["slope"] ** 2),
            ):
                finding = f"the derivative of {name} {words}"
                yield Spoil(cause, 1.3, finding, "Was it applied once, where each stands?", rule_for(group, rule))
            if op != "all":
                for cost, spelt, value in wrong_slopes(op):
                    spelt_so: Rule = lambda e, dy, v=value: dy * v(e.parent.value, e.child.value, dy)  # noqa: E731
                    finding = f"the derivative of {name} is computed as {spelt}"
                    hint = "Which value was the derivative fed with?"
                    yield Spoil("derivative-at-preactivation", cost + 0.4, finding, hint, rule_for(group, spelt_so))
    for op, left, words in (("sqrt", 0.5, "the root"), ("exp", 1.0, "the exponential"), ("absolute", 1.0, "the sign")):
        group = [e for e in edges if e.kind == "slope" and e.child.op == op]
        if len({e.child.place for e in group}) > 1:
            finding = f"{words} is missing in every derivative of {op}"
            flat: Rule = lambda e, dy, c=left: c * dy  # noqa: E731
            yield Spoil("missing-factor", 1.4, finding, "What is its derivative?", rule_for(group, flat))
    for cause in ("missing-dh-carry", "missing-dc-carry"):
        group = [e for e in edges if e.kind == "carry" and e.parts["cause"] == cause]
        for part, words in ((group, ""), (group[1:], "")):
            if part:
                state = cause[8:10]
                finding = f"{state} does not go from one step back to the one before{words}"
                hint = "Is what comes back from the next step added?"
                yield Spoil(cause, 0.8, finding, hint, rule_for(part, None))
    yield from of_all_masks(edges)
    mean_paths, deviations = [e for e in edges if is_mean_path(e)], [e for e in edges if is_deviation_path(e)]
    if mean_paths and deviations:
        both = rule_for([*mean_paths, *deviations], None)
        finding = "mean and standard deviation are taken for constants"
        hint = "Every x changes the mean and the variance, and with them all outputs."
        yield Spoil("norm-variance-term-missing", 1.0, finding, hint, both)
        yield Spoil("norm-mean-term-missing", 1.1, finding, hint, both)
    means = [e for e in edges if e.kind == "spread" and e.child.op == "mean"]
    if len(means) > 1:
        n = means[0].parent.value.size // means[0].child.value.size
        shape = means[0].parent.value.shape
        counts = {c for c in (*shape, *(a * b for a, b in pairwise(shape)), n - 1, 1) if c and c != n}
        for count in sorted(counts):
            finding = f"the means are taken over {count} instead of {n}"
            hint = "How many numbers does the mean of the forward pass divide by?"
            yield Spoil("wrong-count", 1.1, finding, hint, rule_for(means, scaled(n / count)))
    heads = [e for e in edges if e.kind == "transpose"]
    if heads:
        rule = lambda e, dy: dy.reshape(e.parent.value.shape)  # noqa: E731
        hint = "Reshape keeps the order in memory: was it used where a transpose is due?"
        yield Spoil("permuted-axes", 1.6, "axes are reshaped back instead of transposed", hint, rule_for(heads, rule))


def of_inner_functions(tape: Tape) -> Iterator[Spoil]:
    """The chain rule stops too early: the derivative of an inner function is left out."""
    leaves = [e for e in tape.leaves if e is not None and e.value.size > 1]
    few = sum(leaf is not None for leaf in tape.leaves) <= 2 and len(tape.entries) <= 60
    for entry in tape.entries:
        for bottom in _inner(entry, 4):
            yield _stopped(entry, bottom)
        for leaf in leaves if few else ():
            moved = entry.op in ("reshape", "transpose", "part", "where", "input", "carry")
            if moved or entry.value.shape != leaf.value.shape or not entry.edges:
                continue
            if descends(entry, leaf, 12) and not any(e.parent is leaf and e.kind == "slope" for e in entry.edges):
                yield _stopped(entry, leaf)


def _inner(entry: Entry, depth: int) -> Iterator[Entry]:
    """Arguments of the inner functions, two and more below: y = f(a g(x)) is taken for one of x."""
    below, functions = entry, 0
    for steps in range(depth):
        edges = [e for e in below.edges if e.kind in ("slope", "factor")]
        if len(edges) != 1 or len(below.edges) != 1 or edges[0].parent.value.shape != entry.value.shape:
            return
        functions += edges[0].kind == "slope"
        below = edges[0].parent
        if steps and functions:
            yield below


def _stopped(entry: Entry, bottom: Entry) -> Spoil:
    ops, below = [], entry
    while below is not bottom and below.edges:
        ops.append(below.op)
        below = below.edges[0].parent
    logvar = below is bottom and "exp" in ops and "log1p" not in ops and "log" not in ops
    finding = f"the gradient of {named(entry)} is taken for that of {named(bottom)}"
    hint = "Is the derivative of the inner function missing? The chain rule goes on to the input."
    jumps: dict[int, tuple[int, Jump | None]] = {entry.number: (bottom.number, None)}
    softplus = below is bottom and "exp" in ops and not logvar
    cause = "logvar-as-sigma" if logvar else "activation-derivative-missing" if softplus else "missing-factor"
    return Spoil(cause, 1.3 if logvar or softplus else 1.5, finding, hint, jumps=jumps)


def of_all_masks(edges: Sequence[Edge]) -> Iterator[Spoil]:
    """Masks at several places: those within, and those through which the output leaves."""
    masks = [e for e in edges if e.kind in ("choice", "factor") and is_binary(np.asarray(e.parts["factor"]))]
    kept = [e for e in masks if e.kind == "choice" and e.slot == 1]
    shown = [e for e in masks if not (e.kind == "choice" and e.slot == 1)]
    inside = [e for e in shown if not leads_out(e.child)]
    outside = [e for e in shown if leads_out(e.child)]
    whole: Rule = lambda e, dy: unbroadcast(np.broadcast_to(dy, e.child.value.shape), e.parent.value.shape)  # noqa: E731
    inverted: Rule = lambda e, dy: unbroadcast(dy * (1 - e.parts["factor"]), e.parent.value.shape)  # noqa: E731
    hint = "h' = h at padding gives dh = dh': is the mask applied at each step of the way back?"
    if inside:
        within = "gradient passes padding steps as if they were real"
        cost = 0.9 if outside else 1.2
        for old in (rule_for(kept, None), {}):
            yield Spoil("mask-only-in-loss", cost, within, hint, rule_for(inside, whole) | old)
        for rules in (
            rule_for(inside + kept, inverted),
            rule_for(inside, inverted),
            rule_for(inside, inverted) | rule_for(kept, None),
        ):
            yield Spoil("mask-inverted", 1.0, "the mask of the steps is inverted", hint, rules)
        held = slopes_at_held_state(inside)
        if held:
            finding = "the mask of the steps is inverted"
            rules = rule_for(masks, inverted) | held
            yield Spoil("mask-inverted", 1.1, finding, hint, rules)
            yield Spoil("mask-only-in-loss", 1.1, within, hint, rule_for(inside, whole) | rule_for(kept, None) | held)
    if kept:
        finding = "the way over padding, from the state after to that before, is missing"
        yield Spoil("mask-not-applied", 1.5, finding, hint, rule_for(kept, None))
    if outside:
        finding = "gradient comes in at padding"
        yield Spoil("mask-not-applied", 1.0, finding, "The output is zero there.", rule_for(outside, whole))
    if shown:
        finding = "no mask is applied on the way back"
        for old in (rule_for(kept, None), {}):
            yield Spoil("mask-not-applied", 1.0, finding, hint, rule_for(shown, whole) | old)
        finding = "all masks are inverted on the way back"
        for rules in (
            rule_for(shown + kept, inverted),
            rule_for(shown, inverted),
            rule_for(shown, inverted) | rule_for(kept, None),
        ):
            yield Spoil("mask-inverted", 1.0, finding, hint, rules)


def slopes_at_held_state(masks: Group) -> dict[int, Rule]:
    """Slopes of the activations before the masks, of the value that the mask lets stand: at padding the old state."""
    found: dict[int, Rule] = {}
    for mask in masks:
        activation = mask.parent
        if activation.op == "tanh" and activation.value.shape == mask.child.value.shape:
            held = mask.child.value
            found[id(activation.edges[0])] = lambda e, dy, y=held: dy * (1 - y * y)
    return found


def leads_out(entry: Entry) -> bool:
    """Does a value go to the output alone?"""
    moved = ("written", "overwritten", "stacked", "joined", "reshape", "transpose")
    return all(user.kind in moved and leads_out(user.child) for user in entry.users)


def of_constants(tape: Tape) -> Iterator[Spoil]:
    """An array of constants, such as the sines of a rotation, with the wrong sign wherever it is used."""
    by_value: dict[bytes, list[Edge]] = {}
    for entry in tape.entries:
        for edge in entry.edges:
            factor = np.abs(edge.parts.get("factor", 0.0))
            if edge.kind == "factor" and factor.size > 1 and len(entry.edges) == 1 and not is_two_valued(factor):
                by_value.setdefault(factor.tobytes(), []).append(edge)
    for group in by_value.values():
        if len({edge.child.place for edge in group}) > 1:
            finding = f"the constants that {named(group[0].parent)} is multiplied by have the wrong sign"
            hint = "A rotation is undone by that of the other direction: sin changes its sign, cos does not."
            yield Spoil("wrong-sign", 1.4, finding, hint, rule_for(group, scaled(-1)))


def of_exchanged(tape: Tape) -> Iterator[Spoil]:
    """The factors of two products are exchanged: two matrices of one input, two masks of one shape."""
    groups = [g for g in edge_groups(tape) if g[0].kind in ("left", "right", "factor", "einsum")]
    for one, other in combinations(groups, 2):
        a, b = operand(one[0]), operand(other[0])
        if a is None or b is None or a.shape != b.shape or len(one) != len(other) or one[0].kind != other[0].kind:
            continue
        masks = is_two_valued(a) and is_two_valued(b)
        if a.size < 2 or np.array_equal(a, b) or not (masks or one[0].parent is other[0].parent):
            continue
        pairs = list(zip(one, other, strict=True))
        swapped = {id(e): v for x, y in pairs for e, v in ((x, operand(y)), (y, operand(x))) if v is not None}
        finding = (
            f"{named(operand_entries(one)[-1])} and {named(operand_entries(other)[-1])} stand in each other's place"
        )
        hint = "Which belongs to which?"
        cause, rule = "dropout-new-mask" if masks else "wrong-gate", with_operand(swapped)
        yield Spoil(cause, 1.2, finding, hint, dict.fromkeys(swapped, rule), also=(("missing-factor", 1.3),))
        for here, there in ((one, other), (other, one)) if masks else ():
            alone = {id(e): v for e, o in zip(here, there, strict=True) if (v := operand(o)) is not None}
            finding = f"{named(here[-1].parent)} gets back through the mask of {named(there[-1].parent)}"
            rules = dict.fromkeys(alone, with_operand(alone))
            yield Spoil(cause, 1.1, finding, hint, rules, also=(("missing-factor", 1.2),))


def of_parts(tape: Tape) -> Iterator[Spoil]:
    """The parts into which a value is split, such as the gates, joined in another order."""
    wholes: dict[tuple, list[list[Edge]]] = {}
    for entry in tape.entries:
        parts = [e for e in entry.users if e.kind == "part"]
        if 2 <= len(parts) <= 4 and len({e.child.value.shape for e in parts}) == 1 and parts[0].child.value.size > 1:
            total = sum(e.child.value.size for e in parts)
            if total == entry.value.size:
                wholes.setdefault((entry.op, entry.place, entry.label, len(parts)), []).append(parts)
    for (*_, count), steps in wholes.items():
        axis = _axis_of_parts(steps[0])
        for order in list(permutations(range(count)))[1:]:
            index = {id(e): parts[order[n]].parts["index"] for parts in steps for n, e in enumerate(parts)}

            def rule(e: Edge, dy: np.ndarray, index: dict = index) -> np.ndarray:
                dx = np.zeros(e.parent.value.shape)
                dx[index[id(e)]] = dy
                return dx

            into = [order.index(n) for n in range(count)]
            yield Spoil(*_of_joining(into, axis), dict.fromkeys(index, rule))


def _axis_of_parts(parts: Sequence[Edge]) -> int | None:
    """Along which axis a value is split into slices; None if its rows are picked one by one, as time steps are."""
    index = parts[0].parts["index"]
    index = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, int | np.integer) for i in index):
        return None
    return next((a for a, i in enumerate(index) if isinstance(i, slice) and i != slice(None)), 0)


def _of_joining(order: Sequence[int], axis: int | None) -> tuple[str, float, str, str]:
    """Cause, cost and words if parts are joined in another order."""
    count = len(order)
    if axis is None:
        turned = list(order) == list(range(count))[::-1]
        around = all((b - a) % count == 1 for a, b in pairwise(order))
        cause = "permuted-axes" if turned else "off-by-one" if around else "permuted-gates"
        words = "from the other end" if turned else "one place further" if around else f"in the order {list(order)}"
        hint = "Which index belongs to which step?"
        return cause, 1.0 if turned or around else 2.0, f"what comes back from the steps is put together {words}", hint
    letters = {4: "ifgo", 3: "rzn"}.get(count, "0123")
    names = " ".join(letters[n] for n in order)
    finding = f"the gates are joined in the order {names} instead of {' '.join(letters[:count])}"
    hint = "In which order does the forward pass split, and in which does the backward join?"
    return "permuted-gates", 0.9, finding, hint
