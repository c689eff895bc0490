"""A run that is stopped and resumed from the command line ends with the bytes of one that was not."""

import os
import signal
from pathlib import Path

import pytest

from minis2s.cli import main
from minis2s.errors import CheckpointError
from minis2s.models import Seq2Seq
from minis2s.tasks import load_task
from minis2s.training import RunDirectory, load_checkpoint

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "big", "small"]
SMALL = ["embedding=6", "hidden=5", "epochs=2", "batch_size=32", "clip=1", "validation=0.1", "test=0.1", "dropout=0.2"]
VARIANTS = {
    "attention": [],
    "plateau": ["schedule=plateau", "optimizer=sgd", "momentum=0.9"],
    "sampling": ["sampling=inverse_sigmoid", "sampling_k=5", "input_feeding=true", "layers=2"],
    "hard": ["hard_attention=true", "cell=lstm", "schedule=linear", "warmup=3"],
    "peeky": ["context=last", "peeky=true", "cell=lstm", "reverse_source=true", "optimizer=adamw"],
    "mean": ["context=mean", "cell=rnn", "optimizer=rmsprop", "label_smoothing=0.1"],
}


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    # Pictures take most of a tiny run's time; tests/test_plots.py looks at them.
    monkeypatch.setattr("minis2s.tasks.report.save_figure", lambda figure, path: Path(path).touch())
    lines = [f"{a} {b} {c}\t{c} {a} {b}\n" for a in WORDS for b in WORDS for c in WORDS if a != b]
    (tmp_path / "pairs.tsv").write_text("".join(lines[:300]), encoding="utf-8")

    def run(output, *words, changes=()):
        sets = [word for change in (*SMALL, *changes) for word in ("--set", change)]
        return main(["train", "translation", "--data", "pairs.tsv", "--output", output, *sets, *words])

    return run


def press(*args, **kwargs):
    raise KeyboardInterrupt


def outcome(directory):
    tensors, metadata = load_checkpoint(directory)
    del metadata["state"]["seconds"]
    return {name: tensor.tobytes() for name, tensor in tensors.items()}, metadata["state"], metadata["rng"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_resume_is_bit_equal(train, tmp_path, monkeypatch, capsys, variant):
    changes = VARIANTS[variant]
    assert train("whole", changes=changes) == 0

    plain, calls = Seq2Seq.loss_and_backward, []

    def press(self, *args):
        calls.append(1)
        if len(calls) == 11:  # in the second epoch
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self, *args)

    monkeypatch.setattr(Seq2Seq, "loss_and_backward", press)
    assert train("broken", changes=changes) == 130
    assert "go on with: minis2s train translation --output broken --resume" in capsys.readouterr().err
    assert (tmp_path / "broken" / "curves.png").exists()
    assert main(["train", "translation", "--output", "broken", "--resume"]) == 0
    assert len(calls) > 11
    assert outcome(tmp_path / "broken" / "last.safetensors") == outcome(tmp_path / "whole" / "last.safetensors")
    for name in ("samples.txt", "test.tsv", "source.vocabulary.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_ctrl_c_in_a_longer_run_says_that_it_is_longer(train, monkeypatch, capsys):
    assert train("run") == 0
    monkeypatch.setattr(Seq2Seq, "loss_and_backward", press)
    assert main(["train", "translation", "--output", "run", "--resume", "--set=epochs=9"]) == 130
    assert "--output run --resume --set=epochs=9" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_run_and_another_does_not(train, tmp_path):
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert train(name, "--seed", seed) == 0
    a, b, c = (outcome(tmp_path / name / "last.safetensors") for name in "abc")
    assert a == b
    assert a[0] != c[0]
    assert (tmp_path / "a" / "test.tsv").read_bytes() == (tmp_path / "c" / "test.tsv").read_bytes()


def test_longer_and_not_otherwise(train, tmp_path, capsys):
    assert train("r") == 0
    resume = ["train", "translation", "--output", "r", "--resume"]
    assert main([*resume, "--set", "epochs=3"]) == 0
    assert outcome(tmp_path / "r" / "last.safetensors")[1]["epoch"] == 3
    assert main([*resume, "--set", "hidden=6"]) == 2
    assert "trained with hidden = 5, which --resume cannot change to 6" in capsys.readouterr().err
    assert main([*resume, "--seed", "1"]) == 0  # as it was


def test_a_new_length_under_a_schedule_of_the_whole_run_is_told(train, capsys):
    for schedule, told in (("cosine", True), ("constant", False)):
        assert train(schedule, changes=[f"schedule={schedule}", "epochs=1"]) == 0
        resume = ["train", "translation", "--output", schedule, "--resume"]
        assert main(resume) == 0
        assert "learning rate takes up" not in capsys.readouterr().err
        assert main([*resume, "--set", "epochs=2"]) == 0
        line = "epochs was 1 and is 2 now: the learning rate takes up where the cosine schedule of the new length"
        assert (line in capsys.readouterr().err) == told


def test_other_data_cannot_be_resumed(train, tmp_path, capsys):
    assert train("r") == 0
    with open(tmp_path / "pairs.tsv", "a", encoding="utf-8") as file:
        file.write("one\ttwo\n")
    assert main(["train", "translation", "--output", "r", "--resume"]) == 2
    assert "pairs.tsv is not what r was trained on" in capsys.readouterr().err


def test_data_that_moved_can_be_resumed(train, tmp_path, capsys):
    assert train("whole") == 0
    assert train("r", changes=["epochs=1"]) == 0
    (tmp_path / "pairs.tsv").rename(tmp_path / "moved.tsv")
    resume = ["train", "translation", "--output", "r", "--resume", "--set", "epochs=2"]
    assert main(resume) == 2
    assert "pairs.tsv" in capsys.readouterr().err
    assert main([*resume, "--data", "moved.tsv"]) == 0
    assert outcome(tmp_path / "r" / "last.safetensors") == outcome(tmp_path / "whole" / "last.safetensors")
    (tmp_path / "other.tsv").write_text((tmp_path / "moved.tsv").read_text(encoding="utf-8").upper(), encoding="utf-8")
    assert main([*resume, "--data", "other.tsv"]) == 2
    assert "other.tsv is not what r was trained on" in capsys.readouterr().err


def test_the_command_to_go_on_names_the_place_that_the_data_moved_to(train, tmp_path, monkeypatch, capsys):
    assert train("r", changes=["epochs=1"]) == 0
    (tmp_path / "pairs.tsv").rename(tmp_path / "moved.tsv")
    monkeypatch.setattr(Seq2Seq, "loss_and_backward", press)
    resume = ["train", "translation", "--output", "r", "--resume", "--set", "epochs=2"]
    assert main([*resume, "--data", "moved.tsv"]) == 130
    assert "--output r --resume --set=epochs=2 --data moved.tsv" in capsys.readouterr().err


def test_a_run_without_a_checkpoint_begins_anew(train, tmp_path, capsys):
    assert train("r") == 0
    expected = outcome(tmp_path / "r" / "last.safetensors")
    for name in ("last.safetensors", "best.safetensors", "log.jsonl"):
        (tmp_path / "r" / name).unlink()
    assert main(["train", "translation", "--output", "r", "--resume"]) == 0
    assert "no checkpoint yet" in capsys.readouterr().err
    assert outcome(tmp_path / "r" / "last.safetensors") == expected


@pytest.mark.parametrize("task", ["translation", "compression"])
def test_a_best_model_without_a_last_checkpoint_is_no_reason_to_begin_anew(tmp_path, task):
    run = RunDirectory.create(tmp_path / "r")
    run.best.touch()
    settings = load_task(task).settings({})
    with pytest.raises(CheckpointError, match="last.safetensors is missing"):
        load_task(task).resume(settings, run, "cpu")


def test_another_task_cannot_resume_it(train, capsys):
    assert train("r") == 0
    assert main(["train", "reverse", "--output", "r", "--resume"]) == 2
    assert "is a run of the task 'translation'" in capsys.readouterr().err
