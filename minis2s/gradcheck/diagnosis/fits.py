"""Hypotheses with an unknown number in them, which the wrong gradients themselves tell.

A gradient is a sum over the ways from the outputs to an input. If some of the summands are missing, or counted with
another factor, then the wrong gradient is the same sum with other coefficients, and these are found by least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from minis2s.gradcheck.diagnosis.candidate import EXACT, Candidate, same
from minis2s.gradcheck.diagnosis.evidence import Evidence
from minis2s.gradcheck.diagnosis.experiments import has_flags
from minis2s.gradcheck.diagnosis.numbers import SIMPLE, size_factors
from minis2s.gradcheck.diagnosis.spoils.spoil import edge_groups, is_binary, named, rule_for
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Rule, Tape

LONGEST = 14
"""So many summands at most are told apart."""

LARGEST_MASK = 60
"""Entries of a mask that is read off the numbers: each costs one run backwards."""


def fits(evidence: Evidence, tape: Tape, extra: float) -> Iterator[Candidate]:
    """Those that look into a record."""
    for fit in FITS:
        for c in fit(evidence, tape):
            yield Candidate(c.cause, c.residuals, c.cost + extra, c.where, c.finding, c.hint, c.contradictions)


def coefficients(summands: Sequence[np.ndarray], yours: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """Numbers c with yours = sum of c times the summands, if there are such and they are no others' as well."""
    measured = np.isfinite(right) & np.isfinite(yours)
    columns = np.array([s[measured] for s in summands]).T
    if columns.shape[0] <= columns.shape[1] or not np.all(np.isfinite(columns)):
        return None
    scale = np.linalg.norm(columns, axis=0)
    if np.any(scale == 0):
        return None
    found, _, rank, _ = np.linalg.lstsq(columns / scale, yours[measured], rcond=1e-9)
    if rank < len(summands):
        return None
    shares: np.ndarray = found / scale
    left = np.linalg.norm(columns @ shares - yours[measured])
    error = np.linalg.norm((yours - right)[measured])
    return np.round(shares, 9) if error > 0 and left <= EXACT * error else None


# --------------------------------------------------------------------------------------- the uses of an input


def shares_of_the_uses(evidence: Evidence, tape: Tape) -> Iterator[Candidate]:
    """How much each use of a value counts, where all gradients that arrive at an input are summed."""
    for k in evidence.wrong:
        leaf = tape.leaves[k]
        if leaf is None:
            continue
        while len(leaf.users) == 1 and leaf.users[0].kind in ("transpose", "reshape"):
            leaf = leaf.users[0].child
        uses = list(leaf.users)
        if not 2 <= len(uses) <= LONGEST:
            continue
        sent = [tape.backward(evidence.upstream, rule_for([u for u in uses if u is not use], None))[k] for use in uses]
        if any(s is None for s in sent):
            continue
        shares = coefficients([s for s in sent if s is not None], evidence.yours[k], evidence.right[k])
        if shares is not None:
            yield from _told_of_uses(k, uses, shares)


def _told_of_uses(k: int, uses: Sequence[Edge], shares: np.ndarray) -> Iterator[Candidate]:
    places = [(u.child.place, u.slot) for u in uses]
    step = len(set(places)) == 1
    name = named(uses[0].parent)
    gone, whole = np.abs(shares) < 1e-6, np.abs(shares - 1) < 1e-6
    if step and (gone | whole).all() and gone.sum() == 1 and (gone[0] or gone[-1]) and len(shares) > 2:
        yield Candidate(
            "off-by-one", {k: 0.0}, 1.0, "",
            f"the {'first' if gone[0] else 'last'} time that {name} is used does not count, all others do",
            "Where does the loop begin, and where does it end?",
        )  # fmt: skip
    elif step and len(shares) > 2 and np.all(np.abs(np.diff(shares)) > 1e-6) and np.allclose(np.diff(shares, 2), 0):
        yield Candidate(
            "sum-missing", {k: 0.0}, 1.2, "",
            f"the times that {name} is used count {', '.join(f'{s:g}' for s in shares[:5])} times",
            "Is a running sum added again at each step?",
        )  # fmt: skip
    elif not step and len(set(places)) == len(places) == 2 and not whole.all() and not gone.any():
        for n in np.flatnonzero(~whole).tolist():
            cause = "wrong-sign" if abs(shares[n] + 1) < 1e-6 else "constant-factor"
            yield Candidate(
                cause, {k: 0.0}, 1.8, "", f"the use of {name} in {named(uses[n].child)} counts {shares[n]:g} times",
                "An input that is used twice receives the sum of both gradients.",
            )  # fmt: skip


# -------------------------------------------------------------------------------------- a factor on one of the ways


def factors_on_the_way(evidence: Evidence, tape: Tape) -> Iterator[Candidate]:
    """One of the ways back counts with another factor, whatever the factor is."""
    rights = [None if g is None else g for g in tape.backward(evidence.upstream)]
    sizes = list(size_factors(evidence))
    for group in edge_groups(tape):
        edge = group[0]
        if edge.kind in ("joined", "stacked", "written", "overwritten", "carry"):
            continue
        cut = tape.backward(evidence.upstream, rule_for(group, None))
        found, contradictions = {}, 0
        for k, (with_it, without) in enumerate(zip(rights, cut, strict=True)):
            if with_it is None or without is None:
                continue
            passes = with_it - without
            if not np.any(np.abs(passes) > 1e-12 * max(float(np.abs(with_it).max(initial=0)), 1e-12)):
                continue
            if k in evidence.wrong:
                factor = _only_factor(passes, evidence.yours[k] - without, evidence.yours[k] - evidence.right[k])
                if factor is not None:
                    found[k] = factor
            elif evidence.right[k] is not None and not same(without, evidence.right[k], 1e-6):
                contradictions += 1
        for value in {round(f, 8) for f in found.values()}:
            explained = {k: 0.0 for k, f in found.items() if abs(f - value) < 1e-6}
            yield from _told_of_factor(edge, group, value, explained, contradictions, sizes)


def _only_factor(passes: np.ndarray, yours: np.ndarray, error: np.ndarray) -> float | None:
    """The c with yours = c * passes, unless it is 0 or 1."""
    measured = np.isfinite(yours) & np.isfinite(error)
    p, y = passes[measured], yours[measured]
    if len(p) < 2 or not p @ p:
        return None
    factor = float(p @ y / (p @ p))
    exact = np.linalg.norm(y - factor * p) <= EXACT * np.linalg.norm(error[measured])
    return factor if exact and min(abs(factor), abs(factor - 1)) > 1e-6 else None


def _told_of_factor(
    edge: Edge, group: Sequence[Edge], factor: float, residuals: dict, contradictions: int, sizes: list
) -> Iterator[Candidate]:
    source, target = named(edge.child), named(edge.parent)
    way = f"what flows from {source} back to {target}"
    minus, size = ("-" if factor < 0 else ""), abs(factor)
    own = np.asarray(edge.parts.get("factor", 1.0))
    dropped = own.ndim == 0 and abs(factor * float(own) - 1) < 1e-9  # the factor of the forward pass is missing
    if abs(factor + 1) < 1e-6:
        cost = 1.4 if np.any(own == -1) else 1.8
        yield Candidate(
            "wrong-sign", residuals, cost, "", f"{way} has the wrong sign", "Which minus was lost?", contradictions
        )
        return
    scale_of_mask = dropped and size < 1 and next_to_mask(edge)
    if scale_of_mask:
        yield Candidate(
            "dropout-scale-missing", residuals, 0.9, "",
            f"the scale 1/{size:.4g} of the mask is missing: {way} is off by it", "y = x m / (1 - p).", contradictions,
        )  # fmt: skip
    simple = next((words for value, words in SIMPLE.items() if abs(size / value - 1) < 1e-6), None)
    counted = next((words for value, words in sizes if abs(size / value - 1) < 1e-6), None)
    if counted:
        n = edge.parent.value.size / max(edge.child.value.size, 1)
        summed = edge.kind == "spread" and min(abs(size - n), abs(size * n - 1)) < 1e-6
        plain = not any(sign in counted for sign in ("n/m", "^2", "2 n", "2/n", "n/2", "sqrt"))
        cost = 1.2 if summed or (dropped and plain and not simple) else 1.7 if plain and not simple else 2.4
        yield Candidate(
            "wrong-count", residuals, cost, "", f"{way} is off by the factor {minus}{counted} = {factor:.6g}",
            "What does the forward pass divide by, and what does the backward?", contradictions,
        )  # fmt: skip
    if simple or dropped or not counted:
        cost = 1.3 if dropped else 1.6 if simple in ("2", "1/2") else 2.0 if simple else 3.0
        yield Candidate(
            "constant-factor", residuals, cost, "", f"{way} is off by the factor {minus}{simple or f'{size:.6g}'}",
            "Which constant of the derivative is missing, or too many?", contradictions,
        )  # fmt: skip
    if dropped and not simple:  # a number that the forward pass gives a name to
        yield Candidate(
            "missing-factor", residuals, 1.4, "", f"the factor {1 / factor:.6g} is missing from {way}",
            "By what does the forward pass multiply here?", contradictions,
        )  # fmt: skip


def next_to_mask(edge: Edge) -> bool:
    """Is a mask multiplied just before or after?"""
    near = [*edge.parent.edges, *edge.child.users]
    return any(e.kind == "factor" and is_binary(np.asarray(e.parts["factor"])) for e in near)


# ------------------------------------------------------------------------------------------- a mask, read off


def another_mask(evidence: Evidence, tape: Tape) -> Iterator[Candidate]:
    """Of a mask that was drawn: which entries the way back lets through."""
    for group in edge_groups(tape):
        edge = group[0]
        factor = np.asarray(edge.parts.get("factor", 1.0))
        if len(group) > 1 or edge.kind != "factor" or not factor.ndim or factor.size > LARGEST_MASK:
            continue
        if factor.shape != edge.parent.value.shape or len(edge.child.edges) > 1:
            continue
        kept = (factor != 0) * 1.0
        if kept.all() or not kept.any() or has_flags(evidence):  # a mask that is given was not drawn
            continue
        scale = factor.max()
        found = _mask_read_off(evidence, tape, edge, kept, scale)
        if found is None:
            continue
        mask, reached, predicted = found
        two_valued = np.all((np.abs(mask) < 1e-6) | (np.abs(mask - 1) < 1e-6))
        inverted = np.all(np.abs(mask + kept - 1)[reached] < 1e-6)
        other = (mask < 0.5) & (kept == 1)
        more = (mask > 0.5) & (kept == 0)
        if two_valued and not inverted and other.any() and more.any():
            residuals = {j: evidence.residual(j, p) for j, p in predicted.items()}
            yield Candidate(
                "dropout-new-mask", {j: r for j, r in residuals.items() if r < 0.3}, 0.85, "",
                "the gradient is that of another mask of the same kind than the one of the forward pass",
                "Was a new mask drawn in backward? Keep the one that was drawn in the forward pass.",
            )  # fmt: skip


def _mask_read_off(evidence: Evidence, tape: Tape, edge: Edge, kept: np.ndarray, scale: float) -> tuple | None:
    """The mask with which the largest of the wrong gradients comes out, and what it makes of the others."""
    shape = edge.parent.value.shape
    sent: list[list] = []
    for place in np.ndindex(shape):
        alone = np.zeros(shape)
        alone[place] = scale
        sent.append(tape.backward(evidence.upstream, {id(edge): lambda e, dy, m=alone: dy * m}))
    none = tape.backward(evidence.upstream, rule_for([edge], None))
    for k in sorted(evidence.wrong, key=lambda k: -evidence.right[k].size):
        if none[k] is None or evidence.right[k].size < len(sent):
            continue
        reached = [n for n, s in enumerate(sent) if np.any(np.abs(s[k] - none[k]) > 1e-12)]
        if not reached:
            continue
        found = coefficients(
            [sent[n][k] - none[k] for n in reached], evidence.yours[k] - none[k], evidence.right[k] - none[k]
        )
        if found is None:
            continue
        mask = kept.ravel().copy()
        mask[reached] = found
        predicted = {
            j: none[j] + sum(m * (s[j] - none[j]) for m, s in zip(mask, sent, strict=True)) for j in evidence.wrong
        }
        flags = np.zeros(len(sent), bool)
        flags[reached] = True
        return mask.reshape(shape), flags.reshape(shape), predicted
    return None


def where_excluded(evidence: Evidence, tape: Tape) -> Iterator[Candidate]:
    """A mask picks some places, x[mask]: what flows back to the others all the same, read off the numbers."""
    for group in edge_groups(tape):
        edge = group[0]
        picked = edge.parts.get("index")
        if len(group) > 1 or edge.kind != "part" or not isinstance(picked, np.ndarray) or picked.dtype != bool:
            continue
        excluded = np.ones(edge.parent.value.shape, bool)
        excluded[picked] = False
        places = np.argwhere(excluded)
        if not 0 < len(places) <= LARGEST_MASK:
            continue
        right = _sent(evidence, tape, {})
        more = [_sent(evidence, tape, {id(edge): _one_more(excluded.shape, place)}) for place in places]
        reached = [k for k in right if any(np.any(m[k] != right[k]) for m in more)]
        if not reached:
            continue
        joined = [np.concatenate([(m[k] - right[k]).ravel() for k in reached]) for m in more]
        yours = np.concatenate([(evidence.yours[k] - right[k]).ravel() for k in reached])
        if coefficients(joined, yours, np.zeros_like(yours)) is not None:
            yield Candidate(
                "mask-not-applied", dict.fromkeys(reached, 0.0), 1.0, "",
                f"gradient flows back to {named(edge.parent)} where the mask excludes",
                "What the forward pass does not pick must receive no gradient: was the mask applied on the way back?",
            )  # fmt: skip


def _sent(evidence: Evidence, tape: Tape, rules: dict[int, Rule]) -> dict[int, np.ndarray]:
    gradients = tape.backward(evidence.upstream, rules)
    return {k: g for k in evidence.wrong if (g := gradients[k]) is not None}


def _one_more(shape: tuple[int, ...], place: np.ndarray) -> Rule:
    """The rule of an edge, and 1 more at one place."""
    extra = np.zeros(shape)
    extra[tuple(place)] = 1
    return lambda edge, dy: edge.rule(edge, dy) + extra


FITS: tuple[Callable[[Evidence, Tape], Iterator[Candidate]], ...] = (
    factors_on_the_way,
    shares_of_the_uses,
    another_mask,
    where_excluded,
)
