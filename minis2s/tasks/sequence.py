"""What all sequence-to-sequence tasks share: settings, preparing the data, training, and going on."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minis2s.backend import Array, to_device, to_numpy
from minis2s.data.batching import Batch, bucket_batches, collate, padding_waste
from minis2s.data.pairs import Pair
from minis2s.data.splitting import Key, Split, leaks
from minis2s.errors import ConfigError, DataError
from minis2s.models import ScheduledSampling, Seq2Seq, Seq2SeqConfig
from minis2s.models.scheduled_sampling import KINDS
from minis2s.models.seq2seq import CELLS, CONTEXTS
from minis2s.nn.attention import SCORES
from minis2s.tasks.corpus import Corpus, digest_of, make_corpus, make_side, own_pairs, read_pairs, write_pairs
from minis2s.tasks.report import format_scores, write_report
from minis2s.tasks.settings import setting, update
from minis2s.tasks.task import (
    BATCH_STREAM,
    MODEL_STREAM,
    Task,
    TrainingSettings,
    make_optimizer,
    make_plan,
    make_schedule,
    refuse_options,
    stored_settings,
)
from minis2s.tasks.translator import Translator, load_sides
from minis2s.training import RunDirectory, Trainer, check_place, load_checkpoint, write_text

logger = logging.getLogger("minis2s.tasks")

TOKENIZERS = ("word", "character", "bpe", "auto")
WITH_DATA = ("data_target", "swap")
"""Settings that say how the user's own pairs are read."""


@dataclass(frozen=True)
class SequenceSettings(TrainingSettings):
    """Every setting of a sequence-to-sequence task, with its default."""

    # data
    data: str | None = setting(None, "your own pairs instead: a file of tab-separated source and target, or none")
    data_target: str | None = setting(None, "with data: a second file with the targets, line by line, or none")
    swap: bool = setting(False, "with your own pairs: translate the second column into the first")
    bad_lines: str = setting("skip", "what to do with a line that is no pair", choices=("skip", "refuse"))
    limit: int | None = setting(None, "use only so many pairs, or none for all", low=10)
    validation: float = setting(0.05, "share of the pairs to choose the best epoch with", low=0.001, high=0.5)
    test: float = setting(0.05, "share of the pairs to score the model with at the end", low=0.001, high=0.5)
    source_tokenizer: str = setting("auto", "auto: characters for Chinese, else words", choices=TOKENIZERS)
    target_tokenizer: str = setting("auto", "auto: characters for Chinese, else words", choices=TOKENIZERS)
    vocabulary: int | None = setting(None, "most tokens to know on each side, or none for no limit", low=5)
    min_frequency: int = setting(1, "a token that occurs less often in training is unknown", low=1)
    max_length: int = setting(100, "longest sentence, in tokens, that the model takes", low=1)
    # model
    embedding: int = setting(128, "numbers in an embedding", low=1)
    hidden: int = setting(256, "units of the recurrent nets", low=1)
    layers: int = setting(1, "recurrent layers", low=1)
    cell: str = setting("gru", "kind of recurrent net", choices=tuple(CELLS))
    bidirectional: bool = setting(True, "let the encoder read in both directions")
    context: str = setting("attention", "what the decoder sees of the source", choices=CONTEXTS)
    score: str = setting("general", "attention score", choices=SCORES)
    hard_attention: bool = setting(False, "look at one drawn place instead of a mean")
    input_feeding: bool = setting(False, "feed the last attentional vector to the next step")
    peeky: bool = setting(False, "with context last or mean: show it to the decoder at every step")
    reverse_source: bool = setting(False, "read the source from its end")
    tied: bool = setting(False, "share the target's embedding with the output layer")
    dropout: float = setting(0.0, "share of activations dropped in training", low=0, high=0.95)
    label_smoothing: float = setting(0.0, "share of the target probability given to all tokens", low=0, high=0.9)
    # training with its own words
    sampling: str = setting("none", "scheduled sampling: how the share of true tokens falls", choices=KINDS)
    sampling_k: float = setting(1000.0, "pace of scheduled sampling, in steps", low=1)
    sampling_final: float = setting(0.0, "least share of true tokens", low=0, high=1)
    # use
    beam: int = setting(1, "width of the beam; 1 is greedy", low=1, high=1000)
    alpha: float = setting(0.6, "length penalty of the beam", low=0)
    validation_examples: int = setting(1000, "validate on at most so many pairs each epoch", low=1)


class SequenceTask(Task):
    """A task with pairs of texts: where they come from, and the recipe that works for them."""

    watch: ClassVar[str] = "exact"
    unit: ClassVar[str] = "token"
    settings_type: ClassVar[type[SequenceSettings]] = SequenceSettings
    without_data: ClassVar[tuple[str, ...]] = ()
    """Settings that say what the task's own data are like."""

    def generate(self, settings: Any) -> tuple[Split, Key]:
        """The task's own data, and what no two parts of it may share."""
        raise NotImplementedError

    def check(self, settings: Any) -> None:
        """Refuse settings of the model that contradict each other, and those of data that are not there."""
        if settings.data:
            idle, remedy = self.without_data, "with data of your own: leave out one of the two"
        else:
            idle, remedy = WITH_DATA, "without data of your own: add --data FILE, or leave it out"
        for key in idle:
            if getattr(settings, key) != getattr(self.settings_type(), key):
                raise ConfigError(f"setting {key} means nothing {remedy}")
        model_config(settings, 10, 10)

    def stored(self, run: RunDirectory, beam: int | None = None) -> Any:
        """The settings of a run, with another `beam` if one was chosen.

        Raises
        ------
        CheckpointError, ConfigError
            If those of the run are not of this version, or the beam is too wide.
        """
        settings = stored_settings(self, run, run.read_config()[1])
        return settings if beam is None else update(settings, {"beam": beam}, self.name)

    def start(self, settings: Any, run: Callable[[], RunDirectory], device: str) -> Trainer:
        """See :func:`start`."""
        return start(self, settings, run, device)

    def resume(self, settings: Any, run: RunDirectory, device: str) -> Trainer:
        """See :func:`resume`."""
        return resume(self, settings, run, device)

    def report(self, run: RunDirectory, trainer: Trainer, device: str) -> str:
        """Scores, samples and pictures on the test part, and what to do next."""
        translator, settings = Translator.load(run, device), trainer.config["settings"]
        pairs = read_pairs(str(run / "test.tsv"), "refuse")
        logger.info("scoring the best model on %d held-out pairs", len(pairs))
        evaluation = translator.evaluate(pairs, beam=settings["beam"], alpha=settings["alpha"])
        evaluation.scores = {"task": self.name, **evaluation.scores}
        longest = trainer.trainable.corpus.lengths[:, 0].max()  # type: ignore[attr-defined]
        text = write_report(run, self.name, pairs, evaluation, int(longest))
        command = f"minis2s translate {shlex.quote(str(run))} {_quote(pairs[0].source)}"
        return f"{text}\n\nmodel, scores and pictures are in {run}; try\n  {command}"

    def evaluate(self, run: RunDirectory, device: str, data: str | None, **options: Any) -> dict[str, Any]:
        """BLEU and the others; options: `beam`, and a file `hypotheses` for the answers."""
        refuse_options(self, options, "beam", "hypotheses")
        settings = self.stored(run, options.get("beam"))
        answers = Path(options["hypotheses"]) if options.get("hypotheses") else None
        if answers:
            check_place(answers)
        path = data or str(run / "test.tsv")
        pairs = read_pairs(path, settings.bad_lines, bool(data and settings.swap))
        translator = Translator.load(run, device)
        evaluation = translator.evaluate(fitting(pairs, translator, path), beam=settings.beam, alpha=settings.alpha)
        if answers:
            write_text(answers, "".join(f"{t.text}\n" for t in evaluation.translations))
        return {"task": self.name, "data": path, **evaluation.scores}

    def format(self, scores: Mapping[str, Any]) -> str:
        """A line for each score."""
        return format_scores(dict(scores))

    def split(self, settings: Any) -> Split:
        """Training, validation and test pairs: the user's own, or the task's.

        Raises
        ------
        DataError, ConfigError
            If there are too few pairs, or more are asked for than there can be.
        """
        try:
            split, key = own_pairs(settings) if settings.data else self.generate(settings)
        except ValueError as error:
            raise ConfigError(f"limit = {settings.limit} does not fit: {error}") from error
        for part in ("train", "validation", "test"):
            if not getattr(split, part):
                raise DataError(
                    f"no pair is left for {part} ({sum(map(len, split))} in all): bring more pairs, "
                    "or change --set validation=... and test=..."
                )
        leaked = leaks(split, key)
        verdict = (
            f"{len(leaked)} held-out sources occur, {leaked[0]!r} for one" if leaked else "no held-out source occurs"
        )
        logger.info("leak check: %s in training", verdict)
        return split


def fitting(pairs: list[Pair], translator: Translator, path: str) -> list[Pair]:
    """The pairs of the file `path` whose source the model can take; the others are left out, and reported.

    Raises
    ------
    DataError
        If nothing is left.
    """
    fit = [pair for pair in pairs if translator.takes(pair.source)]
    if not fit:
        translator.encode(pairs[0].source, f"no source in {path} fits: the first")
    if len(fit) < len(pairs):
        most = translator.model.config.max_length
        left_out = len(pairs) - len(fit)
        logger.info("%d sources in %s are empty or longer than max_length = %d tokens: left out", left_out, path, most)
    return fit


# ---------------------------------------------------------------------------------------------------------- the recipe


def model_config(settings: SequenceSettings, source_vocabulary: int, target_vocabulary: int) -> Seq2SeqConfig:
    """The shape of the model.

    Raises
    ------
    ConfigError
        If settings contradict each other.
    """
    names = {field.name for field in fields(Seq2SeqConfig)} & {field.name for field in fields(settings)}
    chosen = {name: getattr(settings, name) for name in names}
    try:
        config = Seq2SeqConfig(source_vocabulary, target_vocabulary, **chosen)
        if config.context == "attention" and config.score.endswith("dot") and config.memory_size != config.hidden:
            raise ValueError(f"score {config.score} needs bidirectional = false, or take score = general")
    except ValueError as error:
        raise ConfigError(f"these settings do not go together: {str(error).removeprefix('Seq2Seq: ')}") from error
    return config


# ------------------------------------------------------------------------------------------------------------ training


class EpochBatches(Sequence[Batch]):
    """The batches of one epoch; each is put together when it is asked for."""

    def __init__(self, corpus: Corpus, chosen: list[np.ndarray]):
        self.corpus, self.chosen = corpus, chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, k: Any) -> Any:
        indices = self.chosen[k]
        corpus = self.corpus
        return collate([corpus.sources[n] for n in indices], [corpus.targets[n] for n in indices], indices)


class SequenceTraining:
    """What :class:`minis2s.training.Trainer` drives."""

    def __init__(self, task: SequenceTask, settings: SequenceSettings, corpus: Corpus, translator: Translator):
        self.watch, self.higher_is_better, self.unit = task.watch, task.higher_is_better, task.unit
        self.settings, self.corpus, self.translator = settings, corpus, translator
        self.model, self.rng = translator.model, translator.model.rng
        self.sampling = ScheduledSampling(settings.sampling, settings.sampling_k, settings.sampling_final)

    def batches(self, epoch: int) -> EpochBatches:
        """Batches of similar length, shuffled anew each epoch."""
        rng = np.random.default_rng([self.settings.seed, BATCH_STREAM, epoch])
        return EpochBatches(self.corpus, bucket_batches(self.corpus.lengths, self.settings.batch_size, rng))

    def loss_and_backward(self, batch: Batch, step: int) -> tuple[Array, Array]:
        """One batch, with as much teacher forcing as the step asks for."""
        return self.model.loss_and_backward(batch, self.sampling(step))

    def validate(self) -> dict[str, float]:
        """Perplexity with teacher forcing, and three free-running numbers."""
        pairs = self.corpus.validation[: self.settings.validation_examples]
        evaluation = self.translator.evaluate(pairs)
        metrics = {name: evaluation.scores[name] for name in ("perplexity", "perplexity_free", "exact", "bleu")}
        different = len({t.text for t in evaluation.translations}) - 1, len({pair.target for pair in pairs}) - 1
        return metrics | {"spread": different[0] / different[1] if different[1] else 1.0}

    def extra_state(self) -> dict[str, np.ndarray]:
        """The running reward of hard attention."""
        baseline = self.model.baseline
        return {} if isinstance(baseline, float) else {"baseline": to_numpy(baseline)}

    def load_extra_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take it back."""
        if "baseline" in state:
            self.model.baseline = to_device(state["baseline"], self.model.device)


def start(task: SequenceTask, settings: SequenceSettings, run: Callable[[], RunDirectory], device: str) -> Trainer:
    """Prepare a new run. The run directory is made last, when data and settings have proved good."""
    split = task.split(settings)
    sides = (
        make_side("source", [pair.source for pair in split.train], settings),
        make_side("target", [pair.target for pair in split.train], settings),
    )
    corpus = make_corpus(split, sides, settings.max_length)
    config = model_config(settings, len(sides[0].vocabulary), len(sides[1].vocabulary))
    translator = _translator(settings, corpus, config, device)
    directory = run()
    directory.write_config(task.name, asdict(settings))
    write_pairs(directory / "test.tsv", corpus.test)
    files = translator.save_sides(directory)
    return _trainer(task, settings, corpus, translator, directory, files)


def resume(task: SequenceTask, settings: SequenceSettings, run: RunDirectory, device: str) -> Trainer:
    """Prepare to go on with a run. One that was stopped before its first checkpoint begins anew.

    Raises
    ------
    CheckpointError, DataError
        If the checkpoint is damaged or lost, or the data are no longer the same.
    """
    if not run.has_checkpoint():
        logger.info("%s has no checkpoint yet: beginning anew", run)
        return start(task, settings, lambda: run, device)
    stored = load_checkpoint(run.last).metadata["config"]
    split = task.split(settings)
    if digest_of(split) != stored["data"]:
        source = settings.data or f"the data of the task {task.name}"
        raise DataError(f"{source} is not what {run} was trained on: restore it, or start a new run without --resume")
    corpus = make_corpus(split, load_sides(run, stored["files"]), settings.max_length)
    translator = _translator(settings, corpus, Seq2SeqConfig(**stored["model"]), device)
    trainer = _trainer(task, settings, corpus, translator, run, stored["files"])
    trainer.resume()
    return trainer


def _translator(settings: SequenceSettings, corpus: Corpus, config: Seq2SeqConfig, device: str) -> Translator:
    model = Seq2Seq(config, np.random.default_rng([settings.seed, MODEL_STREAM])).to(device)
    longest = max(map(len, corpus.targets))
    return Translator(corpus.source, corpus.target, model, min(longest + longest // 4 + 5, settings.max_length))


def _trainer(
    task: SequenceTask,
    settings: SequenceSettings,
    corpus: Corpus,
    translator: Translator,
    run: RunDirectory,
    files: Mapping[str, str],
) -> Trainer:
    training = SequenceTraining(task, settings, corpus, translator)
    model, first = translator.model, training.batches(0)
    _tell(corpus, model, first)
    config = {
        "task": task.name,
        "settings": asdict(settings),
        "model": asdict(model.config),
        "longest": translator.longest,
        "data": corpus.digest,
        "files": dict(files),
    }
    schedule = make_schedule(settings, len(first))
    return Trainer(training, make_optimizer(settings, model), schedule, run, make_plan(settings, model), config)


def _tell(corpus: Corpus, model: Seq2Seq, batches: EpochBatches) -> None:
    """Say what will be trained on what."""
    logger.info(
        "%d pairs to train on, %d to validate, %d to test",
        len(corpus.sources),
        len(corpus.validation),
        len(corpus.test),
    )
    logger.info(
        "vocabularies of %d and %d tokens; %d parameters; %d batches an epoch, %.1f %% padding",
        len(corpus.source.vocabulary),
        len(corpus.target.vocabulary),
        model.buffer.data.size,
        len(batches),
        100 * padding_waste([corpus.lengths[chosen] for chosen in batches.chosen]),
    )


def _quote(text: str) -> str:
    """Quote a sentence for the shell, with double quotes if they will do: apostrophes stay readable."""
    return shlex.quote(text) if any(character in text for character in '"$`\\!') else f'"{text}"'
