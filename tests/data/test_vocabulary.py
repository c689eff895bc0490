"""Ids are the same for the same texts, and a saved vocabulary comes back or is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minis2s.data import Vocabulary
from minis2s.data.vocabulary import BOS, EOS, PAD, SPECIALS, UNK
from minis2s.errors import CheckpointError

SENTENCES = [["b", "a", "c"], ["a", "b"], ["d", "a"]]
WORD = st.text(min_size=1, max_size=6).filter(lambda word: word not in SPECIALS)


def test_special_tokens_come_first():
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert Vocabulary(["x"]).tokens == ["<pad>", "<unk>", "<s>", "</s>", "x"]


def test_frequent_tokens_come_first_and_ties_in_alphabetical_order():
    assert Vocabulary.build(SENTENCES).tokens[4:] == ["a", "b", "c", "d"]
    assert Vocabulary.build(reversed([s[::-1] for s in SENTENCES])).tokens[4:] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("frequency", "expected"), [(1, "abcd"), (2, "ab"), (3, "a"), (4, "")])
def test_rare_tokens_are_left_out(frequency, expected):
    assert Vocabulary.build(SENTENCES, min_frequency=frequency).tokens[4:] == list(expected)


@pytest.mark.parametrize(("limit", "expected"), [(None, "abcd"), (99, "abcd"), (6, "ab"), (4, ""), (1, "")])
def test_the_limit_counts_the_special_tokens(limit, expected):
    vocabulary = Vocabulary.build(SENTENCES, limit=limit)
    assert vocabulary.tokens[4:] == list(expected)
    assert len(vocabulary) == 4 + len(expected)


def test_unknown_tokens():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.encode(["b", "x", "a"]) == [5, UNK, 4]
    assert "a" in vocabulary
    assert "x" not in vocabulary


@pytest.mark.parametrize("special", SPECIALS)
def test_the_spelling_of_a_special_token_in_a_text_is_no_special_token(special):
    """Or a sentence could end itself."""
    vocabulary = Vocabulary.build([["a", special]])
    assert vocabulary.tokens == [*SPECIALS, "a"]
    assert vocabulary.encode([special, "a"]) == [UNK, 4]
    assert special not in vocabulary


def test_decoding_stops_at_the_end_and_drops_what_is_no_text():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.decode([BOS, 4, PAD, UNK, 5, EOS, 4, 4]) == ["a", "<unk>", "b"]
    assert vocabulary.decode(np.array([5, 4, EOS, PAD])) == ["b", "a"]
    assert vocabulary.decode([EOS]) == []


@given(st.lists(st.lists(WORD)))
def test_known_tokens_come_back(sentences):
    vocabulary = Vocabulary.build(sentences)
    for sentence in sentences:
        assert vocabulary.decode(vocabulary.encode(sentence)) == sentence


@pytest.mark.parametrize("tokens", [["a", "b", "a"], ["a", "<s>"]])
def test_duplicates_are_refused(tokens):
    with pytest.raises(ValueError, match=r"the token '(a|<s>)' occurs twice"):
        Vocabulary(tokens)


@given(st.lists(WORD, unique=True))
def test_saved_and_loaded(tmp_path_factory, tokens):
    path = tmp_path_factory.getbasetemp() / "vocabulary.json"
    Vocabulary(tokens).save(path)
    assert Vocabulary.load(path).tokens == [*SPECIALS, *tokens]


def test_the_file_can_be_read_by_people(tmp_path):
    Vocabulary(["été", "猫"]).save(tmp_path / "v.json")
    text = (tmp_path / "v.json").read_text(encoding="utf-8")
    assert "été" in text
    assert "猫" in text
    assert json.loads(text)["format"] == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format": 1}',
        b'{"tokens": ["a"]}',
        b'{"format": 2, "tokens": ["a"]}',
        b'{"format": 1, "tokens": "abc"}',
        b'{"format": 1, "tokens": ["a", 1]}',
        b'{"format": 1, "tokens": ["a", "a"]}',
        b'{"format": 1, "tokens": ["</s>"]}',
        b'{"format": 1, "tokens": {"a": 4}}',
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "vocabulary.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        Vocabulary.load(path)
    assert str(path) in str(error.value)
    assert "train anew" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read .*nowhere"):
        Vocabulary.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="cannot read"):
        Vocabulary.load(tmp_path)
