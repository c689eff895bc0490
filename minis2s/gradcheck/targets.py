"""What can be checked: a function, a (forward, backward) pair, a module, a model's loss. All become one kind of thing.

A target is a function of flat inputs: tuples among the inputs, as an LSTM's state (h, c), are taken apart, and the
parameters of a module follow its inputs.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from minis2s.gradcheck.numeric import is_float
from minis2s.nn import Module

Backward = Callable[..., tuple]


class MisfitError(ValueError):
    """The gradients that came back are not one for each input."""


@dataclass(frozen=True)
class Target:
    """A function to check.

    Attributes
    ----------
    label : str
        Its name.
    names : tuple of str
        Of the inputs; those of a module's parameters as in its `state_dict`.
    inputs : tuple
        Floats are float64 arrays of our own; ids, masks and all else as they were given.
    run : callable
        Takes the inputs, returns a tuple of outputs and a backward, which takes and returns tuples.
    forward : callable
        Takes the inputs, returns the tuple of outputs.
    parameters : int
        How many of the inputs, the last ones, are parameters.
    loss : bool
        Is the output the loss itself, whose upstream gradient is 1?
    constants : tuple
        What a loss is given: a batch.
    add : callable or None
        Of a module: run it all on gradients that are not zero, and return what was there before and after.
    """

    label: str
    names: tuple[str, ...]
    inputs: tuple
    run: Callable[..., tuple[tuple, Backward]]
    forward: Callable[..., tuple]
    parameters: int = 0
    loss: bool = False
    constants: tuple = ()
    add: Callable[..., tuple[list[np.ndarray], list[np.ndarray]]] | None = None

    def with_copies(self) -> Target:
        """The same, for a function that changes its inputs."""
        run, forward = self.run, self.forward
        return replace(self, run=lambda *x: run(*_copies(x)), forward=lambda *x: forward(*_copies(x)))


def make_target(function: Callable[..., Any], inputs: tuple) -> Target:
    """Find out what is to be checked."""
    owner = getattr(function, "__self__", None)
    if isinstance(function, Module):
        if type(function).forward is Module.forward and hasattr(function, "loss_and_backward"):
            return _loss_target(function, "loss_and_backward", inputs)
        return _module_target(function, inputs)
    if isinstance(owner, Module):
        return _loss_target(owner, function.__name__, inputs)
    return _function_target(function, inputs)


def as_function(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    """A pair in the (out, cache) style as one function: out, cache = forward(x, w); dx, dw = backward(dout, cache)."""

    def function(*inputs: Any) -> tuple[Any, Callable[..., Any]]:
        *outputs, cache = forward(*inputs)
        y = tuple(outputs) if len(outputs) > 1 else outputs[0]
        return y, lambda *dy: _fit(_call_pair(backward, dy, cache), inputs)

    function.__name__ = getattr(forward, "__name__", "function").removesuffix("_forward")
    function.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    return function


def _call_pair(backward: Callable[..., Any], upstream: tuple, cache: Any) -> Any:
    """backward(dout, cache), or with a pair of outputs in one tuple backward((dh, dc), cache)."""
    try:
        taken = len(inspect.signature(backward).parameters)
    except (TypeError, ValueError):
        taken = len(upstream) + 1
    return backward(*upstream, cache) if taken != 2 or len(upstream) == 1 else backward(upstream, cache)


# ------------------------------------------------------------------------------------------------------- three kinds


def _function_target(function: Callable[..., Any], inputs: tuple) -> Target:
    names = _flat_names(_names(function, len(inputs)), inputs)
    named = function.func if isinstance(function, partial) else function
    label = getattr(function, "__name__", getattr(named, "__name__", type(named).__name__))
    freeze = _frozen(generators((function, inputs)))

    def run(*values: Any) -> tuple[tuple, Backward]:
        freeze()
        arguments = unflatten(inputs, iter(values))
        y, backward = function(*arguments)
        outputs = flatten(y)
        return tuple(outputs), lambda *dy: _aligned(_call(backward, y, dy), arguments)

    return Target(label, names, _float64(inputs), run, lambda *x: run(*x)[0])


def _module_target(module: Module, inputs: tuple) -> Target:
    module = copy.deepcopy(module)
    owned, parameters = _parameters(module)
    count = len(flatten(inputs))
    freeze = _frozen(generators((inputs, *_attributes(module))))

    def run(*values: Any) -> tuple[tuple, Backward]:
        freeze()
        arguments = unflatten(inputs, iter(values[:count]))
        for p, value in zip(owned, values[count:], strict=True):
            p.data = value
        y, backward = module(*arguments)

        def module_backward(*dy: Any) -> tuple:
            _set_gradients(owned, [np.zeros_like(p.data) for p in owned])
            gradients = _call(backward, _differentiated(backward, y), dy)
            return *_aligned(_fit(gradients, arguments), arguments), *(p.grad for p in owned)

        return tuple(flatten(_differentiated(backward, y))), module_backward

    def add(values: tuple, upstream: tuple) -> tuple[list[np.ndarray], list[np.ndarray]]:
        freeze()
        y, backward = module(*unflatten(inputs, iter(values[:count])))
        before = _garbage(owned)
        _call(backward, _differentiated(backward, y), upstream)
        return before, [p.grad for p in owned]

    names = _flat_names(_names(module.forward, len(inputs)), inputs) + tuple(parameters)
    given = _float64(inputs) + tuple(parameters.values())
    return Target(type(module).__name__, names, given, run, lambda *x: run(*x)[0], len(owned), add=add)


def _loss_target(module: Module, method: str, inputs: tuple) -> Target:
    """A loss that runs its own backward pass, and leaves the gradients with the parameters."""
    module = copy.deepcopy(module)
    owned, parameters = _parameters(module)
    freeze = _frozen(generators((inputs, *_attributes(module))))
    both = getattr(module, method)

    def loss(values: tuple, by: Callable[..., Any]) -> np.ndarray:
        freeze()
        for p, value in zip(owned, values, strict=True):
            p.data = value
        result = by(*inputs)
        return np.asarray(result[0] if isinstance(result, tuple) else result)

    def run(*values: Any) -> tuple[tuple, Backward]:
        _set_gradients(owned, [np.zeros_like(p.data) for p in owned])
        y = loss(values, both)
        gradients = [np.copy(p.grad) for p in owned]
        return (y,), lambda dy: tuple(dy * g for g in gradients)

    def add(values: tuple, upstream: tuple) -> tuple[list[np.ndarray], list[np.ndarray]]:
        before = _garbage(owned)
        loss(values, both)
        return before, [p.grad for p in owned]

    label, given = f"{type(module).__name__}.{method}", tuple(parameters.values())
    forward = partial(loss, by=_forward_of(module, method, inputs, freeze))
    return Target(label, tuple(parameters), given, run, lambda *x: (forward(x),), len(owned), True, inputs, add)


def _forward_of(module: Module, method: str, inputs: tuple, freeze: Callable[[], None]) -> Callable[..., Any]:
    """A model's `loss`, which spares the backward pass, if it gives the same loss here; else the method itself."""
    both = getattr(module, method)
    try:
        freeze()
        expected, *_ = both(*inputs)
        freeze()
        value, *_ = module.loss(*inputs)  # type: ignore[attr-defined]
    except Exception:
        return both
    return module.loss if value == expected else both  # type: ignore[attr-defined]


def _parameters(module: Module) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Parameters, tied ones once, and their values in float64 by name. Statistics become float64 too."""
    if any(True for _ in module.parameters()):
        module.to(dtype=np.float64)
    named = dict(module.named_parameters())
    return list(named.values()), {name: np.array(p.data) for name, p in named.items()}


def _set_gradients(owned: list[Any], gradients: list[np.ndarray]) -> None:
    for p, gradient in zip(owned, gradients, strict=True):
        p.grad = gradient


def _garbage(owned: list[Any]) -> list[np.ndarray]:
    """Put into every gradient what a backward pass must add to; return it."""
    rng = np.random.default_rng(0)
    before = [rng.standard_normal(p.data.shape) for p in owned]
    _set_gradients(owned, [np.copy(b) for b in before])
    return before


# ------------------------------------------------------------------------------------------------- inputs and gradients


def flatten(tree: Any) -> list[Any]:
    """The leaves of nested tuples and lists."""
    return [leaf for branch in tree for leaf in flatten(branch)] if isinstance(tree, tuple | list) else [tree]


def unflatten(tree: Any, leaves: Iterator[Any]) -> Any:
    """`leaves` in the form of `tree`."""
    return tuple(unflatten(branch, leaves) for branch in tree) if isinstance(tree, tuple | list) else next(leaves)


def _call(backward: Callable[..., Any], y: Any, upstream: tuple) -> Any:
    """Hand a backward one gradient for each output, in the form of the outputs."""
    dy = unflatten(y, iter(upstream))
    return backward(*dy) if isinstance(y, tuple | list) else backward(dy)


def _differentiated(backward: Callable[..., Any], y: Any) -> Any:
    """The outputs of a layer that have a gradient, if its backward takes fewer than there are: the first ones."""
    if not isinstance(y, tuple | list):
        return y
    try:
        taken = [p for p in inspect.signature(backward).parameters.values() if p.kind != p.KEYWORD_ONLY]
    except (TypeError, ValueError):
        return y
    if len(taken) >= len(y) or any(p.kind == p.VAR_POSITIONAL for p in taken):
        return y
    return tuple(y[: max(sum(p.default is p.empty for p in taken), 1)])


def _aligned(gradients: Any, inputs: tuple) -> tuple:
    """One gradient for each leaf of the inputs."""
    gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
    if len(gradients) != len(inputs):
        raise MisfitError(
            f"backward returned {_count(len(gradients), 'gradient')} for {_count(len(inputs), 'input')}: "
            "one each, in their order, None for ids and masks"
        )
    found: list[Any] = []
    for x, dx in zip(inputs, gradients, strict=True):
        if not isinstance(x, tuple | list):
            found.append(dx)
        elif dx is None:
            found += [None] * len(flatten(x))
        elif len(flatten(dx)) != len(flatten(x)):
            raise MisfitError(
                f"backward returned {len(flatten(dx))} arrays where an input is a tuple of {len(flatten(x))}"
            )
        else:
            found += flatten(dx)
    return tuple(found)


def _fit(gradients: Any, inputs: tuple) -> tuple:
    """Gradients of a layer or a pair: those of masks and settings may be missing, a missing state's is dropped."""
    given = tuple(gradients) if isinstance(gradients, tuple | list) else (gradients,)
    has = [any(is_float(leaf) for leaf in flatten(x)) for x in inputs]
    if len(given) == sum(has) < len(inputs) and all(dx is not None for dx in given):
        place = iter(given)
        return tuple(next(place) if yes else None for yes in has)
    if not any(has[len(given) :]):
        given = (*given, *[None] * (len(inputs) - len(given)))
    kept = given[: len(inputs)]
    return (
        tuple(None if x is None else dx for x, dx in zip(inputs, kept, strict=False))
        if len(kept) == len(inputs)
        else kept
    )


def _float64(tree: Any) -> tuple:
    """Leaves, floats as float64 copies."""
    return tuple(np.array(x, dtype=np.float64) if is_float(x) else x for x in flatten(tree))


def _copies(values: tuple) -> tuple:
    return tuple(np.copy(x) if isinstance(x, np.ndarray) else x for x in values)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _names(function: Callable[..., Any], count: int) -> list[str]:
    """Names of the inputs from the signature, or 0, 1, ... where it has none."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    found = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [found[k] if k < len(found) else str(k) for k in range(count)]


def _flat_names(names: list[str], inputs: tuple) -> tuple[str, ...]:
    """Names of the leaves: h of (h, c) in `state` is state.0."""
    found: list[str] = []
    for name, x in zip(names, inputs, strict=True):
        leaves = len(flatten(x))
        found += [f"{name}.{k}" for k in range(leaves)] if isinstance(x, tuple | list) else [name]
    return tuple(found)


# ------------------------------------------------------------------------------------------------------ random streams


def generators(tree: Any) -> list[np.random.Generator]:
    """Random streams among inputs, keywords and defaults: each once."""
    found: dict[int, np.random.Generator] = {}
    for leaf in flatten(tree):
        if isinstance(leaf, np.random.Generator):
            found[id(leaf)] = leaf
        elif isinstance(leaf, dict):
            found |= {id(g): g for g in generators(list(leaf.values()))}
        elif isinstance(leaf, partial):
            found |= {id(g): g for g in generators((leaf.func, leaf.args, leaf.keywords))}
        elif inspect.isfunction(leaf):
            defaults = (leaf.__defaults__ or (), leaf.__kwdefaults__ or {})
            found |= {id(g): g for g in generators(defaults)}
    return list(found.values())


def _attributes(module: Module) -> list[Any]:
    return [value for part in module.modules() for value in vars(part).values() if not isinstance(value, Module)]


def _frozen(streams: list[np.random.Generator]) -> Callable[[], None]:
    """Turn the streams back to where they stand now, every time it is called."""
    states = [stream.bit_generator.state for stream in streams]

    def freeze() -> None:
        for stream, state in zip(streams, states, strict=True):
            stream.bit_generator.state = state

    return freeze
