"""Whatever the user gets wrong is told in one line that names cause and remedy, with exit code 2; nothing is lost."""

import errno
import io
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from minis2s.cli import main
from minis2s.training import checkpoint, load_checkpoint

TINY = [f"--set={change}" for change in ("epochs=2", "hidden=4", "embedding=4", "validation=0.2", "test=0.2")]
GOOD = "".join(f"w{k} x{k % 7} y\ty X{k % 7} W{k}\n" for k in range(120))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "pairs.tsv").write_text(GOOD, encoding="utf-8")
    words = ["--data", str(folder / "pairs.tsv"), "--output", str(folder / "run")]
    assert main(["train", "translation", *words, *TINY, "--set", "max_length=6"]) == 0
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    # Pictures take most of a tiny run's time; tests/test_plots.py looks at them.
    monkeypatch.setattr("minis2s.tasks.report.save_figure", lambda figure, path: Path(path).touch())
    return tmp_path


@pytest.fixture
def complaint(capsys):
    """Run a command that must fail; return its one line."""

    def run(*words):
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as left:
            code = left.code
        out, err = capsys.readouterr()
        errors = [line for line in err.splitlines() if line.startswith("minis2s: error: ")]
        assert code == 2
        assert len(errors) == 1
        assert err.splitlines()[-1] == errors[0]
        assert "Traceback" not in err
        assert out == ""
        return errors[0].removeprefix("minis2s: error: ")

    return run


def contents(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --------------------------------------------------------------------------------------------------------------- data


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["bad.tsv"]),
        (b"\n\n\n", ["bad.tsv"]),
        (b"one column\nand nothing else\n", ["bad.tsv"]),
        ("caf\u00e9\tcoffee\n".encode("latin-1") * 50, ["bad.tsv", "UTF-8"]),
        ("a b\tc d\n".encode("utf-16"), ["bad.tsv", "UTF-8"]),
        (None, ["bad.tsv"]),
    ],
)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_file_that_holds_no_pairs(folder, complaint, content, parts, command):
    if content is not None:
        (folder / "bad.tsv").write_bytes(content)
    words = ["train", "translation", *TINY] if command == "train" else ["evaluate", "run"]
    line = complaint(*words, "--data", "bad.tsv")
    for part in parts:
        assert part in line
    assert not (folder / "runs").exists(), "no run directory is left for nothing"


def test_a_bad_line_is_skipped_or_refused_as_the_user_chooses(folder, complaint):
    (folder / "bad.tsv").write_text(GOOD + "one column\n", encoding="utf-8")
    words = ["train", "translation", "--data", "bad.tsv", *TINY]
    assert "121" in complaint(*words, "--set", "bad_lines=refuse")
    assert main([*words, "--set", "bad_lines=skip"]) == 0


def test_too_few_pairs(folder, complaint):
    (folder / "few.tsv").write_text("a\tb\n", encoding="utf-8")
    assert "bring more pairs" in complaint("train", "translation", "--data", "few.tsv")


def test_a_vocabulary_of_nothing_but_specials(folder, complaint):
    words = ["train", "translation", "--data", "pairs.tsv", *TINY]
    line = complaint(*words, "--set", "min_frequency=1000")
    assert "4 special tokens" in line
    assert "min_frequency (now 1000)" in line
    assert "setting vocabulary is 4, expected a whole number, at least 5" in complaint(*words, "--set", "vocabulary=4")


def test_nothing_is_short_enough_to_train_on(folder, complaint):
    line = complaint("train", "translation", "--data", "pairs.tsv", *TINY, "--set", "max_length=2")
    assert "max_length = 2" in line


@pytest.mark.parametrize("command", ["translate", "evaluate", "stdin"])
def test_a_sentence_longer_than_the_model_allows(folder, complaint, monkeypatch, command):
    sentence = "y " * 7
    if command == "translate":
        line = complaint("translate", "run", sentence)
    elif command == "stdin":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sentence.encode())))
        line = complaint("translate", "run")
    else:
        (folder / "long.tsv").write_text(f"{sentence}\tx\n", encoding="utf-8")
        line = complaint("evaluate", "run", "--data", "long.tsv")
    assert "has 7 tokens, this model takes at most 6" in line
    assert "max_length=7" in line


@pytest.mark.parametrize("text", ["", "   ", "\t"])
def test_an_empty_sentence(folder, complaint, text):
    assert "sentence 1 is empty" in complaint("translate", "run", text)


def test_an_empty_line_of_standard_input_is_named(folder, complaint, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"y\n\ny\n")))
    assert main(["translate", "run"]) == 2
    out, err = capsys.readouterr()
    assert out.count("\n") == 1, "what came before is answered"
    assert "sentence 2 is empty" in err


def test_standard_input_that_is_not_utf8(folder, complaint, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\n")))
    assert "line 1 of standard input is not UTF-8" in complaint("translate", "run")


# -------------------------------------------------------------------------------------------------- tasks and settings


def test_an_unknown_task(folder, complaint):
    for command in ("train", "tasks"):
        line = complaint(command, "translaton")
        assert "unknown task 'translaton', did you mean 'translation'?" in line
    assert "addition" in complaint("train", "xyz")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--set", "hiden=3"], "unknown setting 'hiden' for the task translation, did you mean 'hidden'?"),
        (["--set", "hidden"], "key=value"),
        (["--set", "hidden=big"], "hidden is 'big', expected a whole number"),
        (["--set", "dropout=1.5"], "dropout is 1.5, expected a number from 0"),
        (["--set", "time_limit=0"], "time_limit is 0, expected a number, at least 0.01"),
        (["--set", "clip=0"], "clip is 0, expected a number, at least 1e-06"),
        (["--set", "cell=ltsm"], "did you mean 'lstm'"),
        (["--set", "peeky=true"], "these settings do not go together"),
        (["--set", "score=dot", "--set", "bidirectional=true"], "bidirectional = false"),
        (["--set", "tied=true"], "tied embeddings need"),
        (["--set", "language=de"], "language is 'de', expected one of fr, zh"),
        (["--config", "missing.toml"], "cannot read missing.toml"),
        (["--config", "pairs.tsv"], "is not a TOML file"),
        (["--seed", "-1"], "seed is -1"),
        (["--seed", "x"], "invalid int value"),
        (["--device", "tpu"], "invalid choice"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_settings_that_do_not_exist_or_do_not_fit(folder, complaint, words, part):
    assert part in complaint("train", "translation", *words)


@pytest.mark.parametrize("words", [[], ["fly"], ["translate", "run", "--beam", "0", "y"], ["evaluate", "run", "extra"]])
def test_a_command_line_that_makes_no_sense(folder, complaint, words):
    assert "--help` explains" in complaint(*words)


def test_an_output_that_is_taken(folder, complaint):
    before = contents(folder)
    assert "holds a run already: add --resume" in complaint("train", "translation", "--output", "run")
    assert "not an empty directory" in complaint("train", "translation", "--output", ".")
    assert contents(folder) == before


def test_attention_of_a_model_without(folder, complaint):
    words = ["--data", "pairs.tsv", "--output", "plain", *TINY, "--set", "context=last"]
    assert main(["train", "translation", *words]) == 0
    assert "no attention to draw" in complaint("translate", "plain", "--attention", "a.png", "y")


@pytest.mark.parametrize(
    "words", [["translate", "run", "y", "--attention", "no/map.png"], ["evaluate", "run", "--hypotheses", "no/h.txt"]]
)
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(folder, complaint, monkeypatch, words):
    monkeypatch.setattr("minis2s.tasks.translator.Translator.load", None)
    assert "there is no folder no; make it first" in complaint(*words)


# ----------------------------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("command", ["evaluate", "translate"])
def test_a_directory_that_is_no_run(folder, complaint, command):
    words = [command, "nowhere"] + (["y"] if command == "translate" else [])
    assert "nowhere does not exist" in complaint(*words)
    words[1] = "."
    assert "is not a run directory" in complaint(*words)


def test_a_missing_checkpoint(folder, complaint):
    (folder / "run" / "best.safetensors").unlink()
    (folder / "run" / "last.safetensors").unlink()
    assert "does not exist: train" in complaint("evaluate", "run")


def test_flipped_bits_and_truncations_are_always_noticed(folder, complaint):
    path = folder / "run" / "best.safetensors"
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for bit in rng.integers(0, 8 * len(data), 200).tolist():
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        path.write_bytes(altered)
        with pytest.raises(checkpoint.CheckpointError, match="damaged"):
            load_checkpoint(path)
    assert "best.safetensors is damaged" in complaint("translate", "run", "y")
    path.write_bytes(data[: len(data) // 2])
    assert "best.safetensors is damaged" in complaint("evaluate", "run")


def test_resuming_from_a_damaged_checkpoint_keeps_the_other(folder, complaint):
    path = folder / "run" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    before = contents(folder)
    line = complaint("train", "translation", "--output", "run", "--resume")
    assert "last.safetensors is damaged" in line
    assert "restore a copy or train into a new --output; evaluate and the like read best.safetensors" in line
    assert contents(folder) == before
    assert main(["translate", "run", "y"]) == 0


def test_the_best_model_is_not_overwritten_if_the_last_checkpoint_is_lost(folder, complaint):
    (folder / "run" / "last.safetensors").unlink()
    before = contents(folder)
    line = complaint("train", "translation", "--output", "run", "--resume")
    assert "last.safetensors is missing" in line
    assert "train into a new --output" in line
    assert contents(folder) == before
    assert main(["evaluate", "run"]) == 0


def test_a_damaged_best_model_is_replaced_by_the_last_one_as_the_message_says(folder, complaint):
    path = folder / "run" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "(last.safetensors if that is removed)" in complaint("translate", "run", "y")
    path.unlink()
    assert main(["translate", "run", "y"]) == 0


@pytest.mark.parametrize("name", ["source.vocabulary.json", "target.tokenizer.json"])
def test_a_vocabulary_that_was_changed_or_is_missing(folder, complaint, name):
    path = folder / "run" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert f"{name} was changed" in complaint("translate", "run", "y")
    path.unlink()
    assert f"{name} is missing" in complaint("translate", "run", "y")


def test_a_run_of_another_version(folder, complaint, monkeypatch):
    config = folder / "run" / "config.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("format = 1", "format = 2"), encoding="utf-8")
    for words in (
        ["evaluate", "run"],
        ["translate", "run", "y"],
        ["train", "translation", "--output", "run", "--resume"],
    ):
        assert "format version 2, this minis2s reads version 1" in complaint(*words)
    config.write_text(text, encoding="utf-8")
    monkeypatch.setattr(checkpoint, "FORMAT", 7)
    tensors, metadata = {"a": np.zeros(2)}, {}
    checkpoint.save_checkpoint(folder / "run" / "best.safetensors", tensors, metadata)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert "format version 7" in complaint("evaluate", "run")


def test_nothing_to_resume(folder, complaint):
    assert "there is no run" in complaint("train", "translation", "--resume")


# -------------------------------------------------------------------------------------------------- disk and device


def _full(*args):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_from_the_start(folder, complaint, monkeypatch):
    before = contents(folder)
    monkeypatch.setattr(os, "fsync", _full)
    line = complaint("train", "translation", "--data", "pairs.tsv", "--output", "new", *TINY)
    assert "No space left on device" in line
    assert {name: data for name, data in contents(folder).items() if "/new/" not in name} == before


def test_a_disk_that_is_full_leaves_no_numbered_directory_for_resume_to_miss(folder, complaint, monkeypatch):
    monkeypatch.setattr(os, "fsync", _full)
    line = complaint("train", "translation", "--data", "pairs.tsv", *TINY)
    assert "no run was begun" in line
    assert "--resume" not in line
    assert list((folder / "runs").iterdir()) == []


def test_a_disk_that_is_full_when_the_second_epoch_is_saved(folder, complaint, monkeypatch):
    replace, last = os.replace, []

    def fill(source, target):
        if str(target).endswith("last.safetensors"):
            last.append(target)
            if len(last) == 3:  # the first is before the first validation, then one after each
                _full()
        replace(source, target)

    words = ["train", "translation", "--output", "new"]
    with monkeypatch.context() as disk:
        disk.setattr(os, "replace", fill)
        line = complaint(*words, "--data", "pairs.tsv", *TINY)
    assert "last.safetensors: No space left on device" in line
    assert "--resume" in line
    assert load_checkpoint(folder / "new" / "last.safetensors").metadata["state"]["epoch"] == 1
    assert not list(folder.rglob("*.tmp"))
    assert main([*words, "--resume"]) == 0
    whole = ["train", "translation", "--output", "whole", "--data", "pairs.tsv", *TINY]
    assert main(whole) == 0
    for name, tensor in load_checkpoint(folder / "whole" / "last.safetensors").tensors.items():
        np.testing.assert_array_equal(load_checkpoint(folder / "new" / "last.safetensors").tensors[name], tensor)


def test_results_that_cannot_be_written(folder, complaint):
    (folder / "taken").write_text("")
    assert "cannot write" in complaint("evaluate", "run", "--hypotheses", "no/such/folder/out.txt")
    assert "taken" in complaint("train", "translation", "--output", "taken/run", "--data", "pairs.tsv", *TINY)


def test_cuda_without_cupy(folder, complaint, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    before = contents(folder)
    for words in (
        ["train", "translation", "--data", "pairs.tsv", *TINY],
        ["train", "translation", "--output", "run", "--resume"],
        ["evaluate", "run"],
        ["translate", "run", "y"],
    ):
        line = complaint(*words, "--device", "cuda")
        assert "needs CuPy, which is not installed" in line
        assert "pip install" in line
        assert "--device cpu" in line
    assert contents(folder) == before
    assert main(["translate", "run", "y", "--device", "auto"]) == 0, "only auto falls back"


def test_training_that_diverges(folder, complaint):
    line = complaint("train", "translation", "--data", "pairs.tsv", *TINY, "--set", "lr=3e38", "--set", "clip=none")
    assert "training diverged in epoch" in line
    assert "smaller --set lr" in line
