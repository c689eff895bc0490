"""Training: the loop, the run directory, checkpoints, the log and the progress bar, the same for every model."""

from minis2s.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from minis2s.training.files import check_place, write_atomic, write_text
from minis2s.training.log import Log, to_json
from minis2s.training.run import RunDirectory
from minis2s.training.trainer import DivergenceError, Plan, State, Trainable, Trainer, load_weights

__all__ = [
    "Checkpoint",
    "DivergenceError",
    "Log",
    "Plan",
    "RunDirectory",
    "State",
    "Trainable",
    "Trainer",
    "check_place",
    "load_checkpoint",
    "load_weights",
    "save_checkpoint",
    "to_json",
    "write_atomic",
    "write_text",
]
