"""Text comes back from its tokens; a word is one token wherever it stands."""

import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minis2s.data import BytePairTokenizer, CharacterTokenizer, WordTokenizer, phrases, read_tsv, tokenizer_from_dict
from minis2s.data.tokenizers import JOIN, normalize
from minis2s.errors import CheckpointError, ConfigError

TATOEBA = Path(
    os.environ.get("MINIS2S_TATOEBA", Path(__file__).parents[3] / "shared" / "data" / "tatoeba" / "eng-fra.tsv")
)
SIGNS = st.text(st.sampled_from("ab zé1'’-.,!?\"«»() \u00a0\u202f_$l'qu"))


def words(text):
    """The tokens, with `_` for the mark."""
    return " ".join(WordTokenizer().tokenize(text)).replace(JOIN, "_")


def one_spaced(text):
    return " ".join(normalize(text).split())


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I don't know.", "I don't know _."),
        ("It's five o'clock, isn't it?", "It's five o'clock _, isn't it _?"),
        ("Je bois de l'eau.", "Je bois de l'_ eau _."),
        ("L’eau qu'il a", "L’_ eau qu'_ il a"),
        ("Est-ce que tu viens aujourd'hui ?", "Est _-ce que tu viens aujourd'hui ?"),
        ("Va-t'en !", "Va _-t'_ en !"),
        ("Y a-t-il quelqu'un ?", "Y a _-t _-il quelqu'un ?"),
        ("Lorsqu'elle part, d'ici", "Lorsqu'_ elle part _, d'_ ici"),
        ("« Oui », dit-il.", "« Oui » _, dit _-il _."),
        ('He said "no" (twice)...', 'He said "_ no _" (_ twice _) _. _. _.'),
        ("1,000.50 at 12:30, 3 - 2", "1,000.50 at 12:30 _, 3 - 2"),
        ("5€ 10km $3", "5 _€ 10_ km $_ 3"),
        ("हिन्दी में", "हिन्दी में"),
        ("ภาษาไทย", "ภาษาไทย"),
        ("👍🏽 ok", "👍 _🏽 ok"),
        ("", ""),
        (" \t ", ""),
    ],
)
def test_what_is_a_word(text, tokens):
    assert words(text) == tokens
    assert WordTokenizer().detokenize(WordTokenizer().tokenize(text)) == normalize(text)


@pytest.mark.parametrize("sign", ["!", "?", ":", ";"])
def test_the_space_before_a_french_sign_is_remembered(sign):
    tokenizer = WordTokenizer()
    for text in (f"Oui {sign}", f"Oui{sign}"):
        tokens = tokenizer.tokenize(text)
        assert tokens[0] == "Oui"
        assert tokenizer.detokenize(tokens) == text
    assert tokenizer.detokenize(tokenizer.tokenize(f"Oui\u202f{sign}")) == f"Oui {sign}"


@pytest.mark.parametrize("text", ["house", "(house)", "the house, the", '"house"', "house.", "l'house", "«house»"])
def test_a_word_is_the_same_token_wherever_it_stands(text):
    assert "house" in WordTokenizer().tokenize(text)


@given(st.one_of(SIGNS, st.text()))
def test_words_come_back(text):
    tokenizer = WordTokenizer()
    tokens = tokenizer.tokenize(text)
    assert all(tokens)
    assert not any(character.isspace() for token in tokens for character in token)
    assert tokenizer.detokenize(tokens) == one_spaced(text.replace(JOIN, " "))


def test_the_mark_itself_cannot_stand_in_a_text():
    assert WordTokenizer().tokenize(f"a{JOIN}b {JOIN}c") == ["a", "b", "c"]


@given(st.lists(st.text(st.sampled_from(f"ab'-. {JOIN}"), min_size=1)))
def test_whatever_a_model_writes_can_be_read(tokens):
    assert JOIN not in WordTokenizer().detokenize(tokens)


@pytest.mark.parametrize("language", ["fr", "zh"])
def test_the_built_in_phrases_come_back(language):
    tokenizer = WordTokenizer()
    for text in {text for pair in phrases.generate(language, 3000) for text in pair}:
        assert tokenizer.detokenize(tokenizer.tokenize(text)) == text


@pytest.mark.skipif(not TATOEBA.exists(), reason="needs eng-fra.tsv of Tatoeba: set MINIS2S_TATOEBA to its path")
def test_real_sentences_come_back():
    tokenizer = WordTokenizer()
    pairs = read_tsv(TATOEBA)
    for side in ("source", "target"):
        texts = [getattr(pair, side) for pair in pairs]
        tokens = [tokenizer.tokenize(text) for text in texts]
        same = sum(tokenizer.detokenize(t) == text for t, text in zip(tokens, texts, strict=True))
        assert same / len(texts) > 0.999
        counts = Counter(token for sequence in tokens for token in sequence)
        marked = sum(counts[f"{word}{JOIN}"] + counts[f"{JOIN}{word}"] for word in list(counts) if word.isalpha())
        assert marked == 0, "no word has two tokens"


@given(st.text())
def test_characters_come_back(text):
    tokenizer = CharacterTokenizer()
    tokens = tokenizer.tokenize(text)
    assert all(len(token) == 1 for token in tokens)
    assert tokenizer.detokenize(tokens) == normalize(text)


def test_characters_are_code_points_of_one_spelling():
    assert CharacterTokenizer().tokenize("e\u0301\u00a0a") == ["é", " ", "a"]


# ---------------------------------------------------------------------------------------------------------- byte pairs

TEXTS = ["The cat eats the fish.", "Le chat mange le poisson !", "Les chats mangent les poissons.", "猫吃鱼。"] * 20


@pytest.fixture(scope="module")
def byte_pairs():
    pytest.importorskip("tokenizers", reason="needs the package tokenizers: pip install 'minis2s[bpe]'")
    return BytePairTokenizer.train(TEXTS, 80)


def test_byte_pairs_learn_frequent_pieces(byte_pairs):
    assert byte_pairs.tokenize("chat chate") == ["\u2581chat", "\u2581chat", "e"]
    fewer = BytePairTokenizer.train(TEXTS, 35)
    assert len(byte_pairs.tokenize(TEXTS[1])) < len(fewer.tokenize(TEXTS[1])) < len(TEXTS[1])


@pytest.mark.parametrize("text", [*TEXTS[:4], "le fish  mange", "\u2581le", " le\u00a0chat ", "poi"])
def test_byte_pairs_come_back(byte_pairs, text):
    assert byte_pairs.detokenize(byte_pairs.tokenize(text)) == normalize(text.replace("\u2581", " "))


def test_a_character_that_byte_pairs_have_not_seen_is_unknown(byte_pairs):
    assert byte_pairs.tokenize("le 狗") == ["\u2581le", "\u2581", "<unk>"]


def test_training_byte_pairs_twice_gives_the_same(byte_pairs):
    assert BytePairTokenizer.train(TEXTS, 80).to_dict() == byte_pairs.to_dict()


def test_byte_pairs_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for attempt in (lambda: BytePairTokenizer.train(TEXTS, 80), lambda: tokenizer_from_dict({"kind": "bpe"})):
        with pytest.raises(ConfigError, match=r"pip install 'minis2s\[bpe\]'") as error:
            attempt()
        assert "\n" not in str(error.value)


# -------------------------------------------------------------------------------------------------------- save and load


@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
def test_a_tokenizer_comes_back_from_its_description(kind, request):
    plain = {"word": WordTokenizer, "character": CharacterTokenizer}
    tokenizer = plain[kind]() if kind in plain else request.getfixturevalue("byte_pairs")
    again = tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert type(again) is type(tokenizer)
    assert again.to_dict() == tokenizer.to_dict()
    for text in TEXTS[:4]:
        assert again.tokenize(text) == tokenizer.tokenize(text)


@pytest.mark.parametrize("table", [{}, {"kind": "sentence"}])
def test_a_description_of_another_version(table):
    with pytest.raises(CheckpointError, match="not known here"):
        tokenizer_from_dict(table)


@pytest.mark.parametrize("table", [{"kind": "bpe"}, {"kind": "bpe", "table": {"model": 3}}])
def test_a_damaged_table_of_byte_pairs(byte_pairs, table):
    with pytest.raises(CheckpointError, match="byte pairs is damaged") as error:
        tokenizer_from_dict(table)
    assert "\n" not in str(error.value)
