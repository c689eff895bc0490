"""Synchronous grammars: one derivation, said in several languages at once.

A derivation is a tree of entries. Every entry (a word, a rule) has, for each language, *features* (what others agree
with) and *forms* (what it says). Which form is said depends on the features that are passed down to it: the first form
whose key is contained in them. A tree with an entry that has no form for what is asked of it cannot be said in that
language, and is dropped.

The file format, by example. An indented line goes on with the statement above; ``#`` starts a comment::

    languages en fr                              # the languages, in the order of the columns below
    spelling fr: de le -> du                     # a regular expression and its replacement, for whole sentences
    paradigm fr f [f] = pl: ~s ; ~               # forms that many words share (~ is the stem), their features
    particle fr un = neg: de ; m: un ; f: une    # a word of one language that rules call by name: {un:...}
    words Fruit [3s]                             # a category of words, a column for each language; features
      apple/n | pomme/f                          # STEM/PARADIGM
      peach/n ; pl: peaches | pêche/f            # ; KEY: FORM takes the place of the paradigm's, or comes before them
      - ; neg: none | fruit [m] ; q: !           # [FEATURES]; "-" says nothing, "!" cannot be said
    choice Food = 3 Fruit | Bread                # a category that is one of several others, with weights or 1
    rule Meal = EatVerb Fruit                    # a category made of others, called so or by a name: V:EatVerb
      en: {EatVerb:*} an {Fruit}                 # LANGUAGE: PATTERN
      fr past [Fruit]: a {EatVerb:part} {Fruit}  # LANGUAGE KEY [FEATURES]: PATTERN
    shape eat(V, O)                              # the body of a rule with names to fill in ...
      en: {V:*} the {O}
      fr: {V:*} {le:O} {O}
    rule Meal = eat(EatVerb, Fruit)              # ... and a rule that fills them in
    template dinner = P:Person M:Meal            # a whole sentence: derivations start at the templates
      en: {P} {M:P}.
      fr: {P} {M:P}.

``{X:a,b}`` says X and passes features down: ``past`` the feature itself, ``Y`` all features of the child Y, ``*`` all
that were passed to this rule, ``past?`` that feature if it was passed, and ``of-Y`` or ``of-*`` the same with ``of-``
before each (an owner's gender beside the thing's). Keys of several features join them with a dot: ``3s.neg``. No word
is said twice in a sentence: Paul never helps Paul.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minis2s.errors import DataError

Features = frozenset[str]
Tree = tuple["Entry", tuple]  # an entry and the trees of its children

NOTHING: Features = frozenset()
PATIENCE = 40  # a template that yields nothing new this many times in a row is taken as used up


class Derived(NamedTuple):
    """One sentence of the grammar in two languages, and the template that it came from."""

    template: str
    source: str
    target: str


@dataclass(frozen=True)
class Reference:
    """``{X:...}`` in a pattern: what is said there, and which features are passed down to it."""

    what: int | Entry  # a child, by its position, or a particle
    fixed: Features  # past
    all_passed: bool  # *
    if_passed: Features  # past?
    children: tuple[int, ...]  # Y
    owners: tuple[int | None, ...]  # of-Y, and of-* as None


@dataclass(frozen=True)
class Form:
    """What an entry says when all features of its key were passed to it; no parts: it cannot be said."""

    key: Features
    parts: tuple[str | Reference, ...] | None


@dataclass(eq=False)
class Entry:
    """A word, a rule or a particle: its children's categories, and for each language its features and its forms."""

    category: str
    children: tuple[str, ...] = ()
    weight: int = 1
    forms: dict[str, list[Form]] = field(default_factory=dict)
    features: dict[str, Features] = field(default_factory=dict)  # its own
    inherited: dict[str, tuple[int, ...]] = field(default_factory=dict)  # children whose features it takes
    where: str = ""  # file and line, for messages
    said: dict[tuple[str, Features], str] = field(default_factory=dict)  # what a word said before


class _CannotBeSaid(Exception):  # noqa: N818  (a signal, not an error)
    """No form of an entry fits what is passed to it."""


def _features(tree: Tree, language: str) -> Features:
    entry, children = tree
    features = entry.features.get(language, NOTHING)
    for i in entry.inherited.get(language, ()):
        features |= _features(children[i], language)
    return features


def _words(tree: Tree) -> list[Entry]:
    entry, children = tree
    return [word for child in children for word in _words(child)] if children else [entry]


def _owned(features: Features) -> Features:
    return frozenset([f"of-{feature}" for feature in features])


def _say(tree: Tree, language: str, passed: Features) -> str:
    """The text of a tree, before spelling: the first form whose key is contained in the features passed to it."""
    entry, children = tree
    if not children and (known := entry.said.get((language, passed))) is not None:
        return known
    for form in entry.forms.get(language, ()):
        if form.key <= passed:
            break
    else:
        raise _CannotBeSaid
    if form.parts is None:
        raise _CannotBeSaid
    said = []
    for part in form.parts:
        if isinstance(part, str):
            said.append(part)
            continue
        features = passed if part.all_passed else passed & part.if_passed if part.if_passed else NOTHING
        if part.fixed:
            features |= part.fixed
        for i in part.children:
            features |= _features(children[i], language)
        for owner in part.owners:
            features |= _owned(passed if owner is None else _features(children[owner], language))
        child = (part.what, ()) if isinstance(part.what, Entry) else children[part.what]
        said.append(_say(child, language, features))
    text = "".join(said)
    if not children:
        entry.said[language, passed] = text  # words are said again and again
    return text


class Grammar:
    """A synchronous grammar: the entries of every category, the templates and the spelling rules of every language."""

    def __init__(
        self,
        languages: Sequence[str],
        entries: dict[str, list[Entry]],
        templates: dict[str, Entry],
        spelling: dict[str, list[tuple[re.Pattern[str], str]]],
    ):
        self.languages = tuple(languages)
        self.entries = entries
        self.templates = templates
        self.spelling = spelling
        self._limits = {c: list(itertools.accumulate(e.weight for e in found)) for c, found in entries.items()}

    def say(self, tree: Tree, language: str) -> str | None:
        """The sentence that a derivation is in a language, or None if it cannot be said in it."""
        try:
            text = _say(tree, language, NOTHING)
        except _CannotBeSaid:
            return None
        text = " ".join(text.split())
        for pattern, replacement in self.spelling[language]:
            text = pattern.sub(replacement, text)
        return text[:1].upper() + text[1:]

    def size(self, template: str) -> int:
        """How many derivations a template has (a few of them cannot be said in every language)."""
        counts: dict[str, int] = {}

        def count(entry: Entry) -> int:
            total = 1
            for category in entry.children:
                if category not in counts:
                    counts[category] = sum(count(e) for e in self.entries[category])
                total *= counts[category]
            return total

        return count(self.templates[template])

    def sample(self, source: str, target: str, count: int, rng: np.random.Generator) -> list[Derived]:
        """Draw distinct sentence pairs, equally many from each template as long as the template has new ones.

        Within a template each choice is made by weight, from the top of the tree down. Same rng state, same pairs.

        Parameters
        ----------
        source, target : two of the grammar's languages
        count : int, how many pairs
        rng : numpy.random.Generator

        Returns
        -------
        list of Derived, in random order

        Raises
        ------
        DataError
            If the grammar has too few sentences, or gives one source sentence two targets.
        """
        for language in (source, target):
            if language not in self.languages:
                raise DataError(f"grammar: no language {language!r}; it has {', '.join(self.languages)}")
        uniform = _uniform(rng)
        both = (name for name, t in self.templates.items() if t.forms.get(source) and t.forms.get(target))
        live = dict.fromkeys(both, 0)  # the templates in use: how often in a row each gave nothing new
        found: dict[str, Derived] = {}
        while len(found) < count:
            if not live:
                raise DataError(f"grammar: {count} pairs were asked for, it has about {len(found)}; ask for fewer")
            for name in list(live):
                new = self._draw(name, source, target, uniform, found)
                live[name] = 0 if new else live[name] + 1
                if live[name] == PATIENCE:
                    del live[name]
        derived = list(found.values())
        return [derived[i] for i in rng.permutation(len(derived))[:count].tolist()]

    def _draw(self, name: str, source: str, target: str, uniform: Iterator[float], found: dict[str, Derived]) -> bool:
        """Add one derivation of a template to what was found; False if it cannot be said or is known already."""
        tree = self._grow(self.templates[name], uniform, set())
        if tree is None or (said := self.say(tree, source)) is None or (meant := self.say(tree, target)) is None:
            return False
        known = found.get(said)
        if known is None:
            found[said] = Derived(name, said, meant)
        elif known.target != meant:
            raise DataError(
                f"grammar: {said!r} means both {known.target!r} (template {known.template}) "
                f"and {meant!r} (template {name}); change one of the two"
            )
        return known is None

    def _grow(self, entry: Entry, uniform: Iterator[float], said: set[Entry]) -> Tree | None:
        """A random derivation of an entry, or None where it came to a word for the second time."""
        if not entry.children:
            if entry in said:
                return None
            said.add(entry)
        children = []
        for category in entry.children:
            limits = self._limits[category]
            i = bisect_right(limits, next(uniform) * limits[-1])
            child = self._grow(self.entries[category][i], uniform, said)
            if child is None:
                return None
            children.append(child)
        return entry, tuple(children)

    def translations(self, text: str, source: str, target: str) -> set[str]:
        """All that a sentence means: the targets of every derivation that says it; none if no derivation does."""
        fits: dict[Entry, bool] = {}
        grown: dict[str, list[Tree]] = {}

        def trees(category: str) -> list[Tree]:
            if category not in grown:
                grown[category] = [tree for entry in self.entries[category] for tree in expand(entry)]
            return grown[category]

        def expand(entry: Entry) -> Iterator[Tree]:
            if entry not in fits:
                fits[entry] = _may_say(entry, source, text.lower())
            if fits[entry]:
                for children in itertools.product(*(trees(category) for category in entry.children)):
                    yield entry, children

        found = set()
        for tree in (tree for template in self.templates.values() for tree in expand(template)):
            words = _words(tree)
            if len(set(words)) == len(words) and self.say(tree, source) == text:
                found.add(self.say(tree, target))
        return {meant for meant in found if meant is not None}


def _may_say(entry: Entry, language: str, text: str) -> bool:
    """Whether the longest word of some form of an entry is in a text, but for the end, which spelling may change."""
    for form in entry.forms.get(language, ()):
        words = [word for part in form.parts or () if isinstance(part, str) for word in part.split()]
        if form.parts is not None and max(words, key=len, default="")[:-1].lower() in text:
            return True
    return False


def _uniform(rng: np.random.Generator) -> Iterator[float]:
    """Endless uniform numbers in [0, 1), drawn in blocks: one call of a generator for each is slow."""
    while True:
        yield from rng.random(1 << 14).tolist()


# ---- reading ------------------------------------------------------------------------------------------


class _Line(NamedTuple):
    where: str  # file:line
    text: str

    def error(self, message: str) -> DataError:
        return DataError(f"{self.where}: {message}")


class _Block(NamedTuple):
    head: _Line
    body: list[_Line]


class _Shape(NamedTuple):
    names: tuple[str, ...]
    body: list[_Line]


_NAME = r"[A-Za-z]\w*(?:-\w+)*"
_KEY = r"[\w-]+(?:\.[\w-]+)*"
_STATEMENTS = ("languages", "spelling", "paradigm", "particle", "words", "choice", "rule", "shape", "template")


def read_grammar(paths: Iterable[Path]) -> Grammar:
    """Read a grammar from one or more files, which are read as if they were one.

    Raises
    ------
    DataError
        If a file is missing or has an error; the message starts with file and line.
    """
    return _Reader(_blocks(paths)).grammar()


def _blocks(paths: Iterable[Path]) -> list[_Block]:
    """The statements of the files, each with the indented lines that go on with it."""
    blocks: list[_Block] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); it is part of the grammar") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}: not UTF-8; save it as UTF-8 text") from None
        for number, raw in enumerate(text.splitlines(), start=1):
            content = re.sub(r"(^|\s)#.*", "", raw).rstrip()
            if not content:
                continue
            line = _Line(f"{path.name}:{number}", content.strip())
            if content[0] not in " \t":
                blocks.append(_Block(line, []))
            elif blocks:
                blocks[-1].body.append(line)
            else:
                raise line.error("an indented line with no statement above it; start it at the margin")
    return blocks


def _forms(text: str) -> dict[str, str]:
    """The forms in ``key: form ; key: form ; form`` by their keys, in order; the key of the last one is empty."""
    matches = (re.fullmatch(rf"(?:({_KEY}):\s)?\s*(.*)", form.strip()) for form in text.split(";") if form.strip())
    return {match[1] or "": match[2] for match in matches if match}


class _Reader:
    """Turns statements into a grammar: first everything with a name, then the patterns, which call names."""

    def __init__(self, blocks: list[_Block]):
        self.languages: list[str] = []
        self.spelling: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        self.paradigms: dict[tuple[str, str], tuple[Features, str]] = {}
        self.particles: dict[tuple[str, str], Entry] = {}
        self.shapes: dict[str, _Shape] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.templates: dict[str, Entry] = {}
        grouped: dict[str, list[_Block]] = {name: [] for name in _STATEMENTS}
        for block in blocks:
            word = block.head.text.split()[0]
            if word not in grouped:
                raise block.head.error(f"unknown statement {word!r}; use one of {', '.join(_STATEMENTS)}")
            grouped[word].append(block)
        if len(grouped["languages"]) != 1:
            raise DataError("grammar: needs exactly one 'languages' statement, such as: languages en fr")
        self._late: list[tuple[Entry, str, str | None, str, _Line, dict[str, int]]] = []
        for name in ("languages", "spelling", "paradigm", "particle", "shape", "words", "choice", "rule", "template"):
            for block in grouped[name]:
                getattr(self, f"_read_{name}")(block)

    def grammar(self) -> Grammar:
        for entry, language, key, pattern, line, names in self._late:
            entry.forms.setdefault(language, []).append(self._form(language, key, pattern, line, names))
        self._check()
        if not self.templates:
            raise DataError("grammar: no 'template' statement, so there is nothing to say; add one")
        return Grammar(self.languages, self.entries, self.templates, self.spelling)

    # -- statements

    def _read_languages(self, block: _Block) -> None:
        self.languages = block.head.text.split()[1:]
        self.spelling = {language: [] for language in self.languages}

    def _read_spelling(self, block: _Block) -> None:
        match = re.fullmatch(r"spelling (\w+): (.*?) -> ?(.*)", block.head.text + " ")
        if not match:
            raise block.head.error("expected: spelling LANGUAGE: EXPRESSION -> REPLACEMENT")
        try:
            pattern = re.compile(match[2])
            replacement = match[3][:-1].replace("_", " ")
            pattern.sub(replacement, "")
        except (re.error, IndexError) as error:
            raise block.head.error(f"not a regular expression: {error}") from None
        self.spelling[self._language(match[1], block.head)].append((pattern, replacement))

    def _read_paradigm(self, block: _Block) -> None:
        match = re.fullmatch(rf"paradigm (\w+) ({_NAME})\s*(?:\[(.*?)\])?\s*=\s*(.*)", block.head.text)
        if not match:
            raise block.head.error("expected: paradigm LANGUAGE NAME [FEATURES] = KEY: FORM ; KEY: FORM ; FORM")
        name = (self._language(match[1], block.head), match[2])
        if name in self.paradigms:
            raise block.head.error(f"paradigm {match[2]!r} of {match[1]!r} is defined twice")
        forms = " ; ".join([match[4], *(line.text for line in block.body)])
        self.paradigms[name] = (frozenset((match[3] or "").split()), forms)

    def _read_particle(self, block: _Block) -> None:
        match = re.fullmatch(rf"particle (\w+) ({_NAME})\s*=\s*(.*)", block.head.text)
        if not match:
            raise block.head.error("expected: particle LANGUAGE NAME = KEY: FORM ; KEY: FORM ; FORM")
        language = self._language(match[1], block.head)
        if (language, match[2]) in self.particles:
            raise block.head.error(f"particle {match[2]!r} of {language!r} is defined twice")
        entry = Entry(match[2], where=block.head.where)
        self.particles[language, match[2]] = entry
        forms = " ; ".join([match[3], *(line.text for line in block.body)])
        self._add_forms(entry, language, _forms(forms), block.head)

    def _read_shape(self, block: _Block) -> None:
        match = re.fullmatch(rf"shape ({_NAME})\((.*)\)", block.head.text)
        if not match:
            raise block.head.error("expected: shape NAME(CHILD, CHILD, ...)")
        if match[1] in self.shapes:
            raise block.head.error(f"shape {match[1]!r} is defined twice")
        self.shapes[match[1]] = _Shape(tuple(name.strip() for name in match[2].split(",")), block.body)

    def _read_words(self, block: _Block) -> None:
        match = re.fullmatch(rf"words ({_NAME})\s*(?:\[(.*?)\])?", block.head.text)
        if not match:
            raise block.head.error("expected: words CATEGORY [FEATURES]")
        for line in block.body:
            cells = [cell.strip() for cell in line.text.split("|")]
            if len(cells) != len(self.languages):
                raise line.error(f"{len(cells)} columns, expected {len(self.languages)}: {' | '.join(self.languages)}")
            entry = Entry(match[1], where=line.where)
            for language, cell in zip(self.languages, cells, strict=True):
                self._read_cell(entry, language, cell, frozenset((match[2] or "").split()), line)
            self.entries.setdefault(match[1], []).append(entry)

    def _read_cell(self, entry: Entry, language: str, cell: str, features: Features, line: _Line) -> None:
        first, _, forms = cell.partition(";")
        match = re.fullmatch(r"((?:\{.*?\}|[^/:\[\]])*)(?:/([\w-]+))?\s*(?:\[(.*?)\])?", first.strip())
        if not match or not first.strip():
            raise line.error(f"cannot read {cell!r}; expected: STEM/PARADIGM [FEATURES] ; KEY: FORM ; ...")
        stem = match[1].strip()
        entry.features[language] = features | frozenset((match[3] or "").split())
        shared = "~"
        if match[2]:
            if (language, match[2]) not in self.paradigms:
                raise line.error(f"unknown paradigm {match[2]!r} of language {language!r}")
            of_paradigm, shared = self.paradigms[language, match[2]]
            entry.features[language] |= of_paradigm
        merged = _forms(shared)
        given = _forms(forms)
        merged = {**{key: form for key, form in given.items() if key not in merged}, **merged, **given}
        self._add_forms(entry, language, {key: form.replace("~", stem) for key, form in merged.items()}, line)

    def _add_forms(self, entry: Entry, language: str, forms: dict[str, str], line: _Line) -> None:
        for key, form in forms.items():
            self._late.append((entry, language, key, "" if form == "-" else form, line, {}))

    def _read_choice(self, block: _Block) -> None:
        match = re.fullmatch(rf"choice ({_NAME})\s*=\s*(.*)", block.head.text)
        if not match:
            raise block.head.error("expected: choice CATEGORY = WEIGHT CATEGORY | CATEGORY | ...")
        for part in " ".join([match[2], *(line.text for line in block.body)]).split("|"):
            one = re.fullmatch(rf"(?:(\d+)\s+)?({_NAME})", part.strip())
            if not one:
                raise block.head.error(f"cannot read {part.strip()!r}; expected a category, or a weight and a category")
            entry = Entry(match[1], (one[2],), int(one[1] or 1), where=block.head.where)
            for language in self.languages:
                entry.inherited[language] = (0,)
                entry.forms[language] = [Form(NOTHING, (Reference(0, NOTHING, True, NOTHING, (), ()),))]
            self.entries.setdefault(match[1], []).append(entry)

    def _read_rule(self, block: _Block) -> None:
        match = re.fullmatch(rf"rule (?:(\d+) )?({_NAME})\s*=\s*(.*)", block.head.text)
        if not match:
            raise block.head.error(
                "expected: rule CATEGORY = CHILD CHILD ..., or: rule CATEGORY = SHAPE(CATEGORY, ...)"
            )
        entry = self._rule(match[2], match[3], int(match[1] or 1), block)
        self.entries.setdefault(match[2], []).append(entry)

    def _read_template(self, block: _Block) -> None:
        match = re.fullmatch(rf"template ({_NAME})\s*=\s*(.*)", block.head.text)
        if not match:
            raise block.head.error("expected: template NAME = CHILD CHILD ...")
        if match[1] in self.templates:
            raise block.head.error(f"template {match[1]!r} is defined twice")
        self.templates[match[1]] = self._rule(match[1], match[2], 1, block)

    def _rule(self, category: str, children: str, weight: int, block: _Block) -> Entry:
        called = re.fullmatch(rf"({_NAME})\((.*)\)", children)
        if called:
            if called[1] not in self.shapes:
                raise block.head.error(f"unknown shape {called[1]!r}")
            names, body = self.shapes[called[1]]
            categories = [c.strip() for c in called[2].split(",")]
            if len(categories) != len(names):
                raise block.head.error(f"shape {called[1]!r} takes {len(names)} categories, not {len(categories)}")
        else:
            pairs = [child.partition(":") for child in children.split()]
            names = tuple(name for name, _, _ in pairs)
            categories = [c or name for name, _, c in pairs]
            body = []
        entry = Entry(category, tuple(categories), weight, where=block.head.where)
        positions = {name: i for i, name in enumerate(names)}
        if len(positions) < len(names):
            raise block.head.error("two children of one name; name them apart, as in A:Noun B:Noun")
        for line in [*body, *block.body]:
            self._read_body(entry, line, positions)
        return entry

    def _read_body(self, entry: Entry, line: _Line, positions: dict[str, int]) -> None:
        match = re.fullmatch(rf"(\w+)(?: +({_KEY}))? *(?:\[(.*?)\])? *: *(.*)", line.text)
        if not match:
            raise line.error("expected: LANGUAGE [FEATURES]: PATTERN, or: LANGUAGE KEY [FEATURES]: PATTERN")
        language = self._language(match[1], line)
        if match[3] is not None:
            if language in entry.features:
                raise line.error(f"the features of {language!r} are given twice in one rule")
            names = match[3].split()
            entry.features[language] = frozenset(n for n in names if n not in positions)
            entry.inherited[language] = tuple(positions[n] for n in names if n in positions)
        self._late.append((entry, language, match[2], match[4], line, positions))

    # -- patterns

    def _language(self, name: str, line: _Line) -> str:
        if name not in self.languages:
            raise line.error(f"unknown language {name!r}; the grammar has {', '.join(self.languages)}")
        return name

    def _form(self, language: str, key: str | None, pattern: str, line: _Line, names: dict[str, int]) -> Form:
        features = frozenset(key.split(".")) if key else NOTHING
        if pattern.strip() == "!":
            return Form(features, None)
        parts: list[str | Reference] = []
        for piece in re.split(r"(\{[^{}]*\})", pattern):
            if piece.startswith("{") and piece.endswith("}"):
                parts.append(self._reference(piece[1:-1], language, line, names))
            elif "{" in piece or "}" in piece:
                raise line.error(f"a brace without its other half in {pattern!r}")
            elif piece:
                parts.append(piece)
        return Form(features, tuple(parts))

    def _reference(self, text: str, language: str, line: _Line, names: dict[str, int]) -> Reference:
        name, _, passed = text.partition(":")
        what = names.get(name, self.particles.get((language, name)))
        if what is None:
            raise line.error(f"{{{name}}} is neither a child of this rule nor a particle of {language!r}")
        fixed, if_passed = set(), set()
        children: list[int] = []
        owners: list[int | None] = []
        all_passed = False
        for item in filter(None, passed.split(",")):
            owner = item.removeprefix("of-")
            if item == "*":
                all_passed = True
            elif item in names:
                children.append(names[item])
            elif item.endswith("?"):
                if_passed.add(item[:-1])
            elif item.startswith("of-") and (owner == "*" or owner in names):
                owners.append(None if owner == "*" else names[owner])
            elif re.fullmatch(r"[a-z0-9][\w-]*", item):
                fixed.add(item)
            else:
                raise line.error(f"{item!r} in {{{text}}} is neither a feature nor a child of this rule")
        return Reference(what, frozenset(fixed), all_passed, frozenset(if_passed), tuple(children), tuple(owners))

    def _check(self) -> None:
        """Every category exists and none contains itself (sentences would have no end)."""
        done: set[str] = set()

        def visit(entry: Entry, above: tuple[str, ...]) -> None:
            for category in entry.children:
                if category not in self.entries:
                    raise DataError(f"{entry.where}: unknown category {category!r}")
                if category in above:
                    raise DataError(f"{entry.where}: category {category!r} contains itself")
                if category not in done:
                    for below in self.entries[category]:
                        visit(below, (*above, category))
                    done.add(category)

        for entry in (*(e for found in self.entries.values() for e in found), *self.templates.values()):
            visit(entry, (entry.category,) if entry.category in self.entries else ())
