"""Put right what is marked as wrong in the mutants' source, and run it."""

import re
from pathlib import Path

from mutants import make


def mended_source(text):
    """The source with every mistake replaced by the line that its comment names."""
    lines, replacement = [], None
    for line in text.splitlines():
        indent = re.match(" *", line)[0]
        if alone := re.fullmatch(r" *# (right|missing): (.*)", line):
            if alone[1] == "missing":
                lines.append(indent + alone[2])
            else:
                replacement = alone[2]
            continue
        if replacement is not None:
            line, replacement = indent + replacement, None
        elif trailing := re.search(r"  # right: (.*)$", line):
            line = indent + trailing[1]
        lines.append(line)
    return "\n".join(lines)


def mended():
    """All mutants without their mistakes, by name."""
    found = {}

    def collect(name, **options):
        def register(function):
            found[name] = make(name, function, **options)
            return function

        return register

    for folder in ("dev", "kept_aside"):
        for path in sorted((Path(__file__).parent / folder).glob("[!_]*.py")):
            source = mended_source(path.read_text(encoding="utf-8")).replace("from mutants import mutant\n", "\n")
            exec(compile(source, f"{folder}/{path.name} (mended)", "exec"), {"mutant": collect, "__name__": "mended"})
    return found
