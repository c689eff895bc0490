"""The command line. Results go to standard output, everything else to standard error.

Commands import what they need when they run, so that `minis2s --help` answers at once.
"""

from __future__ import annotations

import argparse
import io
import logging
import math
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from minis2s import __version__
from minis2s.errors import ConfigError, DataError, UserError

if TYPE_CHECKING:
    from minis2s.tasks.task import Task
    from minis2s.tasks.translator import Translation, Translator
    from minis2s.training import RunDirectory, Trainer

SLEEP_AT_ONCE = "10"
"""For NumPy, before it is imported: after a matrix product its other thread spins for 2^10 cycles, not for 2^26, which
would keep a core from the elementwise work that comes next."""

logger = logging.getLogger("minis2s")

RUNS = "runs"
MOST_MAPS = 12

MAIN_HELP = """\
examples:
  minis2s train translation                      three minutes, then runs/translation-1 speaks some French
  minis2s translate runs/translation-1 "I do not have a red car."
  minis2s evaluate runs/translation-1            BLEU, chrF, exact match on the held-out sentences
  minis2s train translation --data my-pairs.tsv  your own sentences: source, tab, target on each line
  minis2s train denoising                        two minutes, then handwritten digits without their noise
  minis2s tasks                                  what else can be trained
"""
TRAIN_HELP = """\
examples:
  minis2s train translation                              English to French phrases, into runs/translation-1
  minis2s train translation --set language=zh            ... to Chinese
  minis2s train translation --data pairs.tsv --output my-model --set hidden=256 --set epochs=15
  minis2s train addition --seed 2 --set time_limit=3     at most three minutes of training
  minis2s train dates --config dates.toml                settings from a file, a line each: hidden = 128
  minis2s train translation --resume                     go on with the last run, after Ctrl-C say

`minis2s tasks TASK` explains every setting. The run directory gets config.toml (--config takes it again),
best.safetensors, last.safetensors, log.jsonl, curves.png, attention.png, samples.txt and metrics.json.
"""
EVALUATE_HELP = """\
examples:
  minis2s evaluate runs/translation-1
  minis2s evaluate runs/translation-1 --data other.tsv --beam 5 --hypotheses out.txt
  minis2s evaluate runs/dates-1 --json | jq .exact

perplexity is given twice: with teacher forcing (each token after the true ones) and free-running (each token
after the model's own). BLEU and chrF are sacrebleu's; the signature says how they were computed.
"""
TRANSLATE_HELP = """\
examples:
  minis2s translate runs/translation-1 "Where is the station?" "I like tea."
  minis2s translate runs/translation-1 < english.txt > french.txt
  minis2s translate runs/translation-1 --beam 5 --n-best 3 "I like tea."       score, tab, translation
  minis2s translate runs/translation-1 --attention map.png "I like green tea."
"""
COMPRESS_HELP = """\
examples:
  minis2s compress runs/compression-1 in.png out.m2s
  minis2s decompress runs/compression-1 out.m2s back.png
"""
DENOISE_HELP = """\
examples:
  minis2s denoise runs/denoising-1 scan-*.png --output clean
  minis2s denoise runs/denoising-1 photo.png --resize
"""
ENCODE_HELP = """\
examples:
  minis2s encode runs/features-1 scan-*.png --output codes.npz       read it with numpy.load: codes, names
"""
GENERATE_HELP = """\
examples:
  minis2s generate runs/generation-1 --count 64 out.png
  minis2s generate runs/generation-1 out.png --seed 2 --temperature 0.7
"""
GRADCHECK_HELP = """\
examples:
  minis2s gradcheck                     every function of the library: a table
  minis2s gradcheck lstm softmax        those whose name contains one of the words
  minis2s gradcheck --file student.py:my_lstm
"""
LESSONS_HELP = """\
examples:
  minis2s lessons list
  minis2s lessons open 1                          the first lesson as a notebook, with blanks to fill
  minis2s lessons build --output notebooks        student and solution notebooks, as nbgrader takes them
  minis2s lessons check                           is every wrong answer on file found out, every right one let through?
  minis2s lessons grade submitted/ --output graded
  minis2s lessons site site                       all lessons as pages, to be read without a network

grade runs each solution in a process of its own, with limits on time, memory and output. That keeps a mistake
from harming you, not an attacker: process isolation is no sandbox. Grade strangers' code in a container or a virtual
machine without a network.
"""


class Parser(argparse.ArgumentParser):
    """Say what is wrong in one line, as all other errors are said."""

    def error(self, message: str) -> NoReturn:
        """Print and leave with 2."""
        self.exit(2, f"minis2s: error: {message} (`{self.prog} --help` explains)\n")


# ------------------------------------------------------------------------------------------------------------ commands


def train(args: argparse.Namespace) -> int:
    """`minis2s train`."""
    from minis2s.backend import prepare_process, use_device
    from minis2s.tasks import load_task

    prepare_process()
    task = load_task(args.task)
    changes = _changes(args, task.name)
    with use_device(args.device) as device:
        trainer = _resume(args, task, changes, device) if args.resume else _start(args, task, changes, device)
        run = trainer.run
        logger.info("training in %s on the %s; Ctrl-C saves and stops", run, device)
        try:
            reason = trainer.fit()
        except KeyboardInterrupt:
            _write_curves(run, task)
            logger.info("go on with: %s", _resume_command(task, run, args))
            return 130
        logger.info("%s; the best epoch was %s", reason, trainer.state.best_epoch)
        try:
            _write_curves(run, task)
            print(task.report(run, trainer, device))
        except KeyboardInterrupt:
            command = _resume_command(task, run, args)
            logger.info("the model is saved in %s; score it and draw its pictures with: %s", run, command)
            return 130
    return 0


def _start(args: argparse.Namespace, task: Task, changes: dict[str, Any], device: str) -> Trainer:
    from minis2s.training import RunDirectory

    settings = task.settings(changes)
    if args.output:
        RunDirectory.require_new(args.output)  # at once, not after the data are prepared

    def create() -> RunDirectory:
        return RunDirectory.create(args.output) if args.output else RunDirectory.create_numbered(RUNS, task.name)

    return task.start(settings, create, device)


def _resume(args: argparse.Namespace, task: Task, changes: dict[str, Any], device: str) -> Trainer:
    from minis2s.tasks.task import resumed_settings
    from minis2s.training import RunDirectory

    run = RunDirectory.open(args.output) if args.output else RunDirectory.open_latest(RUNS, task.name)
    return task.resume(resumed_settings(task, run, changes), run, device)


def _changes(args: argparse.Namespace, task: str) -> dict[str, Any]:
    """What the user chose: the file, then --set, then the options that have a name of their own."""
    from minis2s.tasks.settings import assignment, read_toml

    changes: dict[str, Any] = read_toml(Path(args.config), task) if args.config else {}
    changes |= dict(assignment(text) for text in args.set)
    if args.data is not None:
        changes["data"] = args.data
    if args.seed is not None:
        changes["seed"] = args.seed
    for key in ("data", "data_target"):
        if isinstance(changes.get(key), str) and changes[key].lower() != "none":
            changes[key] = str(Path(changes[key]).resolve())
    return changes


def _resume_command(task: Task, run: RunDirectory, args: argparse.Namespace) -> str:
    """How to go on. What an earlier --resume changed is not in the run's config.toml, and has to be said again."""
    words = ["minis2s", "train", task.name, "--output", str(run), "--resume"]
    if args.resume:
        words += [f"--set={change}" for change in args.set] + (["--data", args.data] if args.data else [])
    return shlex.join(words + (["--device", args.device] if args.device else []))


def _write_curves(run: RunDirectory, task: Task) -> None:
    from minis2s.tasks.report import write_curves

    write_curves(run, f"{task.name} ({run.path.name})", task.unit)


def evaluate(args: argparse.Namespace) -> int:
    """`minis2s evaluate`."""
    from minis2s.backend import prepare_process, use_device
    from minis2s.tasks import load_task
    from minis2s.tasks.report import dumps
    from minis2s.training import RunDirectory

    run = RunDirectory.open(args.directory)
    task = load_task(run.read_config()[0])
    options = {"beam": args.beam, "hypotheses": args.hypotheses, "resize": args.resize}
    prepare_process()
    with use_device(args.device) as device:
        scores = task.evaluate(run, device, args.data, **options)
    print(dumps(scores) if args.json else task.format(scores))
    return 0


def translate(args: argparse.Namespace) -> int:
    """`minis2s translate`."""
    from minis2s.backend import prepare_process, use_device
    from minis2s.tasks import load_task
    from minis2s.tasks.report import AttentionMaps
    from minis2s.tasks.sequence import SequenceTask
    from minis2s.tasks.settings import update
    from minis2s.training import RunDirectory, check_place

    run = RunDirectory.open(args.directory)
    task = load_task(run.read_config()[0])
    if not isinstance(task, SequenceTask):
        raise ConfigError(f"{run} is a run of the task {task.name!r}, which does not translate: name another run")
    settings = task.stored(run, args.beam)
    settings = update(settings, {"beam": max(settings.beam, args.n_best)}, task.name)
    maps = AttentionMaps(MOST_MAPS)
    if args.attention:
        check_place(Path(args.attention))
    prepare_process()
    with use_device(args.device) as device:
        translator = _load(run, device)
        if args.attention and translator.model.config.context != "attention":
            raise ConfigError(f"the model in {run} has no attention to draw: train one with --set context=attention")
        for n, text in enumerate(args.text or _standard_input(), start=1):
            answers = _answer(translator, text, n, settings.beam, args.n_best, settings.alpha)
            for answer in answers:
                print(answer.text if args.n_best == 1 else f"{answer.score:.4f}\t{answer.text}", flush=True)
            if args.attention:
                maps.add(answers[0])
    if args.attention:
        maps.save(Path(args.attention))
    return 0


def _answer(translator: Translator, text: str, n: int, beam: int, n_best: int, alpha: float) -> list[Translation]:
    """Translate one text; it is the n-th."""
    translator.encode(text, f"sentence {n}")
    unknown = translator.unknown(text)
    if unknown:
        logger.info("sentence %d: this model does not know %s", n, ", ".join(map(repr, unknown)))
    (answers,) = translator.translate([text], beam=beam, n_best=n_best, alpha=alpha)
    return answers


def _load(run: RunDirectory, device: str) -> Translator:
    from minis2s.tasks.translator import Translator

    return Translator.load(run, device)


def _standard_input() -> Iterator[str]:
    """Lines as they come."""
    if sys.stdin is None:  # closed, as `<&-` does it
        raise DataError("there is no text, and standard input is closed: name a text after the run directory")
    if sys.stdin.isatty():
        logger.info("one sentence a line; Ctrl-D ends")
    for n, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode("utf-8").rstrip("\r\n").removeprefix("\ufeff")
        except UnicodeDecodeError:
            raise DataError(f"line {n} of standard input is not UTF-8: convert it, with iconv say") from None


def compress(args: argparse.Namespace) -> int:
    """`minis2s compress`."""
    from minis2s.backend import use_device
    from minis2s.data.png import OTHER_PICTURES
    from minis2s.metrics import psnr, ssim
    from minis2s.tasks.compression import TASK, Codec
    from minis2s.training import RunDirectory, write_atomic

    if Path(args.output).suffix.lower() in (".png", *OTHER_PICTURES):
        raise ConfigError(f"{args.output} is a picture's name; compress writes a file of its own kind: name it out.m2s")
    with use_device(args.device) as device:
        codec = Codec(RunDirectory.open(args.directory), device)
        pixels = TASK.read(codec.model, [args.input], args.resize).pixels
        data = codec.compress(pixels[0], args.bits)
        back = codec.decompress(args.output, data)
    write_atomic(Path(args.output), data)
    rate = f"{len(data)} bytes, {8 * len(data) / pixels[0, 0].size:.2f} bits per pixel"
    print(f"{args.output}: {rate}, PSNR {psnr(back[None], pixels)[0]:.1f} dB, SSIM {ssim(back[None], pixels)[0]:.3f}")
    return 0


def decompress(args: argparse.Namespace) -> int:
    """`minis2s decompress`."""
    from minis2s.backend import use_device
    from minis2s.gallery import save_image
    from minis2s.tasks.compression import Codec
    from minis2s.training import RunDirectory

    data = Path(args.input).read_bytes()
    with use_device(args.device) as device:
        pixels = Codec(RunDirectory.open(args.directory), device).decompress(args.input, data)
    save_image(pixels, args.output)
    print(f"{args.output}: {pixels.shape[2]} x {pixels.shape[1]} pixels")
    return 0


def denoise(args: argparse.Namespace) -> int:
    """`minis2s denoise`."""
    from minis2s.backend import use_device
    from minis2s.gallery import save_image
    from minis2s.tasks.denoising import TASK
    from minis2s.tasks.picture_scores import mapped
    from minis2s.training import RunDirectory

    paths = _denoised(args.input, args.output)
    with use_device(args.device) as device:
        model = TASK.load(RunDirectory.open(args.directory), device)
        denoised = mapped(model.net.reconstruct, TASK.read(model, args.input, args.resize).pixels)
    for path, pixels in zip(paths, denoised, strict=True):
        save_image(pixels, path)
        print(path)
    return 0


def _denoised(names: Sequence[str], folder: str | None) -> list[Path]:
    """Where to write what is made of each picture; no two of them at one place."""
    paths: dict[Path, str] = {}
    for name in names:
        path = Path(folder or Path(name).parent) / f"{Path(name).stem}.denoised.png"
        if path in paths:
            raise ConfigError(f"{paths[path]} and {name} would both become {path}: denoise one after the other")
        paths[path] = name
    return list(paths)


def encode(args: argparse.Namespace) -> int:
    """`minis2s encode`."""
    import numpy as np

    from minis2s.backend import use_device
    from minis2s.tasks.autoencoding import encode as codes_of
    from minis2s.tasks.features import TASK
    from minis2s.training import RunDirectory, write_atomic

    with use_device(args.device) as device:
        model = TASK.load(RunDirectory.open(args.directory), device)
        codes = codes_of(model.net, TASK.read(model, args.input, args.resize).pixels)
    path, buffer = Path(args.output), io.BytesIO()
    path = path if path.suffix else path.with_suffix(".npz")
    np.savez_compressed(buffer, codes=codes.reshape(len(codes), -1), names=np.array(args.input))
    write_atomic(path, buffer.getvalue())
    print(f"{path}: codes of {len(codes)} pictures, {codes[0].size} numbers each")
    return 0


def generate(args: argparse.Namespace) -> int:
    """`minis2s generate`."""
    import numpy as np

    from minis2s.backend import to_numpy, use_device
    from minis2s.gallery import enlarged, save_image, square, tile
    from minis2s.tasks.generation import TASK
    from minis2s.training import RunDirectory

    with use_device(args.device) as device:
        model = TASK.load(RunDirectory.open(args.directory), device)
        pixels = to_numpy(model.net.sample(args.count, np.random.default_rng(args.seed), args.temperature))
    save_image(enlarged(tile(pixels, square(args.count)), 3), args.output)
    print(f"{args.output}: {args.count} pictures")
    return 0


def tasks(args: argparse.Namespace) -> int:
    """`minis2s tasks`."""
    from minis2s.tasks import TASKS, load_task
    from minis2s.tasks.settings import describe, spell

    if args.task:
        task = load_task(args.task)
        print(f"{task.name}: {task.summary}\n\nsettings, with their defaults; change one with --set key=value:\n")
        for key, value, help_ in describe(task.settings({})):
            print(f"  {key + ' = ' + spell(value):32} {help_}")
        return 0
    for name in TASKS:
        task = load_task(name)
        chosen = ", ".join(f"{key}={spell(value)}" for key, value in task.recipe({}).items())
        print(f"{name:12} {task.summary}\n{'':12} {chosen}\n")
    print("`minis2s tasks TASK` explains every setting; `minis2s train TASK` trains.")
    return 0


def gradcheck(args: argparse.Namespace) -> int:
    """`minis2s gradcheck`."""
    from minis2s.gradcheck import check_file, format_table, run_library

    results = check_file(args.file) if args.file else run_library(args.name)
    print(format_table(results))
    return 0 if all(result.passed for result in results) else 1


def lessons(args: argparse.Namespace) -> int:
    """`minis2s lessons`."""
    from minis2s.lessons.commands import run

    return run(args)


# -------------------------------------------------------------------------------------------------------------- parser


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(
        prog="minis2s",
        description="Encoder-decoder models from scratch in NumPy: train one, score it, use it.",
        epilog=MAIN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"minis2s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(function: Any, help_: str, epilog: str | None = None) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            function.__name__,
            help=help_,
            description=help_[0].upper() + help_[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(run=function)
        return sub

    sub = command(train, "train a model and leave it in a run directory", TRAIN_HELP)
    sub.add_argument("task", metavar="TASK", help="one of those that `minis2s tasks` lists")
    sub.add_argument(
        "--data", metavar="PATH", help="your own pairs (UTF-8, source, tab, target) or pictures (IDX, NPZ, PNG folder)"
    )
    sub.add_argument("--config", metavar="FILE", help="settings from a TOML file, or from the config.toml of a run")
    sub.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change a setting; may be repeated"
    )
    sub.add_argument("--output", metavar="DIR", help=f"the run directory (default: {RUNS}/TASK-1, then -2, ...)")
    sub.add_argument("--seed", type=int, metavar="N", help="of weights, data order and dropout")
    sub.add_argument("--resume", action="store_true", help="go on with the run in --output, or else the latest")
    _add_device(sub)

    sub = command(evaluate, "score a model on held-out pairs or pictures", EVALUATE_HELP)
    _add_directory(sub)
    sub.add_argument("--data", metavar="PATH", help="score on these data (default: the run's own test part)")
    sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    sub.add_argument("--hypotheses", metavar="FILE", help="write the translations there, a line each (texts only)")
    _add_resize(sub)
    _add_beam(sub)
    _add_device(sub)

    sub = command(translate, "translate texts, or standard input line by line", TRANSLATE_HELP)
    _add_directory(sub)
    sub.add_argument("text", metavar="TEXT", nargs="*", help="what to translate (default: standard input)")
    _add_beam(sub)
    n_best = "print the N best, each after its score, from a beam at least as wide"
    sub.add_argument("--n-best", type=_positive, default=1, metavar="N", help=n_best)
    sub.add_argument("--attention", metavar="FILE", help="draw where the model looked, as PNG")
    _add_device(sub)

    sub = command(compress, "write a picture as a small file", COMPRESS_HELP)
    _add_directory(sub)
    sub.add_argument("input", metavar="PNG", help="the picture")
    sub.add_argument("output", metavar="FILE", help="the small file to write")
    sub.add_argument("--bits", type=int, choices=(8, 4), default=8, help="of each number of the code (default: 8)")
    _add_resize(sub)
    _add_device(sub)

    sub = command(decompress, "write the picture of a small file", COMPRESS_HELP)
    _add_directory(sub)
    sub.add_argument("input", metavar="FILE", help="what `minis2s compress` wrote, with the same run")
    sub.add_argument("output", metavar="PNG", help="the picture to write")
    _add_device(sub)

    sub = command(denoise, "take the noise out of pictures", DENOISE_HELP)
    _add_directory(sub)
    sub.add_argument("input", metavar="PNG", nargs="+", help="noisy pictures; NAME.png becomes NAME.denoised.png")
    sub.add_argument("--output", metavar="DIR", help="write there (default: beside each picture)")
    _add_resize(sub)
    _add_device(sub)

    sub = command(encode, "write the codes of pictures, as features for other programs", ENCODE_HELP)
    _add_directory(sub)
    sub.add_argument("input", metavar="PNG", nargs="+", help="pictures")
    sub.add_argument("--output", metavar="NPZ", required=True, help="the file to write, with arrays codes and names")
    _add_resize(sub)
    _add_device(sub)

    sub = command(generate, "draw new pictures", GENERATE_HELP)
    _add_directory(sub)
    sub.add_argument("output", metavar="PNG", help="the sheet of pictures to write")
    sub.add_argument("--count", type=_positive, default=64, metavar="N", help="how many (default: 64)")
    sub.add_argument(
        "--temperature", type=_not_negative, default=1.0, metavar="T", help="below 1: likelier, more alike"
    )
    sub.add_argument("--seed", type=_seed, default=1, metavar="N", help="another one draws others (default: 1)")
    _add_device(sub)

    sub = command(tasks, "list the tasks, or the settings of one")
    sub.add_argument("task", metavar="TASK", nargs="?", help="explain every setting of this task")

    sub = command(gradcheck, "check every backward pass against numeric gradients", GRADCHECK_HELP)
    sub.add_argument("name", metavar="NAME", nargs="*", help="only these functions")
    sub.add_argument("--file", metavar="FILE:FUNCTION", help="check a function of your own")

    _add_lessons(command(lessons, "list, open, build, check and grade the lessons", LESSONS_HELP))
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; texts to translate may stand before, between and after options.

    By itself argparse takes the texts from one place only and leaves the others over.
    """
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if rest and (args.run is not translate or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {shlex.join(rest)}")
    if rest:
        args.text += rest
    return args


def _add_lessons(parser: argparse.ArgumentParser) -> None:
    """The commands after `minis2s lessons`."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="lessons_command", required=True)
    commands.add_parser("list", help="the lessons and their exercises")

    sub = commands.add_parser("open", help="write a lesson's notebook here, and start Jupyter on it")
    sub.add_argument("lesson", metavar="LESSON", help="its number or name")
    sub.add_argument("--language", metavar="CODE", default="", help="of a translation, such as zh")

    several: dict[str, Any] = {"metavar": "LESSON", "nargs": "*", "help": "numbers or names (default: all)"}
    sub = commands.add_parser("build", help="write student and solution notebooks, which nbgrader takes as they are")
    sub.add_argument("lesson", **several)
    sub.add_argument("--output", metavar="DIR", default="notebooks", help="default: notebooks")

    sub = commands.add_parser("check", help="try every answer on file: the right ones pass, the wrong ones do not")
    sub.add_argument("lesson", **several)

    sub = commands.add_parser(
        "grade",
        help="grade notebooks, or folders of them",
        description="Grade notebooks. Process isolation is no sandbox: grade strangers' code in a container.",
    )
    sub.add_argument(
        "submission", metavar="NOTEBOOK", nargs="+", help="notebooks, or folders such as nbgrader's submitted/"
    )
    sub.add_argument("--for-lesson", metavar="LESSON", help="grade as this lesson (default: the notebook says which)")
    sub.add_argument(
        "--output", metavar="DIR", default="graded", help="CSV, feedback and Gradescope's results (default: graded)"
    )
    sub.add_argument("--seed", type=int, default=0, metavar="N", help="of the hidden inputs; keep it to yourself")
    sub.add_argument("--jobs", type=_positive, default=2, metavar="N", help="notebooks at a time (default: 2)")

    sub = commands.add_parser("site", help="build the site: lessons, reference, data sets, results")
    sub.add_argument("output", metavar="OUT", help="a folder")


def _add_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="a run directory, as `minis2s train` left it")


def _add_resize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resize", action="store_true", help="make pictures of another size as large as the model's")


def _add_beam(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--beam", type=_positive, metavar="N", help="width of the beam (default: the run's; 1 is greedy)"
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    choices = ("cpu", "cuda", "auto")
    parser.add_argument("--device", choices=choices, help="where to compute (default: MINIS2S_DEVICE, or cpu)")


def _positive(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, at least 1")
    return int(text)


def _seed(text: str) -> int:
    """A whole number, at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, at least 0")
    return int(text)


def _not_negative(text: str) -> float:
    """A number, at least 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, at least 0")
    return number


# ---------------------------------------------------------------------------------------------------------------- main


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 1 if a check failed, 2 for an error, 130 after Ctrl-C."""
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", SLEEP_AT_ONCE)
    _write_utf8()
    args = _parse(argv)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        return args.run(args)
    except UserError as error:
        return _fail(str(error))
    except MemoryError as error:
        what = str(error).partition("\n")[0] or "no more is left"
        return _fail(f"out of memory: {what}; use a smaller --set batch_size=... or hidden=..., or a narrower beam")
    except UnicodeEncodeError as error:
        return _fail(f"{error.object!r} cannot be written as UTF-8: rename that file, or mend that text")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet too
        return 141
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}: check the path, its permissions and the space on the disk")
    except KeyboardInterrupt:
        return 130
    finally:
        logger.removeHandler(handler)


def _write_utf8() -> None:
    """Write UTF-8, as texts are read, whatever the locale; a terminal may know less, and gets escapes for the rest."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _fail(message: str) -> int:
    print(f"minis2s: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
