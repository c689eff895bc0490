"""The reader and the generator of synchronous grammars, on grammars of a few lines."""

import numpy as np
import pytest

from minis2s.data.grammar import read_grammar
from minis2s.errors import DataError

HEAD = "languages en fr\n"

SMALL = """languages en fr
spelling fr: e (?<=\\ble )(?=[aeiou]) -> '
spelling en: a (?<=\\ba )(?=[aeiou]) -> an_

paradigm en n = pl: ~s ; ~
paradigm fr m [m] = pl: ~s ; ~
paradigm fr f [f] = pl: ~s ; ~

particle en be = 3p: are ;
  is                                   # goes on from the line above
particle fr le = pl: les ; m: le ; f: la
particle fr un = neg: de ; m: un ; f: une
particle fr own = of-m: son ; of-f: sa

words Fruit
  apple/n | pomme/f
  apricot/n | abricot/m
words Adjective
  red | rouge ; pl: rouges
  white | ! ; f.pl: blanches ; f: blanche ; pl: blancs ; m: blanc
words Person
  he [m] | il [m]
  she [f] | elle [f]

rule One = F:Fruit
  en [3s]: the {F}
  fr [F]: {le:F} {F}
  fr never: !
rule 2 Several = F:Fruit
  en [3p]: the {F:pl}
  fr [F pl]: {le:F,pl} {F:pl}
choice Thing = 3 One | Several

shape eat(P, F)
  en: {P} ate a {F}.
  fr neg: !
  fr: {P} a mangé {un:F,neg?} {F}.

template is = T:Thing A:Adjective
  en: {T} {be:T} {A}.
  fr: {T} est {A:T}.
template two = A:Fruit B:Fruit
  en: {A} or {B}?
  fr: {A} ou {B} ?
template own = P:Person
  en: {P}
  fr: {own:of-P}
template eat = eat(Person, Fruit)
"""


def write(tmp_path, text, name="small.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def grammar(tmp_path):
    return read_grammar([write(tmp_path, SMALL)])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("The apple is white.", "La pomme est blanche."),
        ("The apricot is white.", "L'abricot est blanc."),
        ("The apples are white.", "Les pommes est blanches."),
        ("The apricots are red.", "Les abricots est rouges."),
        ("She ate an apple.", "Elle a mangé une pomme."),
        ("She", "Sa"),
        ("Apple or apricot?", "Pomme ou abricot ?"),
    ],
)
def test_translations(grammar, source, target):
    assert grammar.translations(source, "en", "fr") == {target}


@pytest.mark.parametrize("source", ["Apple or apple?", "The apples is white.", "the apple is white", ""])
def test_no_translations(grammar, source):
    assert grammar.translations(source, "en", "fr") == set()


def test_sizes_count_derivations(grammar):
    assert grammar.size("is") == 4 * 2
    assert grammar.size("eat") == 2 * 2


def test_sample_finds_all_and_no_more(grammar):
    everything = 8 + 2 + 2 + 4  # of the four "two", two say the same word twice
    derived = grammar.sample("en", "fr", everything, np.random.default_rng(0))
    assert len({d.source for d in derived}) == everything
    with pytest.raises(DataError, match="17 pairs were asked for, it has about 16; ask for fewer"):
        grammar.sample("en", "fr", everything + 1, np.random.default_rng(0))


def test_sample_both_ways_and_by_seed(grammar):
    one = grammar.sample("fr", "en", 10, np.random.default_rng(1))
    assert one == grammar.sample("fr", "en", 10, np.random.default_rng(1))
    assert {d.template for d in one} <= {"is", "two", "own", "eat"}


def test_template_without_a_language_is_left_out(tmp_path):
    text = (
        HEAD + "words A\n  a | b\n  c | d\ntemplate both = A\n  en: {A}\n  fr: {A}\ntemplate french = A\n  fr: oh {A}\n"
    )
    derived = read_grammar([write(tmp_path, text)]).sample("en", "fr", 2, np.random.default_rng(0))
    assert {d.template for d in derived} == {"both"}


def test_weights(tmp_path):
    text = HEAD + "words A\n  a | a\nwords B\n  b | b\nwords N\n"
    text += "".join(f"  {i} | {i}\n" for i in range(2000))
    text += "choice C = 9 A | B\ntemplate t = C N\n  en: {C} {N}\n  fr: {C} {N}\n"
    derived = read_grammar([write(tmp_path, text)]).sample("en", "fr", 1000, np.random.default_rng(0))
    assert 0.8 < np.mean([d.source.startswith("A") for d in derived]) < 0.97


def test_two_meanings_are_an_error(tmp_path):
    text = HEAD + "words A\n  you | tu\n  you | vous\ntemplate t = A\n  en: {A}\n  fr: {A}\n"
    grammar = read_grammar([write(tmp_path, text)])
    assert grammar.translations("You", "en", "fr") == {"Tu", "Vous"}
    with pytest.raises(DataError, match=r"'You' means both 'Tu' \(template t\) and 'Vous'|'You' means both 'Vous'"):
        grammar.sample("en", "fr", 2, np.random.default_rng(0))


def test_several_files_are_read_as_one(tmp_path):
    one = write(tmp_path, "template t = A\n  en: {A}\n  fr: {A}\n", "one.txt")
    two = write(tmp_path, HEAD + "words A\n  a | b\n", "two.txt")
    assert read_grammar([one, two]).translations("A", "en", "fr") == {"B"}


def test_override_takes_the_paradigms_place(tmp_path):
    text = HEAD + "paradigm en v = base: ~ ; ing: ~ing ; 3s: ~s ; ~\nwords V\n  study/v ; 3s: studies | x\n"
    text += "template t = V\n  en: {V:base,3s} {V:ing,3s} {V:3s} {V}\n  fr: {V}\n"
    grammar = read_grammar([write(tmp_path, text)])
    assert grammar.translations("Study studying studies study", "en", "fr") == {"X"}


RULE = "words A\n  a | b\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("word A\n", r"small.txt:2: unknown statement 'word'; use one of languages"),
        ("words A\n  a\n", r"small.txt:3: 1 columns, expected 2: en \| fr"),
        ("words A\n  a/x | b\n", r"small.txt:3: unknown paradigm 'x' of language 'en'"),
        ("words A\n  a |\n", r"small.txt:3: cannot read ''"),
        ("words A\n  pl: as | b\n", r"small.txt:3: cannot read 'pl: as'"),
        (RULE + "template t = B\n  en: {B}\n", r"small.txt:4: unknown category 'B'"),
        (
            RULE + "template t = A\n  en: {B}\n",
            r"small.txt:5: \{B\} is neither a child of this rule nor a particle of 'en'",
        ),
        (RULE + "template t = A\n  en: {A:B}\n", r"small.txt:5: 'B' in \{A:B\} is neither a feature nor a child"),
        (RULE + "template t = A\n  en: {A\n", r"small.txt:5: a brace without its other half"),
        (RULE + "template t = A\n  de: {A}\n", r"small.txt:5: unknown language 'de'; the grammar has en, fr"),
        (RULE + "template t = A\n  en {A}\n", r"small.txt:5: expected: LANGUAGE"),
        (RULE + "template t = A A\n  en: {A}\n", r"small.txt:4: two children of one name"),
        (RULE + "template t = A\n  en [m]: {A}\n  en [f]: {A}\n", r"small.txt:6: the features of 'en' are given twice"),
        (RULE + "template t = A\n  en: x\ntemplate t = A\n", r"small.txt:6: template 't' is defined twice"),
        (RULE + "template t = s(A)\n", r"small.txt:4: unknown shape 's'"),
        (
            "shape s(X, Y)\n  en: {X}\n" + RULE + "template t = s(A)\n",
            r"small.txt:6: shape 's' takes 2 categories, not 1",
        ),
        ("choice A = two B\n", r"small.txt:2: cannot read 'two B'"),
        ("choice A = B\nchoice B = A\ntemplate t = A\n  en: {A}\n", r"category 'A' contains itself"),
        ("paradigm en n = ~\nparadigm en n = ~\n", r"small.txt:3: paradigm 'n' of 'en' is defined twice"),
        ("particle en x = a\nparticle en x = a\n", r"small.txt:3: particle 'x' of 'en' is defined twice"),
        ("shape s(X)\nshape s(X)\n", r"small.txt:3: shape 's' is defined twice"),
        ("spelling fr: ( -> x\n", r"small.txt:2: not a regular expression"),
        ("spelling fr: a -> \\1\n", r"small.txt:2: not a regular expression"),
        ("spelling fr a b\n", r"small.txt:2: expected: spelling LANGUAGE"),
        ("rule = A\n", r"small.txt:2: expected: rule CATEGORY"),
        ("template t A\n", r"small.txt:2: expected: template NAME"),
        ("paradigm en\n", r"small.txt:2: expected: paradigm LANGUAGE"),
        ("particle en\n", r"small.txt:2: expected: particle LANGUAGE"),
        ("words\n", r"small.txt:2: expected: words CATEGORY"),
        ("choice\n", r"small.txt:2: expected: choice CATEGORY"),
        ("shape s\n", r"small.txt:2: expected: shape NAME"),
        ("languages en\n", r"exactly one 'languages' statement"),
        (RULE, r"no 'template' statement"),
    ],
)
def test_format_errors_name_the_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_grammar([write(tmp_path, HEAD + text)])


def test_indented_line_at_the_start(tmp_path):
    with pytest.raises(DataError, match=r"small.txt:1: an indented line with no statement above it"):
        read_grammar([write(tmp_path, "  a | b\n" + HEAD)])


def test_missing_and_undecodable_files(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        read_grammar([tmp_path / "none.txt"])
    (tmp_path / "latin.txt").write_bytes(b"words A\n  \xe9t\xe9\n")
    with pytest.raises(DataError, match=r"latin\.txt: not UTF-8"):
        read_grammar([tmp_path / "latin.txt"])
