import io
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minis2s.cli import main
from minis2s.training import Log

COLOURS = {"red": "rouge", "green": "vert", "blue": "bleu", "black": "noir", "white": "blanc", "grey": "gris"}
THINGS = {"cat": "chat", "dog": "chien", "book": "livre", "car": "vélo", "coat": "manteau", "bag": "sac",
          "hat": "chapeau", "knife": "couteau", "bird": "oiseau", "fish": "poisson"}  # fmt: skip
VERBS = {"I see": "Je vois", "I have": "J'ai", "You want": "Tu veux", "We sell": "Nous vendons",
         "You buy": "Tu achètes", "We find": "Nous trouvons"}  # fmt: skip
TINY = [f"--set={change}" for change in ("epochs=1", "hidden=4", "embedding=4", "validation=0.2", "test=0.2")]
FILES = {
    "attention.png", "best.safetensors", "config.toml", "curves.png", "last.safetensors", "lengths.png", "log.jsonl",
    "metrics.json", "samples.txt", "source.tokenizer.json", "source.vocabulary.json", "target.tokenizer.json",
    "target.vocabulary.json", "test.tsv",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with pairs.tsv and a run that has learnt them."""
    folder = tmp_path_factory.mktemp("cli")
    lines = [
        f"{v} a {c} {t}.\t{v2} un {t2} {c2}.\n"
        for v, v2 in VERBS.items()
        for c, c2 in COLOURS.items()
        for t, t2 in THINGS.items()
    ]
    (folder / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
    sets = ["embedding=48", "hidden=48", "epochs=40", "batch_size=16", "lr=0.01", "dropout=0", "min_frequency=1"]
    sets += ["validation=0.1", "test=0.25", "patience=40"]
    words = [word for change in sets for word in ("--set", change)]
    assert (
        main(["train", "translation", "--data", str(folder / "pairs.tsv"), "--output", str(folder / "run"), *words])
        == 0
    )
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return str(shutil.copytree(trained / "run", tmp_path / "run"))


def output(capsys, *words):
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr()


def call(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "minis2s.cli", *map(str, words)], capture_output=True, timeout=60, **options
    )


# ------------------------------------------------------------------------------------------------------------- train


def test_a_run_leaves_everything_and_has_learnt(trained):
    assert set(os.listdir(trained / "run")) == FILES
    scores = json.loads((trained / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert scores["exact"] > 0.9  # of some 90 unseen combinations
    assert scores["bleu"] > 95
    assert 1 <= scores["perplexity"] < 1.3
    assert scores["task"] == "translation"
    events = [record["event"] for record in Log(trained / "run" / "log.jsonl").read()]
    assert events[0] == "start"
    assert events[-1] == "end"
    assert {"loss", "validation"} <= set(events)
    assert (trained / "run" / "samples.txt").read_text(encoding="utf-8").count("\n\n") == 9


def test_results_go_to_stdout_and_the_rest_to_stderr(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sets = [
        "--set",
        "epochs=1",
        "--set",
        "hidden=4",
        "--set",
        "embedding=4",
        "--set",
        "validation=0.2",
        "--set",
        "test=0.2",
    ]
    out, err = output(capsys, "train", "translation", "--data", trained / "pairs.tsv", *sets)
    assert "exact match" in out
    assert "minis2s translate runs/translation-1" in out
    assert "no held-out source occurs in training" in err
    assert "tokens/s" in err
    assert "tokens/s" not in out


def test_the_same_command_twice_makes_a_second_run(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minis2s.tasks.report.save_figure", lambda figure, path: Path(path).touch())
    words = ["train", "translation", "--config", str(trained / "run" / "config.toml"), "--set", "epochs=1"]
    assert main(words) == 0
    first = (tmp_path / "runs" / "translation-1" / "best.safetensors").read_bytes()
    assert main([*words, "--seed", "9"]) == 0
    assert sorted(os.listdir(tmp_path / "runs")) == ["translation-1", "translation-2"]
    assert (tmp_path / "runs" / "translation-1" / "best.safetensors").read_bytes() == first
    assert main(["train", "translation", "--resume", "--set", "epochs=2"]) == 0
    ends = [r for r in Log(tmp_path / "runs" / "translation-2" / "log.jsonl").read() if r["event"] == "validation"]
    assert [r["epoch"] for r in ends] == [1, 2], "--resume alone takes the latest run"


def test_own_columns_can_be_swapped(trained, tmp_path, capsys):
    paths = ["--data", trained / "pairs.tsv", "--output", tmp_path / "r"]
    output(capsys, "train", "translation", *paths, *TINY, "--set", "swap=true")
    with open(tmp_path / "r" / "test.tsv", encoding="utf-8") as file:
        assert {line.split("\t")[0].split()[0] for line in file} <= {"Je", "J'ai", "Tu", "Nous"}
    result = output(capsys, "evaluate", tmp_path / "r", "--data", trained / "pairs.tsv", "--json")
    assert json.loads(result.out)["examples"] == len(VERBS) * len(COLOURS) * len(THINGS)
    assert "does not know" not in output(capsys, "translate", tmp_path / "r", "Je vois un chat noir.").err


# ---------------------------------------------------------------------------------------------------------- evaluate


def test_evaluate_prints_one_json_object_and_nothing_else(run, tmp_path):
    result = call("evaluate", run, "--json", "--hypotheses", tmp_path / "out.txt")
    assert result.returncode == 0, result.stderr
    scores = json.loads(result.stdout)
    assert result.stdout.count(b"\n") == 1
    keys = {"task", "examples", "exact", "bleu", "chrf", "signature", "perplexity", "perplexity_free", "seconds"}
    assert keys <= scores.keys()
    assert "tok:13a" in scores["signature"]
    assert 0 <= scores["exact"] <= 1
    assert scores["seconds"] > 0
    lines = (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()
    with open(f"{run}/test.tsv", encoding="utf-8") as file:
        references = [line.rstrip("\n").split("\t")[1] for line in file]
    assert len(lines) == scores["examples"] == len(references)
    assert sum(a == b for a, b in zip(lines, references, strict=True)) == round(scores["exact"] * len(lines))


def test_evaluate_repeats_what_training_said(run, capsys):
    before = json.loads(Path(run, "metrics.json").read_text(encoding="utf-8"))
    after = json.loads(output(capsys, "evaluate", run, "--json", "--beam", 4).out)
    for key in ("examples", "exact", "bleu", "chrf", "perplexity", "perplexity_free"):
        assert after[key] == pytest.approx(before[key]), key


def test_evaluate_for_people(run, capsys):
    out = output(capsys, "evaluate", run).out
    for word in ("exact match", "BLEU", "chrF", "teacher-forced", "free-running", "tok:13a"):
        assert word in out


def test_evaluate_on_other_pairs(run, tmp_path, capsys):
    (tmp_path / "two.tsv").write_text(
        "I see a red cat.\tJe vois un chat rouge.\nI have a dog.\tnon\n", encoding="utf-8"
    )
    scores = json.loads(output(capsys, "evaluate", run, "--data", tmp_path / "two.tsv", "--json").out)
    assert scores["examples"] == 2
    assert scores["exact"] == 0.5


def test_a_perplexity_that_overflows_is_null_and_the_json_is_strict(run, capsys, monkeypatch):
    monkeypatch.setattr("minis2s.metrics.perplexity", lambda nats, count: float("inf"))
    text = output(capsys, "evaluate", run, "--json").out
    assert json.loads(text, parse_constant=pytest.fail)["perplexity"] is None


# --------------------------------------------------------------------------------------------------------- translate


def test_translate_arguments(run, capsys):
    result = output(capsys, "translate", run, "I see a red cat.", "You want a black bag.")
    assert result.out == "Je vois un chat rouge.\nTu veux un sac noir.\n"


@pytest.mark.parametrize("beam", [1, 4])
def test_translate_standard_input(run, capsys, monkeypatch, beam):
    text = "\ufeffI see a red cat.\r\nI have a green dog."
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert output(capsys, "translate", run, "--beam", beam).out == "Je vois un chat rouge.\nJ'ai un chien vert.\n"


def test_translate_answers_a_line_before_the_next_is_written(run):
    words = [sys.executable, "-m", "minis2s.cli", "translate", run]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for source, target in (("I see a red cat.", "Je vois un chat rouge."), ("I have a bag.", None)):
            process.stdin.write(source.encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline().decode().rstrip("\n")
            assert target is None or answer == target
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == b""


def test_n_best(run, capsys):
    lines = output(capsys, "translate", run, "--n-best", 3, "I see a red cat.").out.splitlines()
    scores, texts = zip(*(line.split("\t") for line in lines), strict=True)
    assert len(set(texts)) == 3
    assert texts[0] == "Je vois un chat rouge."
    assert sorted(map(float, scores), reverse=True) == list(map(float, scores))


def test_unknown_words_are_told(run, capsys):
    result = output(capsys, "translate", run, "I see a purple cat.")
    assert "does not know 'purple'" in result.err
    assert "purple" not in result.out


def test_attention_picture(run, tmp_path, capsys):
    output(capsys, "translate", run, "--attention", tmp_path / "a.png", "I see a red cat.", "I have a green dog.")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_attention_follows_the_words_that_change_places(run):
    from minis2s.tasks.translator import Translator
    from minis2s.training import RunDirectory

    ((answer,),) = Translator.load(RunDirectory(run)).translate(["I see a red cat."])
    assert answer.attention.shape == (len(answer.tokens) + 1, len(answer.source_tokens) + 1)
    assert answer.attention.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_answers_do_not_depend_on_the_batch(run):
    from minis2s.tasks.translator import Translator
    from minis2s.training import RunDirectory

    translator = Translator.load(RunDirectory(run))
    texts = ["I see a red cat.", "dog", "You want a black bag. I see a red cat.", "We sell a grey car."]
    together = translator.translate(texts, beam=3, n_best=2)
    for text, answers in zip(texts, together, strict=True):
        (alone,) = translator.translate([text], beam=3, n_best=2)
        assert [a.text for a in alone] == [a.text for a in answers]
        assert [a.score for a in alone] == pytest.approx([a.score for a in answers], rel=1e-5)


# -------------------------------------------------------------------------------------------------------------- rest


def test_tasks_lists_each_with_its_settings(capsys):
    from minis2s.tasks import TASKS

    out = output(capsys, "tasks").out
    for name in TASKS:
        assert any(line.startswith(name) for line in out.splitlines())
    assert "hidden=" in out


@pytest.mark.parametrize("task", ["translation", "dates", "addition", "reverse"])
def test_every_setting_that_a_task_explains_can_be_given_back(task, capsys):
    from minis2s.tasks import load_task

    lines = [line for line in output(capsys, "tasks", task).out.splitlines() if " = " in line]
    changes = dict(line.split()[::2][:2] for line in lines)
    assert len(changes) > 30
    assert load_task(task).settings(changes) == load_task(task).settings({})


@pytest.mark.parametrize("command", [[], ["train"], ["evaluate"], ["translate"], ["tasks"], ["gradcheck"]])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as info:
        main([*command, "--help"])
    assert info.value.code == 0
    out = capsys.readouterr().out
    assert "usage: minis2s" in out
    assert command == ["tasks"] or "examples:" in out


def test_help_imports_nothing_heavy():
    code = (
        "import sys, minis2s.cli\n"
        "try: minis2s.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'matplotlib', 'sacrebleu', 'safetensors', 'tqdm', 'babel'} & sys.modules.keys()\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


def test_loading_the_tasks_imports_no_library_that_only_some_need():
    code = (
        "import sys, minis2s.tasks as t\n"
        "[t.load_task(name) for name in t.TASKS]\n"
        "heavy = {'matplotlib', 'sacrebleu', 'safetensors', 'tqdm', 'babel', 'tokenizers'} & sys.modules.keys()\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_reader_that_goes_away_is_no_error():
    code = f"{sys.executable} -m minis2s.cli tasks translation"
    result = subprocess.run(
        ["bash", "-c", f"{code} | head -c 1; exit ${{PIPESTATUS[0]}}"], capture_output=True, check=False
    )
    assert result.stderr == b""


def test_output_is_utf_8_whatever_the_locale():
    code = r"import minis2s.cli as c; c._write_utf8(); print('\u6211 \u00e9 \udce9')"
    locale = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=locale)
    assert done.stdout.decode("utf-8").strip() == "\u6211 \u00e9 \\udce9"


@pytest.mark.parametrize(
    "error", [MemoryError("Unable to allocate 9 TiB"), UnicodeEncodeError("utf-8", "\udce9", 0, 1, "")]
)
def test_too_little_memory_and_strange_names_are_one_line(run, monkeypatch, capsys, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("minis2s.tasks.translator.Translator.load", fail)
    assert main(["translate", run, "I see a cat."]) == 2
    line = capsys.readouterr().err
    assert line.startswith("minis2s: error: ")
    assert line.count("\n") == 1


def test_ctrl_c_anywhere_is_130(run, monkeypatch):
    def press(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("minis2s.tasks.translator.greedy", press)
    monkeypatch.setattr("minis2s.tasks.translator.beam_search", press)
    assert main(["translate", run, "I see a cat."]) == 130


@pytest.mark.parametrize("place", ["minis2s.tasks.report.write_curves", "minis2s.tasks.sequence.write_report"])
def test_ctrl_c_after_the_training_tells_where_the_model_is(trained, tmp_path, monkeypatch, capsys, place):
    def press(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("minis2s.tasks.report.save_figure", lambda figure, path: Path(path).touch())
    output_to = str(tmp_path / "new")
    with monkeypatch.context() as keyboard:
        keyboard.setattr(place, press)
        words = ["--data", str(trained / "pairs.tsv"), "--output", output_to, *TINY]
        assert main(["train", "translation", *words]) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"the model is saved in {output_to}" in last
    assert last.endswith(f"minis2s train translation --output {output_to} --resume")
    assert main(["train", "translation", "--output", output_to, "--resume"]) == 0
    assert (tmp_path / "new" / "metrics.json").exists()


def test_gradcheck_of_the_library(capsys):
    out = output(capsys, "gradcheck", "softmax", "linear").out
    assert "linear" in out
    assert "softmax" in out
    assert "lstm" not in out


def test_gradcheck_of_a_wrong_function_is_1(tmp_path, capsys):
    source = (
        "def linear(x, w, b):\n    return x @ w.T + b, lambda dy: (dy @ w, {dw}, dy.reshape(-1, len(b)).sum(axis=0))\n"
    )
    right = "dy.reshape(-1, len(b)).T @ x.reshape(-1, x.shape[-1])"
    for dw, code in ((right, 0), (f"2 * {right}", 1)):
        (tmp_path / "student.py").write_text(source.format(dw=dw), encoding="utf-8")
        assert main(["gradcheck", "--file", f"{tmp_path / 'student.py'}:linear"]) == code
        assert ("wrong" in capsys.readouterr().out) == (code == 1)


def test_the_logger_is_left_as_it_was(capsys):
    before = list(logging.getLogger("minis2s").handlers)
    output(capsys, "tasks")
    assert logging.getLogger("minis2s").handlers == before
