import json
import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from minis2s.cli import main
from minis2s.data.pairs import Pair, read_tsv
from minis2s.data.splitting import Split
from minis2s.errors import ConfigError, DataError
from minis2s.tasks import load_task
from minis2s.tasks.corpus import make_corpus, make_side, make_tokenizer, read_pairs, write_pairs
from minis2s.tasks.report import MOST_TOKENS, dumps, format_samples, interesting
from minis2s.tasks.sequence import EpochBatches, SequenceTraining
from minis2s.tasks.task import make_schedule
from minis2s.tasks.translator import Side, Translation, Translator
from minis2s.training import RunDirectory

GOOD = "".join(f"w{k} x{k % 7} y\ty X{k % 7} W{k}\n" for k in range(120))
TINY = ["epochs=1", "hidden=4", "embedding=4", "limit=400", "validation_examples=20"]
VARIANTS = {
    "translation": [],
    "translation zh": ["language=zh"],
    "dates": [],
    "dates to languages": ["to=languages"],
    "addition": [],
    "reverse": [],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_task_goes_from_data_to_report(variant, tmp_path, capsys, monkeypatch):
    if variant not in ("translation", "addition"):  # one with attention and one without will do
        monkeypatch.setattr("minis2s.tasks.report.save_figure", lambda figure, path: Path(path).touch())
    task = variant.split()[0]
    sets = [f"--set={change}" for change in [*TINY, *VARIANTS[variant]]]
    assert main(["train", task, "--output", str(tmp_path / "run"), *sets]) == 0
    result = capsys.readouterr()
    assert "no held-out source occurs in training" in result.err
    scores = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    pairs = read_tsv(tmp_path / "run" / "test.tsv")
    assert scores["examples"] == len(pairs) > 5
    assert ("tok:zh" in scores["signature"]) == (variant == "translation zh")
    assert main(["translate", str(tmp_path / "run"), pairs[0].source]) == 0
    assert "does not know" not in capsys.readouterr().err or task != "addition"


@pytest.mark.parametrize("name", dict.fromkeys(variant.split()[0] for variant in VARIANTS))
def test_recipes_fit_and_each_epoch_has_its_own_order(name):
    task = load_task(name)
    settings = task.settings({"limit": 300})
    split = task.split(settings)
    training = _training(task, settings, split)
    first, again, second = training.batches(0), training.batches(0), training.batches(1)
    assert [list(a) for a in first.chosen] == [list(b) for b in again.chosen]
    assert [list(a) for a in first.chosen] != [list(b) for b in second.chosen]
    assert sorted(np.concatenate(first.chosen)) == list(range(len(training.corpus.sources)))
    assert make_schedule(settings, 10)(0) > 0


def _training(task, settings, split):
    from minis2s.tasks.sequence import _translator, model_config

    sides = tuple(
        make_side(name, [getattr(pair, name) for pair in split.train], settings) for name in ("source", "target")
    )
    corpus = make_corpus(split, sides, settings.max_length)
    config = model_config(settings, *(len(side.vocabulary) for side in sides))
    return SequenceTraining(task, settings, corpus, _translator(settings, corpus, config, "cpu"))


def test_reverse_is_tested_with_longer_sequences_than_it_is_trained_with():
    task = load_task("reverse")
    split = task.split(task.settings({"limit": 1000}))
    longest = [max(len(pair.source.split()) for pair in part) for part in split]
    assert longest == [25, 25, 30]


def test_a_date_is_in_one_part_in_whatever_language():
    task = load_task("dates")
    split = task.split(task.settings({"limit": 3000}))
    train, *held_out = ({pair.target for pair in part} for part in split)
    assert all(held_out)
    assert not any(train & part for part in held_out)


def test_a_leak_is_told(caplog, monkeypatch):
    task = load_task("addition")
    pairs = [Pair(f"{a}+1", str(a + 1)) for a in range(20)]
    monkeypatch.setattr(
        type(task), "generate", lambda self, settings: (Split(pairs, pairs[:2], pairs[:3]), lambda p: p.source)
    )
    with caplog.at_level(logging.INFO):
        task.split(task.settings({}))
    assert "3 held-out sources occur" in caplog.text


def test_more_examples_than_there_are():
    task = load_task("addition")
    with pytest.raises(ConfigError, match="limit = 9999999 does not fit"):
        task.split(task.settings({"limit": 9_999_999}))


def test_own_pairs_have_their_own_recipe():
    task = load_task("translation")
    assert task.settings({}) != task.settings({"data": "x.tsv"})
    assert task.settings({"data": "x.tsv", "hidden": 7}).hidden == 7
    assert task.settings({"data": "none"}) == task.settings({})


def test_pairs_are_written_as_they_are_read(tmp_path):
    pairs = [Pair("l'été « déjà » ?", "夏天"), Pair("1+2", "3"), Pair('"quoted"', "a  b")]
    write_pairs(tmp_path / "p.tsv", pairs)
    assert read_tsv(tmp_path / "p.tsv", "refuse") == pairs


def test_two_parallel_files_are_a_source_of_pairs(tmp_path):
    (tmp_path / "en").write_text("Yes.\nNo.\n\nMay\tbe.\n", encoding="utf-8")
    (tmp_path / "fr").write_text("Oui.\nNon.\n\nPeut-être.\n", encoding="utf-8")
    pairs = read_pairs(str(tmp_path / "en"), targets=str(tmp_path / "fr"))
    assert pairs == [Pair("Yes.", "Oui."), Pair("No.", "Non."), Pair("May be.", "Peut-être.")]
    (tmp_path / "fr").write_text("Oui.\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"has 4 lines, .* has 1"):
        read_pairs(str(tmp_path / "en"), targets=str(tmp_path / "fr"))


def test_bad_lines_of_parallel_files_are_refused_on_demand(tmp_path):
    (tmp_path / "en").write_text("Yes.\nNo.\n", encoding="utf-8")
    (tmp_path / "fr").write_text("Oui.\n\n", encoding="utf-8")
    assert len(read_pairs(str(tmp_path / "en"), targets=str(tmp_path / "fr"))) == 1
    with pytest.raises(DataError, match="line 2"):
        read_pairs(str(tmp_path / "en"), "refuse", targets=str(tmp_path / "fr"))


@pytest.mark.parametrize(
    ("name", "changes", "word"),
    [
        ("translation", {"swap": "true"}, "swap means nothing without"),
        ("addition", {"data_target": "x"}, "data_target means nothing without"),
        ("translation", {"language": "zh", "data": "x.tsv"}, "language means nothing with"),
        ("dates", {"to": "languages", "data": "x.tsv"}, "to means nothing with"),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(name, changes, word):
    task = load_task(name)
    with pytest.raises(ConfigError, match=word) as info:
        task.settings(changes)
    assert "\n" not in str(info.value)
    assert "leave" in str(info.value)
    task.settings({"swap": "false", "data_target": "none", "data": "none"})
    task.settings({"swap": "true", "data_target": "x", "data": "x.tsv"})


def test_the_tokenizer_follows_the_text():
    assert make_tokenizer("auto", ["Je suis là."], None).tokenize("Je suis") == ["Je", "suis"]
    assert make_tokenizer("auto", ["我在这儿。"], None).tokenize("我在") == ["我", "在"]


def test_long_pairs_are_left_out_and_told(caplog):
    task = load_task("translation")
    settings = task.settings({"max_length": 4})
    short, long = Pair("a b", "c d"), Pair("a b c d e", "c")
    split = Split([short] * 3 + [long], [short, long], [short])
    sides = tuple(make_side(name, [getattr(p, name) for p in split.train], settings) for name in ("source", "target"))
    with caplog.at_level(logging.INFO):
        corpus = make_corpus(split, sides, 4)
    assert "2 pairs are empty or longer than max_length = 4" in caplog.text
    assert (len(corpus.sources), len(corpus.validation), len(corpus.test)) == (3, 1, 1)
    with pytest.raises(DataError, match="max_length = 1"):
        make_corpus(split, sides, 1)


def test_byte_pairs(tmp_path, capsys):
    lines = "".join(f"the {a} {b} sees\tle {b} {a} voit\n" for a in "abcdefgh" for b in "ijklmnop")
    (tmp_path / "p.tsv").write_text(lines, encoding="utf-8")
    sets = ["source_tokenizer=bpe", "target_tokenizer=bpe", "vocabulary=40", "test=0.2", "validation=0.2", *TINY]
    words = [f"--set={change}" for change in sets]
    paths = ["--data", str(tmp_path / "p.tsv"), "--output", str(tmp_path / "run")]
    assert main(["train", "translation", *paths, *words]) == 0
    before = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), "--json", "--beam", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["bleu"] == pytest.approx(before["bleu"])
    translator = Translator.load(RunDirectory(tmp_path / "run"))
    for side, text in ((translator.source, "the a i sees"), (translator.target, "le i a voit")):
        assert isinstance(side, Side)
        assert len(side.vocabulary) <= 40
        assert side.decode(side.encode(text)) == text


def test_samples_show_what_is_right_and_what_was_expected():
    pairs = [Pair("a", "A"), Pair("b", "B")]
    answers = [Translation("A", 0.0, ["A"], ["a"], None), Translation("X", 0.0, ["X"], ["b"], None)]
    assert format_samples(pairs, answers) == "  a\n= A\n\n  b\n~ X\n  expected: B"


def test_the_maps_show_right_answers_in_which_words_move():
    def answer(text, order):
        return Translation(text, 0.0, list("abc"), list("xyz"), np.eye(4)[order])

    pairs = [Pair("x y z", "good")] * 4
    straight, moved, wrong = answer("good", [0, 1, 2, 3]), answer("good", [2, 1, 0, 3]), answer("bad", [3, 2, 1, 0])
    chosen = interesting(pairs, [wrong, straight, moved, straight], count=2)
    assert chosen[0] is moved
    assert chosen[1] is straight


def long_answer(length):
    return Translation("a", 0.0, ["a"], ["b"] * length, np.eye(2, length + 1))


def test_what_is_too_long_to_read_is_not_drawn():
    pairs = [Pair("b", "c")] * 3
    answers = [long_answer(n) for n in (MOST_TOKENS + 1, MOST_TOKENS, 10_000)]
    assert interesting(pairs, answers) == [answers[1]]


# ----------------------------------------------------------------------------------------------- what a run is used for


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "pairs.tsv").write_text(GOOD, encoding="utf-8")
    sets = [f"--set={change}" for change in [*TINY, "max_length=60", "validation=0.2", "test=0.2"]]
    words = ["--data", str(folder / "pairs.tsv"), "--output", str(folder / "run")]
    assert main(["train", "translation", *words, *sets]) == 0
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("minis2s.tasks.report.save_figure", lambda figure, path: Path(path).touch())
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_the_picture_tells_what_is_not_in_it(run, tmp_path, capsys):
    long, picture = "y " * (MOST_TOKENS + 1), tmp_path / "a.png"
    assert main(["translate", str(run), "--attention", str(picture), *["y x1"] * 13, long]) == 0
    result = capsys.readouterr()
    assert f"a.png; sentences left out: 1 of more than {MOST_TOKENS} tokens, 1 after the first 12" in result.err
    assert result.out.count("\n") == 14
    picture.unlink()
    assert main(["translate", str(run), "--attention", str(picture), long]) == 0
    assert "no attention drawn; sentences left out: 1 of more" in capsys.readouterr().err
    assert not picture.exists()


def test_a_training_on_long_sentences_ends_without_a_picture(tmp_path, capsys):
    words = " ".join("abcdefghij" * 5)
    text = "".join(f"w{k} {words}\t{words} w{k}\n" for k in range(40))
    (tmp_path / "long.tsv").write_text(text, encoding="utf-8")
    sets = [f"--set={change}" for change in [*TINY, "max_length=60", "validation=0.2", "test=0.2"]]
    paths = ["--data", str(tmp_path / "long.tsv"), "--output", str(tmp_path / "run")]
    assert main(["train", "translation", *paths, *sets]) == 0
    assert "no attention drawn: every sentence or answer has more than 40 tokens" in capsys.readouterr().err
    assert (tmp_path / "run" / "metrics.json").exists()
    assert not (tmp_path / "run" / "attention.png").exists()


def test_evaluate_leaves_out_what_the_model_cannot_take(run, tmp_path, capsys):
    (tmp_path / "some.tsv").write_text(GOOD + "y " * 61 + "\tx\n", encoding="utf-8")
    assert main(["evaluate", str(run), "--json", "--data", str(tmp_path / "some.tsv")]) == 0
    result = capsys.readouterr()
    assert json.loads(result.out)["examples"] == 120
    assert "some.tsv are empty or longer than max_length = 60 tokens: left out" in result.err


@pytest.mark.parametrize("command", [["evaluate"], ["translate"]])
@pytest.mark.parametrize(("line", "code"), [("", 0), ("alpha = 'x'", 2), ("alpha = [1]", 2), ("wings = 2", 2)])
def test_a_config_that_was_changed_by_hand(run, capsys, command, line, code):
    config = run / "config.toml"
    lines = [kept for kept in config.read_text(encoding="utf-8").splitlines() if not kept.startswith("alpha")]
    config.write_text("\n".join([*lines, line]), encoding="utf-8")
    assert main([*command, str(run), *["y"] * (command == ["translate"])]) == code
    error = capsys.readouterr().err.splitlines()[-1:]
    assert not code or error[0].startswith(f"minis2s: error: {config} does not fit this minis2s (")


@pytest.mark.parametrize("words", [["translate", "--beam"], ["translate", "--n-best"], ["evaluate", "--beam"]])
def test_a_beam_without_measure(run, capsys, words):
    command, option = words
    assert main([command, str(run), option, "100000000", *["y"] * (command == "translate")]) == 2
    assert "beam is 100000000, expected a whole number from 1 to 1000" in capsys.readouterr().err


def test_a_closed_standard_input(run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["translate", str(run)]) == 2
    assert "standard input is closed" in capsys.readouterr().err


def test_json_is_strict():
    assert dumps({"a": float("nan"), "b": [float("inf"), 1.5]}) == '{"a": null, "b": [null, 1.5]}'


def test_batches_are_put_together_when_asked_for():
    task = load_task("addition")
    settings = task.settings({"limit": 200, "batch_size": 16})
    batches = _training(task, settings, task.split(settings)).batches(3)
    assert isinstance(batches, EpochBatches)
    assert batches[0].source.shape[1] == batches[0].target_out.shape[1] == 16
    np.testing.assert_array_equal(batches[0].indices, batches.chosen[0])
