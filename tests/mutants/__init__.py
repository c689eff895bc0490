"""The museum of mistakes: planted bugs, each with its true cause, which the gradient checker must find and name.

A mutant is a right implementation, written as a student writes it, with one mistake in its backward pass::

    @mutant("lstm_step_tanh", cause="activation-derivative-missing", like="lstm_step", wrong=("dx", "dh"))
    def lstm_step_tanh(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh): ...

A pair in the `(out, cache)` style or a built `nn` module is registered by a call: `mutant(...)((forward, backward))`.
What stands after `# right:` is the line as it should be (instead of the line it follows, or, alone on its line, of the
line below), after `# missing:` a line that should be there: `mending` puts them in, and every gradient is right.

In `dev` are those that the diagnosis was developed on, in `kept_aside` the others: the two rates are told apart.

>>> from mutants import developed_on
>>> print(next(iter(developed_on())).check())
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from minis2s import gradcheck
from minis2s.gradcheck.cases import cases


@dataclass(frozen=True)
class Mutant:
    """A planted bug.

    Attributes
    ----------
    name : str
    function : callable, pair (forward, backward) of the `(out, cache)` style, or nn.Module
    cause : str
        The true cause, an identifier from `minis2s/gradcheck/causes.py`.
    like : str or None
        Name of the library's case (`minis2s/gradcheck/cases.py`) that gives the inputs, and has the same outputs.
    draw : callable or None
        Where there is no such case: takes a generator, returns the inputs.
    wrong : tuple of str
        The wrong gradients; empty if the contract is broken instead.
    also : tuple of str
        A second cause that the same numbers have.
    note : str
    """

    name: str
    function: Any
    cause: str
    like: str | None = None
    draw: Callable[[np.random.Generator], tuple] | None = None
    wrong: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    note: str = ""

    @property
    def causes(self) -> tuple[str, ...]:
        """What may be named as the cause."""
        return (self.cause, *self.also)

    def inputs(self) -> tuple:
        """The inputs, new ones every time, always the same numbers."""
        if self.draw is not None:
            return self.draw(np.random.default_rng(1))
        return tuple(np.copy(x) if isinstance(x, np.ndarray) else x for x in library_case(self.like).inputs)

    def check(self, seed: int = 0) -> gradcheck.Report:
        """What the gradient checker says."""
        if isinstance(self.function, tuple):
            return gradcheck.check_pair(*self.function, *self.inputs(), seed=seed)
        return gradcheck.check(self.function, *self.inputs(), seed=seed)


@cache
def library_case(name):
    """A case of the library by its name."""
    return next(case for case in cases() if case.name == name)


def named_causes(report: gradcheck.Report) -> list[str]:
    """What a report calls the cause, best first: broken clauses of the contract, then diagnoses, each once."""
    found = [problem.cause for problem in report.problems] + [diagnosis.cause for diagnosis in report.diagnoses]
    return list(dict.fromkeys(found))


_found: dict[str, list[Mutant]] = {"dev": [], "kept_aside": []}


def make(name, function, *, cause, like=None, inputs=None, wrong=(), also=(), note=""):
    """A mutant from what stands in the decorator."""
    return Mutant(name, function, cause, like, inputs, tuple(wrong), tuple(also), note)


def mutant(name, *, cause, like=None, inputs=None, wrong=(), also=(), note=""):
    """Register a mutant, in the folder of the file where this is called; see :class:`Mutant`."""
    folder = sys._getframe(1).f_globals["__name__"].split(".")[-2]

    def register(function):
        if name in {m.name for kept in _found.values() for m in kept}:
            raise ValueError(f"mutant: there are two of the name {name!r}")
        options = {"cause": cause, "like": like, "inputs": inputs, "wrong": wrong, "also": also, "note": note}
        _found[folder].append(make(name, function, **options))
        return function

    return register


def _load(folder: str) -> list[Mutant]:
    package = importlib.import_module(f"mutants.{folder}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"mutants.{folder}.{module.name}")
    return _found[folder]


def developed_on() -> list[Mutant]:
    """The mutants that the diagnosis was developed on."""
    return _load("dev")


def held_out() -> list[Mutant]:
    """The mutants that it was not."""
    return _load("kept_aside")
