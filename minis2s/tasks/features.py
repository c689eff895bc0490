"""Learn from pictures without labels what is worth knowing of them; ask what the code knows by simple means."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minis2s.data.images import Images, ImageSplit
from minis2s.data.noise import gaussian
from minis2s.errors import DataError
from minis2s.metrics import purity
from minis2s.models.classifier import Classifier
from minis2s.optim import AdamW, Cosine
from minis2s.plots import save_figure
from minis2s.tasks.autoencoding import AutoencodingSettings, AutoencodingTask, encode
from minis2s.tasks.picture_scores import fit_pca, mapped
from minis2s.tasks.pictures import Batches, Model, PictureSettings, quoted
from minis2s.tasks.settings import setting
from minis2s.training import RunDirectory

logger = logging.getLogger("minis2s.tasks")

RECIPE: dict[str, Any] = {
    "batch_size": 128,
    "epochs": 20,
    "lr": 4e-3,
    "schedule": "cosine",
    "warmup": 20,
    "clip": None,
}
LARGE: dict[str, Any] = {"epochs": 6, "fine_tuning": 12}
DENSE: dict[str, Any] = {"code": 200, "width": 500, "lr": 1e-3, "noise": 0.0}

FEW = 100
EMBEDDED = 2000
REACH = 2


@dataclass(frozen=True)
class FeaturesSettings(AutoencodingSettings):
    """Adds the noise of a denoising autoencoder, and the fine-tuning."""

    noise: float = setting(0.2, "sigma of noise on what is read: the code must see through it", low=0)
    fine_tuning: int = setting(30, "epochs of training a classifier on top, labels included; 0 for none", low=0)


class Features(AutoencodingTask):
    """See the module."""

    name: ClassVar[str] = "features"
    summary: ClassVar[str] = "what a code learnt without labels knows: probes, neighbours, clusters, fine-tuning"
    settings_type: ClassVar[type[PictureSettings]] = FeaturesSettings

    def recipe(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fewer epochs for more pictures; other sizes without convolution."""
        dense = DENSE if changes.get("net") in ("dense", "stacked") else {}
        return RECIPE | (LARGE if changes.get("data") else {}) | dense

    def loss_and_backward(self, net: Any, pixels: np.ndarray, settings: Any, step: int) -> tuple[Any, Any]:
        """A denoising autoencoder (Vincent et al. 2010)."""
        noisy = gaussian(pixels, settings.noise, net.rng) if settings.noise else pixels
        return net.loss_and_backward(noisy, pixels, step)

    def score(self, model: Model, split: ImageSplit, pictures: Path | None) -> dict[str, Any]:
        """What simple methods make of the code; of the pixels; and of as many principal components."""
        train, test = split.train, split.test
        codes = flat(encode(model.net, train.pixels)), flat(encode(model.net, test.pixels))
        pixels = flat(train.pixels), flat(test.pixels)
        pca = fit_pca(train.pixels, codes[0].shape[1])
        components = [pca.transform(x).astype(np.float32) for x in pixels]
        seed = model.settings.seed
        scores = probe(*codes, train.labels, test.labels, seed)
        baselines = {
            "raw pixels": probe(*pixels, train.labels, test.labels, seed),
            f"PCA-{pca.n_components_}": probe(components[0], components[1], train.labels, test.labels, seed),
        }
        if model.settings.fine_tuning:
            scores["fine_tuned"] = fine_tune(model, train, test)
            baselines["the same net from scratch"] = {"fine_tuned": fine_tune(model, train, test, scratch=True)}
        if pictures:
            draw_map(pictures / "features.png", codes[1], test.labels, seed)
        return {**scores, "numbers": codes[0].shape[1], "baselines": baselines}

    def use(self, run: RunDirectory) -> str:
        """See :class:`PictureTask`."""
        return f"minis2s encode {quoted(run)} *.png --output codes.npz"

    def require(self, split: ImageSplit) -> None:
        """Refuse pictures that nobody knows what they show, and classes that nothing can be learnt of."""
        super().require(split)
        if split.train.labels is None or split.test.labels is None:
            raise DataError(
                "features are judged by labels, and these pictures have none: put them into a folder for each class, "
                "or labels beside the IDX file"
            )
        classes = np.unique(split.train.labels)
        if classes[0] < 0:
            raise DataError(f"labels are whole numbers from 0 on, these begin at {classes[0]}: number the classes anew")
        if not 2 <= len(classes) <= len(split.test):
            raise DataError(
                f"features are judged by telling classes apart; found are {len(classes)} classes and {len(split.test)} "
                "pictures to test: bring at least 2, and a test picture for each"
            )


def flat(x: np.ndarray) -> np.ndarray:
    """A row for each picture."""
    return x.reshape(len(x), -1)


def probe(train: np.ndarray, test: np.ndarray, labels: Any, test_labels: Any, seed: int) -> dict[str, float]:
    """Share of right answers of a linear probe, one with 100 labels, and 5 nearest neighbours; purity of clusters."""
    from sklearn.cluster import KMeans
    from sklearn.neighbors import KNeighborsClassifier

    classes = np.unique(labels)
    few = np.concatenate([np.flatnonzero(labels == c)[: max(1, FEW // len(classes))] for c in classes])
    neighbours = KNeighborsClassifier(5, algorithm="brute").fit(train, labels)
    clusters = KMeans(len(classes), n_init=3, random_state=seed).fit_predict(test)
    return {
        "linear_probe": linear_probe(train, labels, test, test_labels),
        "linear_probe_100": linear_probe(train[few], labels[few], test, test_labels),
        "knn5": float(neighbours.score(test, test_labels)),
        "kmeans_purity": purity(clusters, test_labels),
    }


def linear_probe(train: np.ndarray, labels: Any, test: np.ndarray, test_labels: Any) -> float:
    """Accuracy of a logistic regression on features with variance 1."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are enough to compare
        model = LogisticRegression(max_iter=200)
        model.fit(scale.transform(train), labels)
    return float(model.score(scale.transform(test), test_labels))


def fine_tune(model: Model, train: Images, test: Images, scratch: bool = False) -> float:
    """Accuracy of a classifier whose encoder begins with what was learnt without labels, or `scratch`."""
    settings, task = model.settings, TASK
    rng = np.random.default_rng([settings.seed, 3])
    net = task.make(model.net.config, rng)
    if not scratch:
        net.load_state_dict(model.net.state_dict())
    labels = np.asarray(train.labels)
    classifier = Classifier(net, int(labels.max()) + 1, rng=rng).to(model.net.device)
    steps = -(-len(train) // settings.batch_size)
    optimizer = AdamW(classifier.buffer, lr=2e-3, weight_decay=0.01)
    schedule = Cosine(2e-3, settings.fine_tuning * steps, 20)
    for epoch in range(settings.fine_tuning):
        order = np.random.default_rng([settings.seed, 4, epoch]).permutation(len(train))
        batches = Batches(train.pixels, order, settings.batch_size)
        for k in range(len(batches)):
            classifier.zero_grad()
            rows = order[k * settings.batch_size : (k + 1) * settings.batch_size]
            classifier.loss_and_backward(shifted(batches[k], rng), labels[rows])
            optimizer.lr = schedule(epoch * steps + k)
            optimizer.step()
    classifier.eval()
    return float((mapped(classifier.predict, test.pixels) == test.labels).mean())


def shifted(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each picture moved by up to `REACH` pixels, nothing coming in: a digit is the same digit one pixel further."""
    N, _, H, W = pixels.shape
    padded = np.pad(pixels, ((0, 0), (0, 0), (REACH, REACH), (REACH, REACH)))
    moved = np.lib.stride_tricks.sliding_window_view(padded, (H, W), axis=(2, 3))  # (N, C, down, right, H, W), a view
    down, right = rng.integers(2 * REACH + 1, size=(2, N))
    return moved[np.arange(N), :, down, right]  # (N, C, H, W)


def draw_map(path: Path, codes: np.ndarray, labels: Any, seed: int) -> None:
    """The codes on a plane, by t-SNE (van der Maaten & Hinton 2008)."""
    from sklearn.manifold import TSNE

    from minis2s.gallery import scatter

    some = slice(None, None, max(len(codes) // EMBEDDED, 1))
    places = TSNE(2, init="pca", random_state=seed, perplexity=min(30, max(len(codes[some]) // 4, 2))).fit_transform(
        codes[some]
    )
    save_figure(
        scatter(places, labels[some], "codes of held-out digits, by t-SNE; the colours were not known to it"), path
    )


TASK = Features()
