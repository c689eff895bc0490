"""Models: layers wired together, and their backward passes, upside down."""

from minis2s.models.scheduled_sampling import ScheduledSampling
from minis2s.models.seq2seq import Seq2Seq, Seq2SeqConfig

__all__ = ["ScheduledSampling", "Seq2Seq", "Seq2SeqConfig"]
