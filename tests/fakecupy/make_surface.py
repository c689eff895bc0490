"""Write cupy_surface.json: the names that the installed CuPy has, and the parameters each one takes.

    pip install cupy-cuda12x && python tests/fakecupy/make_surface.py

Needs no GPU: CuPy imports without one. Kept are the functions and array methods that NumPy has too, because only of
these could a line written for NumPy hope that CuPy has them.
"""

import inspect
import json
import pathlib
import re

import cupy
import numpy as np


def parameters(function):
    """Names of the parameters in order, `*` and `**` for any number of others; None if CuPy does not tell."""
    try:
        known = inspect.signature(function).parameters.values()
    except ValueError:  # compiled: the first line of its docstring is the signature
        match = re.match(r"[\w.]+\((.*)\)", (function.__doc__ or "").strip().split("\n")[0])
        if match is None:
            return None
        names = [re.sub(r"\s*=.*", "", p).strip().split(" ")[-1] for p in match[1].split(",")]
        return ["*" if name.startswith("*") else name for name in names if name not in ("self", "/", "")]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(p.kind, p.name) for p in known if p.name != "self"]


def surface(theirs, ours):
    """Every public function of `theirs` that `ours` has too: a ufunc's number of inputs, another's parameters."""
    found = {}
    for name in sorted(set(dir(theirs)) & set(dir(ours))):
        value = getattr(theirs, name)
        if name.startswith("_") or isinstance(value, type) or not callable(value):
            continue
        found[name] = value.nin if isinstance(value, cupy.ufunc) else parameters(value)
    return {name: value for name, value in found.items() if value is not None}


if __name__ == "__main__":
    facts = {
        "cupy": cupy.__version__,
        "functions": surface(cupy, np),
        "linalg": surface(cupy.linalg, np.linalg),
        "methods": surface(cupy.ndarray, np.ndarray),
    }
    lines = [f'"cupy": "{facts.pop("cupy")}"']
    for section, entries in facts.items():
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
        lines.append(f'"{section}": {{\n{rows}\n }}')
    text = "{\n " + ",\n ".join(lines) + "\n}\n"
    json.loads(text)
    pathlib.Path(__file__).with_name("cupy_surface.json").write_text(text)
