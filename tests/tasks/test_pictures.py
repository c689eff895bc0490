"""Tasks with pictures, small, on strokes: from data to report, what they leave, and what bad input gets."""

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minis2s.cli import main
from minis2s.data import strokes
from minis2s.data.noise import NOISES
from minis2s.tasks import load_task
from minis2s.tasks.denoising import spoil_each
from minis2s.tasks.features import shifted
from minis2s.tasks.generation import STEPS, interpolations
from minis2s.training import RunDirectory

pytest.importorskip("skimage")
pytest.importorskip("sklearn")

SIZE = 16
TINY = [f"--set={change}" for change in ("epochs=2", "batch_size=32", "width=4", "validation=0.1")]
TASKS = {"compression": [], "denoising": [], "features": ["--set=fine_tuning=1"], "generation": ["--set=latent=2"]}
COMMON = {"best.safetensors", "config.toml", "curves.png", "last.safetensors", "log.jsonl", "metrics.json"}
PICTURES = {
    "compression": {"compression.png", "code.safetensors"},
    "denoising": {"denoising.png", "noises.png"},
    "features": {"features.png"},
    "generation": {"samples.png", "reconstructions.png", "kl.png", "ways.png", "plane.png", "arithmetic.png"},
}
SCORES = {
    "compression": {"mse", "psnr", "ssim", "bits_per_pixel"},
    "denoising": {"mse", "psnr", "ssim", "noises"},
    "features": {"linear_probe", "linear_probe_100", "knn5", "kmeans_purity", "fine_tuned"},
    "generation": {"elbo", "reconstruction", "kl", "importance_weighted", "active", "kl_by_dimension"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with pictures, and a run of every task."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels, labels = strokes.generate(300, np.random.default_rng(0), SIZE)
    grey = np.rint(255 * pixels[:, 0]).astype(np.uint8)
    np.savez(folder / "data.npz", images=grey, labels=labels)
    np.savez(folder / "other.npz", images=grey[:150, ::-1], labels=labels[:150])
    np.savez(folder / "large.npz", images=grey.repeat(2, axis=1).repeat(2, axis=2)[:150], labels=labels[:150])
    np.savez(folder / "unlabelled.npz", images=grey)
    for n in range(3):
        Image.fromarray(grey[n]).save(folder / f"{n}.png")
    for task, more in TASKS.items():
        words = ["train", task, "--data", str(folder / "data.npz"), "--output", str(folder / task), *TINY, *more]
        assert main(words) == 0
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minis2s.tasks.denoising.COMPARED", 20)  # non-local means are slow
    return tmp_path


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


def output(capsys, *words):
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS)
def test_a_run_leaves_scores_and_pictures(trained, task):
    run = trained / task
    assert {path.name for path in run.iterdir()} == COMMON | PICTURES[task]
    for path in run.glob("*.png"):
        assert min(size_of(path)) > 100
    scores = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert scores["task"] == task
    assert 20 < scores["examples"] < 120
    assert SCORES[task] | {"baselines"} <= set(scores)
    assert all(isinstance(row, dict) for row in scores["baselines"].values())


@pytest.mark.parametrize("task", TASKS)
def test_evaluate_gives_the_scores_of_the_report_and_takes_other_data(folder, capsys, task):
    before = json.loads((folder / task / "metrics.json").read_text(encoding="utf-8"))
    again = json.loads(output(capsys, "evaluate", task, "--json"))
    assert set(again) == set(before)
    for key in SCORES[task] - {"noises", "kl_by_dimension"}:
        assert again[key] == pytest.approx(before[key], rel=1e-4), key
    other = json.loads(output(capsys, "evaluate", task, "--data", "other.npz", "--json"))
    assert other["examples"] == 150 if task == "denoising" else 20 < other["examples"] < 50  # the others learn, too
    assert other["data"] == "other.npz"
    assert "this model" in output(capsys, "evaluate", task, "--data", "large.npz", "--resize")


def test_probes_of_other_data_are_not_tested_on_what_they_learnt(folder, capsys):
    pixels, _ = strokes.generate(400, np.random.default_rng(5), SIZE)
    np.savez("chance.npz", images=pixels[:, 0], labels=np.random.default_rng(6).integers(0, 10, 400))
    scores = json.loads(output(capsys, "evaluate", "features", "--data", "chance.npz", "--json"))
    for row in (scores, *scores["baselines"].values()):
        assert max(row.get("linear_probe", 0), row.get("knn5", 0), row.get("fine_tuned", 0)) < 0.35


def test_other_data_that_the_model_was_trained_on_are_told_of(folder, capsys, caplog):
    with caplog.at_level(logging.INFO):
        output(capsys, "evaluate", "denoising", "--data", "data.npz")
        assert int(re.search(r"trained on (\d+) of the test pictures", caplog.text)[1]) > 100
        output(capsys, "evaluate", "denoising", "--data", "other.npz")
    assert "the model was trained on none of the test pictures" in caplog.text


def test_of_mixed_noises_all_are_measured():
    settings = load_task("denoising").settings({"noise": "mixed"})
    pixels = np.full((15, 1, 8, 8), 0.5, np.float32)
    noisy = spoil_each(pixels, settings, np.random.default_rng(0))
    kinds = {kind: noisy[k] for k, kind in enumerate(NOISES)}
    assert set(np.unique(kinds["salt_pepper"])) <= {0, 0.5, 1}
    assert set(np.unique(kinds["masking"])) <= {0, 0.5}
    assert len(np.unique(kinds["gaussian"])) > 50
    assert load_task("denoising").settings({"noise": "poisson"}).level == 3  # not the .5 of Gaussian noise


def test_few_pictures_have_few_ways_between_them(folder):
    net = load_task("generation").load(RunDirectory("generation"), "cpu").net
    pixels, labels = strokes.generate(5, np.random.default_rng(0), SIZE)
    assert interpolations(net, pixels, None).shape == (2 * STEPS, 1, SIZE, SIZE)
    assert interpolations(net, pixels, labels).shape == (2 * STEPS, 1, SIZE, SIZE)


@pytest.mark.parametrize("task", TASKS)
def test_resumed_is_uninterrupted(folder, task, monkeypatch):
    monkeypatch.setattr(type(load_task(task)), "report", lambda self, run, trainer, device: "")
    words = ["train", task, "--data", "data.npz", *TINY, *TASKS[task], "--set=schedule=constant"]
    assert main([*words, "--output", "whole", "--set=epochs=3"]) == 0
    assert main([*words, "--output", "parts", "--set=epochs=1"]) == 0
    assert main(["train", task, "--output", "parts", "--resume", "--set=epochs=3"]) == 0
    weights = [load_task(task).load(RunDirectory(run), "cpu").net.state_dict() for run in ("whole", "parts")]
    for name, value in weights[0].items():
        np.testing.assert_array_equal(weights[1][name], value, err_msg=name)


def test_data_that_changed_are_noticed(folder, complaint):
    assert main(["train", "compression", "--data", "data.npz", "--output", "run", *TINY]) == 0
    shutil.copy("other.npz", "data.npz")
    assert "data.npz is not what run was trained on" in complaint("evaluate", "run")
    line = complaint("train", "compression", "--output", "run", "--resume", "--set=epochs=3")
    assert "is not what run was trained on" in line


# ----------------------------------------------------------------------------------------------------------------- use


def test_a_compressed_picture_is_small_and_comes_back(folder, capsys):
    sizes = []
    for bits in (8, 4):
        text = output(capsys, "compress", "compression", "0.png", "out.m2s", "--bits", bits)
        sizes.append((folder / "out.m2s").stat().st_size)
        assert f"out.m2s: {sizes[-1]} bytes" in text
        output(capsys, "decompress", "compression", "out.m2s", "back.png")
        assert size_of("back.png") == (SIZE, SIZE)
    assert sizes[1] < sizes[0]


def test_denoised_pictures_stand_beside_the_noisy_ones_or_where_the_user_wants_them(folder, capsys):
    (folder / "clean").mkdir()
    assert output(capsys, "denoise", "denoising", "0.png", "1.png").split() == ["0.denoised.png", "1.denoised.png"]
    output(capsys, "denoise", "denoising", "2.png", "--output", "clean")
    assert size_of("clean/2.denoised.png") == (SIZE, SIZE)


def test_codes_are_written_for_other_programs(folder, capsys):
    assert "codes of 3 pictures" in output(capsys, "encode", "features", "0.png", "1.png", "2.png", "--output", "c.npz")
    with np.load("c.npz") as file:
        assert file["codes"].shape == (3, 64)
        assert file["names"].tolist() == ["0.png", "1.png", "2.png"]


def test_generated_pictures_are_seeded(folder, capsys):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert "12 pictures" in output(capsys, "generate", "generation", f"{name}.png", "--count", 12, "--seed", seed)
    a, b, c = (Path(f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.fixture
def complaint(capsys):
    """Run a command that must fail; return its one line. Nothing that was there is changed."""

    def run(*words):
        before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
        capsys.readouterr()
        assert main([str(word) for word in words]) == 2
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if line.startswith("minis2s: error: ")]
        assert len(lines) == 1
        assert err.splitlines()[-1] == lines[0]
        assert out == ""
        assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
        return lines[0]

    return run


@pytest.mark.parametrize(
    "words",
    [
        ["compress", "compression", "x.png", "o.m2s"],
        ["denoise", "denoising", "x.png"],
        ["encode", "features", "x.png", "--output", "o.npz"],
    ],
    ids=["compress", "denoise", "encode"],
)
def test_pictures_that_a_model_does_not_take(folder, complaint, words):
    Path("x.png").write_bytes(b"no picture")
    assert "x.png is not an image" in complaint(*words)
    for mode, reason in (("RGBA", "transparency"), ("P", "palette"), ("I;16", "16 or more bits")):
        Image.new(mode, (SIZE, SIZE)).save("x.png")
        assert reason in complaint(*words)
    Image.new("L", (SIZE, 20)).save("x.png")
    line = complaint(*words)
    assert f"{SIZE} x 20" in line
    assert "--resize" in line
    assert main([*words, "--resize"]) == 0
    Image.new("RGB", (SIZE, SIZE)).save("x.png")
    assert "colour" in complaint(*words)
    Path("x.png").unlink()
    assert "x.png does not exist" in complaint(*words)


def test_files_that_are_no_compressed_pictures(folder, complaint, capsys):
    words = ["decompress", "compression", "x.m2s", "y.png"]
    assert "x.m2s" in complaint(*words)
    Path("x.m2s").write_bytes(b"hello")
    assert "not a picture that `minis2s compress` wrote" in complaint(*words)
    output(capsys, "compress", "compression", "0.png", "whole.m2s")
    Path("x.m2s").write_bytes(Path("whole.m2s").read_bytes()[:-3])
    assert "truncated or damaged" in complaint(*words)
    assert main(["train", "compression", "--data", "data.npz", "--output", "second", *TINY, "--seed", "2"]) == 0
    assert "another model" in complaint("decompress", "second", "whole.m2s", "y.png")


@pytest.mark.parametrize("task", TASKS)
def test_a_run_of_another_task(folder, complaint, task):
    commands = {
        "compression": ["compress", "RUN", "0.png", "o.m2s"],
        "denoising": ["denoise", "RUN", "0.png"],
        "features": ["encode", "RUN", "0.png", "--output", "o.npz"],
        "generation": ["generate", "RUN", "o.png"],
    }
    other = "features" if task != "features" else "denoising"
    line = complaint(*[other if word == "RUN" else word for word in commands[task]])
    assert f"is a run of the task {other!r}" in line
    assert "is a run of the task" in complaint("translate", task, "hello")


@pytest.mark.parametrize("task", TASKS)
def test_bad_data_leave_no_run(folder, complaint, task):
    Path("cut-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\0\0\0\x09" * 3 + b"123")
    Path("text.npz").write_text("hello", encoding="utf-8")
    np.savez("values.npz", images=np.full((30, SIZE, SIZE), 7.0))
    np.savez("few.npz", images=np.zeros((3, SIZE, SIZE)))
    np.savez("count.npz", images=np.zeros((30, SIZE, SIZE)), labels=np.zeros(29, int))
    for name, reason in (
        ("cut-images-idx3-ubyte", "truncated"),
        ("text.npz", "not a whole NPZ"),
        ("values.npz", "from 7 to 7"),
        ("few.npz", "no picture is left"),
        ("count.npz", "29 labels"),
        ("nowhere", "does not exist"),
    ):
        line = complaint("train", task, "--data", name)
        assert name in line or reason == "no picture is left"
        assert reason in line
    assert not Path("runs").exists()


def test_data_of_another_size(folder, complaint):
    line = complaint("evaluate", "compression", "--data", "large.npz")
    assert "32 x 32" in line
    assert "--resize" in line


def test_each_picture_of_a_batch_is_shifted_by_itself_and_nothing_comes_in():
    pixels = np.ones((200, 1, 6, 7), np.float32)
    moved = shifted(pixels, np.random.default_rng(0))
    assert moved.shape == pixels.shape
    rows, columns = moved[:, 0].sum(axis=1).max(axis=1), moved[:, 0].sum(axis=2).max(axis=1)  # what is left of 6 and 7
    assert set(rows) == {4, 5, 6}
    assert set(columns) == {5, 6, 7}
    assert len(np.unique(moved, axis=0)) == 25  # every way of moving by up to two pixels, down and right


def test_what_cannot_be_scored_is_not_trained(folder, complaint):
    pixels, labels = strokes.generate(60, np.random.default_rng(0), SIZE)
    np.savez("small.npz", images=pixels[:, 0, :5, :5])
    np.savez("one.npz", images=pixels[:, 0], labels=0 * labels)
    np.savez("many.npz", images=pixels[:, 0], labels=np.arange(60))
    np.savez("negative.npz", images=pixels[:, 0], labels=labels - 1)
    assert "have none" in complaint("evaluate", "features", "--data", "unlabelled.npz")
    for task, name, reason in (
        ("features", "unlabelled.npz", "have none"),
        ("features", "one.npz", "found are 1 classes"),
        ("features", "many.npz", "a test picture for each"),
        ("features", "negative.npz", "begin at -1"),
        ("compression", "small.npz", "5 x 5"),
        ("generation", "small.npz", "5 x 5"),
    ):
        assert reason in complaint("train", task, "--data", name, "--set=epochs=1")
    assert not Path("runs").exists()
    np.savez("single.npz", images=pixels[:1, 0])
    assert "too few to learn baselines from" in complaint("evaluate", "compression", "--data", "single.npz")


def test_nothing_is_written_over_by_mistake(folder, complaint):
    for name in ("a", "b"):
        Path(name).mkdir()
        shutil.copy("0.png", Path(name) / "x.png")
    assert "would both become clean" in complaint("denoise", "denoising", "a/x.png", "b/x.png", "--output", "clean")
    before = Path("1.png").read_bytes()
    assert "picture's name" in complaint("compress", "compression", "0.png", "1.png")
    assert Path("1.png").read_bytes() == before
    assert "there is no folder nowhere" in complaint("generate", "generation", "nowhere/out.png")
    assert "it is a folder" in complaint("generate", "generation", ".")


def test_codes_are_written_where_it_says(folder, capsys):
    assert "codes.npz: codes of 2" in output(capsys, "encode", "features", "0.png", "1.png", "--output", "codes")
    assert len(np.load("codes.npz")["codes"]) == 2


@pytest.mark.parametrize("option", ["--seed=-1", "--temperature=nan", "--temperature=-1", "--temperature=hot"])
def test_options_of_generate(folder, capsys, option):
    with pytest.raises(SystemExit, match="2"):
        main(["generate", "generation", "out.png", option])
    assert "at least 0" in capsys.readouterr().err


def test_options_of_other_tasks_and_settings_that_do_not_fit(folder, complaint):
    assert "--beam means nothing" in complaint("evaluate", "compression", "--beam", "3")
    assert "level is 2" in complaint("train", "denoising", "--set=noise=masking", "--set=level=2")
    assert "did you mean" in complaint("train", "denoising", "--set=noise=gausian")
    np.savez("odd.npz", images=strokes.generate(60, np.random.default_rng(0), 15)[0])
    line = complaint("train", "compression", "--data", "odd.npz", "--set=net=pooled", *TINY)
    assert "do not go together" in line


def test_without_the_libraries_nothing_begins(folder, complaint, monkeypatch):
    monkeypatch.setattr("minis2s.tasks.pictures.LIBRARIES", {"scikit-image": "no_such_module"})
    Path("o.m2s").touch()
    for words in (
        ["train", "compression", "--data", "data.npz", *TINY],
        ["evaluate", "compression"],
        ["compress", "compression", "0.png", "o.m2s"],
        ["decompress", "compression", "o.m2s", "o.png"],
        ["denoise", "denoising", "0.png"],
        ["encode", "features", "0.png", "--output", "o.npz"],
        ["generate", "generation", "o.png"],
    ):
        assert "need scikit-image, not installed here: pip install" in complaint(*words)


# ------------------------------------------------------------------------------------------------------------ the trap


def test_the_loop_warns_of_an_output_that_does_not_depend_on_its_input(folder, caplog, monkeypatch):
    task = load_task("compression")
    settings = task.settings({"data": "data.npz", "loss": "mse", "epochs": 1, "batch_size": 32, "validation": 0.1})
    trainer = task.start(settings, lambda: RunDirectory.create("trap"), "cpu")
    bias = trainer.trainable.model.decoder.layers[-1].bias
    bias.data[...] = -40  # black everywhere: the sigmoid is flat there, and no gradient comes back
    with caplog.at_level(logging.INFO):
        trainer.fit()
    assert "the output no longer depends on the input" in caplog.text
    assert trainer.trainable.validate()["spread"] < 0.01


def test_the_loop_does_not_warn_of_a_slow_start(folder, caplog):
    task = load_task("compression")
    settings = task.settings({"data": "data.npz", "epochs": 8, "batch_size": 32, "validation": 0.1, "lr": 0.01})
    with caplog.at_level(logging.INFO):
        task.start(settings, lambda: RunDirectory.create("free"), "cpu").fit()
    assert "no longer depends" not in caplog.text


def test_the_loop_warns_once(folder, caplog, monkeypatch):
    task = load_task("compression")
    settings = task.settings({"data": "data.npz", "loss": "mse", "epochs": 5, "batch_size": 32, "validation": 0.1})
    trainer = task.start(settings, lambda: RunDirectory.create("trap"), "cpu")
    monkeypatch.setattr(trainer.trainable, "validate", lambda: {"loss": 1.0, "spread": 0.0})
    with caplog.at_level(logging.INFO):
        trainer.fit()
    assert caplog.text.count("no longer depends") == 1
    assert "no longer depends" in caplog.text.split("epoch 3/5")[1].split("epoch 4/5")[0]
