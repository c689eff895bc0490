from dataclasses import dataclass

import pytest

from minis2s.errors import ConfigError
from minis2s.tasks.settings import assignment, describe, read_toml, setting, spell, update


@dataclass(frozen=True)
class Settings:
    hidden: int = setting(64, "units", low=1)
    dropout: float = setting(0.0, "share", low=0, high=0.9)
    tied: bool = setting(False, "share weights")
    cell: str = setting("gru", "kind", choices=("rnn", "gru", "lstm"))
    limit: float | None = setting(None, "minutes", low=0)


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"hidden": 5}, "hidden", 5),
        ({"hidden": "128"}, "hidden", 128),
        ({"dropout": "0.25"}, "dropout", 0.25),
        ({"dropout": 0}, "dropout", 0.0),
        ({"dropout": "1e-3"}, "dropout", 0.001),
        ({"tied": "Yes"}, "tied", True),
        ({"tied": "0"}, "tied", False),
        ({"tied": True}, "tied", True),
        ({"cell": "lstm"}, "cell", "lstm"),
        ({"limit": "2"}, "limit", 2.0),
        ({"limit": "none"}, "limit", None),
    ],
)
def test_values_and_their_spellings(changes, key, value):
    result = getattr(update(Settings(limit=1.0), changes, "t"), key)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiden": 5}, r"unknown setting 'hiden' for the task t, did you mean 'hidden'\? \(`minis2s tasks t`"),
        ({"zzz": 5}, r"unknown setting 'zzz' for the task t \(`minis2s tasks t`"),
        ({"hidden": "many"}, "setting hidden is 'many', expected a whole number, at least 1"),
        ({"hidden": 0}, "setting hidden is 0, expected a whole number, at least 1"),
        ({"hidden": "-3"}, "setting hidden is -3, expected"),
        ({"hidden": 1.5}, "setting hidden is 1.5, expected a whole number"),
        ({"hidden": "1.5"}, "setting hidden is '1.5', expected a whole number"),
        ({"hidden": True}, "setting hidden is True, expected"),
        ({"hidden": None}, "setting hidden is None, expected"),
        ({"dropout": "0.95"}, "setting dropout is 0.95, expected a number from 0 to 0.9"),
        ({"dropout": "nan"}, "setting dropout is nan, expected"),
        ({"limit": "inf"}, "setting limit is inf, expected a number, at least 0"),
        ({"tied": "perhaps"}, "setting tied is 'perhaps', expected true or false"),
        ({"tied": 1}, "setting tied is 1, expected true or false"),
        ({"cell": "ltsm"}, "setting cell is 'ltsm', expected one of rnn, gru, lstm, did you mean 'lstm'"),
        ({"cell": 3}, "setting cell is 3, expected one of rnn, gru, lstm"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes, message):
    with pytest.raises(ConfigError, match=message) as info:
        update(Settings(), changes, "t")
    assert "\n" not in str(info.value)


def test_assignment():
    assert assignment("a=b=c") == ("a", "b=c")
    assert assignment(" a = b ") == ("a", "b")
    for text in ("a", "=b", ""):
        with pytest.raises(ConfigError, match="key=value"):
            assignment(text)


@pytest.mark.parametrize(
    "text", ["hidden = 3\ncell = 'rnn'", "format = 1\ntask = 't'\n[settings]\nhidden = 3\ncell = 'rnn'"]
)
def test_toml_flat_or_of_a_run(tmp_path, text):
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    assert read_toml(tmp_path / "c.toml", "t") == {"hidden": 3, "cell": "rnn"}
    (tmp_path / "c.toml").write_text(text, encoding="utf-8-sig")
    assert read_toml(tmp_path / "c.toml", "t") == {"hidden": 3, "cell": "rnn"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hidden 3", "is not a TOML file"),
        (b"\xff\xfe", "is not a TOML file"),
        (b"task = 'other'", "for the task 'other', not 't'"),
        (b"settings = 5", r"settings = 5: write a line \[settings\]"),
        (None, "cannot read"),
    ],
)
def test_toml_that_cannot_be_used(tmp_path, content, message):
    if content is not None:
        (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as info:
        read_toml(tmp_path / "c.toml", "t")
    assert "\n" not in str(info.value)


def test_every_value_that_is_described_can_be_set():
    for key, value, help_ in describe(Settings(limit=2.5, tied=True)):
        assert getattr(update(Settings(), {key: spell(value)}, "t"), key) == value
        assert help_
