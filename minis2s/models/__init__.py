"""Models: layers wired together, and their backward passes, upside down."""

from minis2s.models.autoencoder import Autoencoder, AutoencoderConfig, StackedAutoencoder, make_autoencoder
from minis2s.models.classifier import Classifier
from minis2s.models.denoiser import Denoiser, DenoiserConfig
from minis2s.models.scheduled_sampling import ScheduledSampling
from minis2s.models.seq2seq import Seq2Seq, Seq2SeqConfig
from minis2s.models.vae import VAE, VAEConfig

__all__ = [
    "VAE",
    "Autoencoder",
    "AutoencoderConfig",
    "Classifier",
    "Denoiser",
    "DenoiserConfig",
    "ScheduledSampling",
    "Seq2Seq",
    "Seq2SeqConfig",
    "StackedAutoencoder",
    "VAEConfig",
    "make_autoencoder",
]
