"""All the ways in which one rule of a backward pass can be wrong, made from the record of the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from minis2s.gradcheck.diagnosis.spoils.edges import of_edges, of_recurrence
from minis2s.gradcheck.diagnosis.spoils.gathers import of_gather, of_largest, of_spread
from minis2s.gradcheck.diagnosis.spoils.layout import of_edge_of_picture, of_order, of_shape
from minis2s.gradcheck.diagnosis.spoils.matrices import of_einsum, of_product
from minis2s.gradcheck.diagnosis.spoils.products import of_factor, of_mask, of_overwriting
from minis2s.gradcheck.diagnosis.spoils.sigma import of_sigma
from minis2s.gradcheck.diagnosis.spoils.slopes import of_log_sum_exp, of_slope
from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, edge_groups, entry_classes, parts_of, products_of_one
from minis2s.gradcheck.diagnosis.spoils.together import (
    of_all_like,
    of_constants,
    of_exchanged,
    of_inner_functions,
    of_parts,
)
from minis2s.gradcheck.diagnosis.spoils.values import other_values, sequences_of
from minis2s.gradcheck.diagnosis.spoils.ways import of_arrivals, of_detours, of_one_of_many, of_way_around
from minis2s.gradcheck.diagnosis.tape.entries import Tape

MAKERS: dict[str, tuple[Callable[[Group, str], Iterator[Spoil]], ...]] = {
    "slope": (of_slope,),
    "factor": (of_factor,),
    "choice": (of_mask, of_factor),
    "left": (of_product,),
    "right": (of_product,),
    "logsumexp": (of_log_sum_exp,),
    "gather": (of_gather,),
    "spread": (of_spread,),
    "largest": (of_largest,),
    "transpose": (of_order,),
    "reshape": (of_shape,),
    "einsum": (of_einsum,),
    "joined": (of_edge_of_picture,),
    "overwritten": (of_overwriting,),
}

OF_TAPE: tuple[Callable[[Tape], Iterator[Spoil]], ...] = (
    of_all_like,
    of_arrivals,
    of_parts,
    of_inner_functions,
    of_exchanged,
    of_constants,
    of_way_around,
    of_one_of_many,
    of_detours,
    of_sigma,
)


def spoils(tape: Tape) -> Iterator[Spoil]:
    """Every single mistake that the record allows for: those of single steps last, as the work may end before."""
    groups = edge_groups(tape)
    classes = entry_classes(tape)
    known = sequences_of(groups, classes)
    for of_tape in OF_TAPE:
        yield from of_tape(tape)
    for group in groups:
        yield from of_recurrence(group, classes)
        yield from of_group(group, "")
        if group[0].kind in ("factor", "right", "left", "slope", "einsum"):
            yield from other_values(group, known)
    for products in products_of_one(tape):
        yield from of_product(products, "")
    for group in groups:
        for part, words in parts_of(group):
            yield from of_group(part, words)


def of_group(group: Group, words: str) -> Iterator[Spoil]:
    """What can be wrong with edges of one kind."""
    yield from of_edges(group, words)
    for make in MAKERS.get(group[0].kind, ()):
        yield from make(group, words)
