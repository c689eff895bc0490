"""Hypotheses that know the forward pass: from its record, or from that of a function that gives the same numbers."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, zip_longest
from types import CodeType

import numpy as np

from minis2s import backend
from minis2s.gradcheck.diagnosis.blocks import of_blocks
from minis2s.gradcheck.diagnosis.candidate import DROPPED, Candidate, same
from minis2s.gradcheck.diagnosis.evidence import Evidence
from minis2s.gradcheck.diagnosis.fits import fits
from minis2s.gradcheck.diagnosis.forms import matched, references
from minis2s.gradcheck.diagnosis.places import of_places
from minis2s.gradcheck.diagnosis.spoils import spoils
from minis2s.gradcheck.diagnosis.spoils.spoil import Spoil
from minis2s.gradcheck.diagnosis.spoils.ways import of_two_ways
from minis2s.gradcheck.diagnosis.steps import of_loop
from minis2s.gradcheck.diagnosis.tape import rules
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Entry, Tape, Untraceable
from minis2s.gradcheck.diagnosis.tape.operations import SLOPES
from minis2s.gradcheck.diagnosis.tape.record import record

WORK = 500_000
"""Operations to run backwards in all, for one record: what three seconds allow."""

PLAUSIBLE = 1.3
"""A hypothesis of this cost that explains everything needs no second record."""


def structure(evidence: Evidence, tapes: list[Tape]) -> Iterator[Candidate]:
    """Candidates from every record; from a second only if the first one's do not explain everything."""
    for number, tape in enumerate(tapes):
        tape.prepare(evidence.upstream)
        enough = False
        for candidate in chain(_spoilt(evidence, tape, 0.15 * number), fits(evidence, tape, 0.15 * number)):
            enough = enough or (explains_all(evidence, candidate) and candidate.cost <= PLAUSIBLE)
            yield candidate
        if enough:
            return


def _spoilt(evidence: Evidence, tape: Tape, extra: float) -> Iterator[Candidate]:
    work = 0
    for spoil in chain.from_iterable(of_tape(tape) for of_tape in OF_RECORD):
        work += len(tape.entries)
        if work > WORK:
            break
        yield from held_against(evidence, tape, spoil, extra)


def forgotten_together(evidence: Evidence, tapes: list[Tape]) -> Iterator[Candidate]:
    """Two ways at once: many are tried, so this is for what nothing else explains."""
    for tape in tapes:
        yield from chain.from_iterable(held_against(evidence, tape, spoil, 0.0) for spoil in of_two_ways(tape))


def explains_all(evidence: Evidence, candidate: Candidate) -> bool:
    """Does it explain every wrong gradient, and hold no right one to be wrong?"""
    return len(candidate.explained) == len(evidence.wrong) and not candidate.contradictions


OF_RECORD: tuple[Callable[[Tape], Iterator[Spoil]], ...] = (of_blocks, spoils, of_loop, of_places)
"""What makes the mistakes that a record allows for: first the few of whole formulas, as `WORK` may end the others."""


def records(evidence: Evidence) -> list[Tape]:
    """Records of the forward pass that lead to the right gradients: by name, by operation."""
    found = []
    found.extend(references(evidence.inputs, evidence.outputs))
    own = own_record(evidence)
    if own is not None:
        found.append(own)
    for tape in found:
        for leaf, name in zip(tape.leaves, evidence.names, strict=True):
            if leaf is not None:
                leaf.label = leaf.label or name.removeprefix("d")
    return [tape for tape in found if leads_to_right(evidence, tape)]


def own_record(evidence: Evidence) -> Tape | None:
    """The record of the function itself; if buffers that it fills hide something, once more with these recorded."""
    seen: dict[int, dict] = {}
    tape = _recorded(evidence, seen, ())
    if tape is None:
        buffers = [s for s in seen.values() if not str(s.get("__name__")).startswith(("minis2s.gradcheck", "numpy"))]
        buffers.append(vars(backend))  # where the library asks for its NumPy
        tape = _recorded(evidence, seen, buffers)
    return tape


def _recorded(evidence: Evidence, seen: dict[int, dict], buffers: Sequence[dict]) -> Tape | None:
    try:
        tape = record(evidence.function, evidence.inputs, seen, buffers)
    except Untraceable:
        return None
    if not matched(tape, evidence.outputs) or not leads_to_right(evidence, tape):
        return None
    simplify(tape)
    name_by_variables(tape)
    tape.again = lambda inputs: record(evidence.function, inputs, None, buffers)
    return tape


def leads_to_right(evidence: Evidence, tape: Tape) -> bool:
    """Does the record, run backwards, give the right gradients?"""
    gradients = tape.backward(evidence.upstream)
    return all(
        right is None or (gradient is not None and nearly(gradient, right))
        for gradient, right in zip(gradients, evidence.right, strict=True)
    )


def sharpened(evidence: Evidence, tapes: Sequence[Tape]) -> Evidence:
    """The same with gradients from a record, which no kink disturbs, in the place of differences."""
    if not tapes:
        return evidence
    gradients = tapes[0].backward(evidence.upstream)
    right = tuple(
        old if old is None or new is None else np.where(np.isfinite(old), new, np.nan)
        for old, new in zip(evidence.right, gradients, strict=True)
    )
    return replace(evidence, right=right)


def nearly(a: np.ndarray, b: np.ndarray) -> bool:
    """Are two gradients equal but for rounding and, in one entry of twenty, for a kink that a difference stepped on?"""
    measured = np.isfinite(a) & np.isfinite(b)
    scale = max(np.abs(b[measured]).max(initial=0), 1e-4)
    return bool(np.sum(np.abs(a - b)[measured] > 1e-6 * scale) <= a.size / 20)


def held_against(evidence: Evidence, tape: Tape, spoil: Spoil, extra: float) -> Iterator[Candidate]:
    """The candidates of one mistake, one for each of its names, if it explains any of the wrong gradients."""
    with np.errstate(all="ignore"):
        try:
            predicted = (
                tape.backward(evidence.upstream, spoil.rules, spoil.keep, spoil.jumps, spoil.scales, spoil.detours)
                if spoil.gradients is None
                else spoil.gradients(evidence.upstream)
            )
        except (ValueError, IndexError, TypeError):  # a mistake whose shapes do not fit
            return
        residuals, contradictions = {}, 0
        for k, gradient in enumerate(predicted):
            yours, right = evidence.yours[k], evidence.right[k]
            if gradient is None or right is None or yours is None:
                continue
            if gradient.shape != right.shape:  # a transpose that a square matrix further on does not hide
                return
            if k in evidence.wrong:
                left = evidence.residual(k, gradient)
                if left < DROPPED:
                    residuals[k] = left
            elif not same(gradient, right, 1e-6):
                contradictions += 1
    for cause, cost in ((spoil.cause, spoil.cost), *spoil.also) if residuals else ():
        if cause == "zero-gradient" and any(np.any(predicted[k]) for k in residuals):
            cause, cost = "branch-missing", cost - 0.6  # other ways lead to the same input
        yield Candidate(cause, residuals, cost + extra, "", spoil.finding, spoil.hint, contradictions)


# ------------------------------------------------------------------------------ reading a record of others' code


def simplify(tape: Tape) -> None:
    """See sigmoids and softmaxes in what is written out, such as 1 / (1 + exp(-x))."""
    for entry in tape.entries:
        if entry.op not in ("divide", "reciprocal", "multiply", "add", "where", "exp", "power", "subtract"):
            continue
        y = entry.value
        if not np.all((y >= 0) & (y <= 1)) or np.all(y == 0.5):
            continue
        for above in _ancestors(entry, 7):
            x = above.value
            if x.shape != y.shape:
                continue
            with np.errstate(over="ignore"):
                if np.allclose(y, 1 / (1 + np.exp(-x)), 1e-12, 1e-13):
                    _rewire(entry, above, "sigmoid")
                    break
                if np.allclose(y, 1 / (1 + np.exp(x)), 1e-12, 1e-13) and _negated(entry, above):
                    _rewire(entry, entry.edges[0].parent, "sigmoid")  # exp(-x @ W) is that of (-x) @ W
                    break
            if y.ndim == 0 or y.shape[-1] < 2:
                continue
            e = np.exp(x - x.max(axis=-1, keepdims=True))
            if above.op not in ("exp",) and np.allclose(y, e / e.sum(axis=-1, keepdims=True), 1e-12, 1e-13):
                if above.op == "subtract" and above.edges and above.edges[0].parent.value.shape == y.shape:
                    continue  # x - max(x): go on to x itself
                _rewire(entry, above, "softmax")
                break


def _ancestors(entry: Entry, depth: int) -> Iterator[Entry]:
    level = [entry]
    seen = {entry.number}
    for _ in range(depth):
        level = [edge.parent for e in level for edge in e.edges if edge.parent.number not in seen]
        for above in level:
            if above.number not in seen:
                seen.add(above.number)
                yield above


def _rewire(entry: Entry, above: Entry, op: str) -> None:
    """Replace the way from `entry` to `above` by a single operation."""
    entry.op = op
    if op == "sigmoid":
        _only_edge(entry, Edge(above, 0, "slope", rules.slope, slope=SLOPES[op](above.value, entry.value)))
    else:
        _only_edge(entry, Edge(above, 0, "softmax", rules.softmax))


def _negated(entry: Entry, above: Entry) -> bool:
    """Put -x in the place of 1 + exp(x), in 1 / (1 + exp(x)), if nothing else uses it."""
    if entry.op not in ("divide", "reciprocal", "power") or above.op == "negative":
        return False
    between = entry.edges[0].parent
    if between.op != "add" or len(between.users) > 1:
        return False
    between.op, between.value = "negative", -above.value
    _only_edge(between, Edge(above, 0, "factor", rules.factor, factor=-1.0))
    return True


def _only_edge(entry: Entry, edge: Edge) -> None:
    for old in entry.edges:
        old.parent.users.remove(old)
    edge.child = entry
    entry.edges = [edge]
    edge.parent.users.append(edge)


def name_by_variables(tape: Tape) -> None:
    """Call a value by the variable that it is assigned to: for the wording alone.

    What a function such as `sigmoid(x)` returns, the last value that it makes, is told of where that is called.
    """
    for entry, following in zip_longest(tape.entries, tape.entries[1:]):
        if not entry.place or entry.label:  # a label makes no new group of edges: the place does
            continue
        code, offset, _ = entry.place[0]
        entry.label = _assigned(code).get(offset, "")
        callers = entry.place[1:]
        if callers and not entry.label and (following is None or following.place[-len(callers) :] != callers):
            code, offset, entry.line = callers[0]
            entry.label = _assigned(code).get(offset, "")


@lru_cache(maxsize=64)
def _assigned(code: CodeType) -> dict[int, str]:
    found, last = {}, -1
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith("STORE_FAST") and last >= 0 and isinstance(instruction.argval, str):
            found[last] = instruction.argval
        if instruction.opname != "CACHE":
            last = instruction.offset
    return found
