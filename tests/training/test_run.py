import os

import pytest

from minis2s.errors import CheckpointError, ConfigError
from minis2s.training import Log, RunDirectory


def test_config_round_trip(tmp_path):
    run = RunDirectory.create(tmp_path / "r")
    settings = {
        "hidden": 256, "lr": 1e-05, "one": 1.0, "rate": float("inf"), "tied": True, "nothing": None,
        "data": 'C:\\tmp\\"é 中"\x7f\n.tsv',
    }  # fmt: skip
    run.write_config("tâche", settings)
    task, read = RunDirectory.open(run.path).read_config()
    del settings["nothing"]
    assert (task, read) == ("tâche", settings)
    assert [type(value) for value in read.values()] == [type(value) for value in settings.values()]


def test_an_existing_run_is_never_overwritten(tmp_path):
    RunDirectory.create(tmp_path / "r").write_config("t", {})
    with pytest.raises(ConfigError, match="holds a run already: add --resume"):
        RunDirectory.create(tmp_path / "r")


def test_a_directory_with_something_else_is_refused_and_an_empty_one_taken(tmp_path):
    (tmp_path / "other").mkdir()
    RunDirectory.create(tmp_path / "other")
    (tmp_path / "other" / "thesis.doc").touch()
    with pytest.raises(ConfigError, match="not an empty directory"):
        RunDirectory.create(tmp_path / "other")
    with pytest.raises(ConfigError, match="not an empty directory"):
        RunDirectory.create(tmp_path / "other" / "thesis.doc")


def test_numbered_runs_count_on_and_the_latest_is_found(tmp_path):
    parent = tmp_path / "runs"
    first = RunDirectory.create_numbered(parent, "dates")
    first.write_config("dates", {})
    assert first.path.name == "dates-1"
    for number in (9, 10):
        RunDirectory.create(parent / f"dates-{number}").write_config("dates", {})
    (parent / "dates-x").mkdir()
    (parent / "other-77").mkdir()
    (parent / "dates-99").mkdir()  # a directory without a config is no run
    assert RunDirectory.open_latest(parent, "dates").path.name == "dates-10"
    assert RunDirectory.create_numbered(parent, "dates").path.name == "dates-100"


def test_a_run_that_never_got_to_its_config_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    run = RunDirectory.create_numbered(tmp_path, "dates")
    with pytest.raises(CheckpointError, match="No space left on device; no run was begun: .* the same command") as info:
        run.write_config("dates", {})
    assert "--resume" not in str(info.value), "that would go on with an older run"
    assert not run.path.exists()
    mine = RunDirectory.create(tmp_path / "mine")
    (mine / "thesis.doc").touch()
    with pytest.raises(CheckpointError, match="No space left"):
        mine.write_config("dates", {})
    assert (mine / "thesis.doc").exists()


def test_a_lost_checkpoint_is_not_one_that_never_was(tmp_path):
    run = RunDirectory.create(tmp_path / "r")
    assert not run.has_checkpoint()
    run.best.touch()
    with pytest.raises(CheckpointError, match=r"last\.safetensors is missing.*best\.safetensors, is there") as info:
        run.has_checkpoint()
    assert "\n" not in str(info.value)
    run.last.touch()
    assert run.has_checkpoint()


def test_no_latest(tmp_path):
    with pytest.raises(CheckpointError, match=r"no run .*dates-N to go on with: leave out --resume"):
        RunDirectory.open_latest(tmp_path / "runs", "dates")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('format = 2\ntask = "t"\n[settings]\n', "format version 2, this minis2s reads version 1"),
        ('task = "t"\n[settings]\n', "format version None"),
        ("format = 1\n", "names no task"),
        ("format = ", "cannot read"),
        (b"\xff\xfe", "cannot read"),
    ],
)
def test_a_config_of_another_version_or_damaged(tmp_path, text, message):
    run = RunDirectory.create(tmp_path / "r")
    run.config.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(CheckpointError, match=message) as info:
        RunDirectory.open(run.path)
    assert "\n" not in str(info.value)


def test_open_what_is_no_run(tmp_path):
    with pytest.raises(CheckpointError, match="is not a run directory"):
        RunDirectory.open(tmp_path)
    with pytest.raises(CheckpointError, match="does not exist"):
        RunDirectory.open(tmp_path / "nowhere")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        RunDirectory.create(tmp_path / "r")


def test_log_keeps_one_object_a_line_and_strict_json(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    assert log.read() == []
    log.write("loss", step=1, loss=float("nan"), deep={"a": [float("inf"), 1]}, text="é\n中")
    log.write("loss", step=2, loss=0.5)
    assert log.read()[0] == {"event": "loss", "step": 1, "loss": None, "deep": {"a": [None, 1]}, "text": "é\n中"}
    assert len(log.path.read_text(encoding="utf-8").splitlines()) == 2


def test_log_forgives_a_last_line_cut_short_and_rewinds(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    for step in (0, 50, 100):
        log.write("loss", step=step)
    with open(log.path, "a", encoding="utf-8") as file:
        file.write('{"event": "lo')
    assert [record["step"] for record in log.read()] == [0, 50, 100]
    log.rewind(50)
    log.write("loss", step=51)
    assert [record["step"] for record in log.read()] == [0, 50, 51]
