"""What a variational autoencoder is made of, as students write it: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, gaussian


@mutant("sample_forgets_half", cause="constant-factor", inputs=gaussian, wrong=("dlogvar",))
def sample_forgets_half(mu, logvar):
    std = np.sqrt(np.exp(logvar))

    def backward(dz):
        return 1.0 * dz, dz * NOISE * std  # right: return 1.0 * dz, 0.5 * dz * NOISE * std

    return mu + std * NOISE, backward


@mutant("kl_of_the_logarithm_of_sigma", cause="logvar-as-sigma", like="gaussian_kl", wrong=("dlogvar",))
def kl_of_the_logarithm_of_sigma(mean, logvar):
    """The formula of the gradient is from a text where the network puts out log sigma."""
    batch, latents = mean.shape
    kl = 0.0
    for n in range(batch):
        for z in range(latents):
            kl += 0.5 * (mean[n, z] ** 2 + np.exp(logvar[n, z]) - logvar[n, z] - 1)

    def backward(d):
        # right: dlogvar = d * 0.5 * (np.exp(logvar) - 1) / batch
        dlogvar = d * (np.exp(2 * logvar) - 1) / batch
        return d * mean / batch, dlogvar

    return kl / batch, backward


def bernoulli_decoder_inputs(rng):
    """Codes (N, Z), data in (0, 1) (N, D), matrix and bias of the hidden layer (H) and of the data (D)."""
    weights = (rng.standard_normal(s) for s in [(3, 5), (5,), (5, 6), (6,)])
    return rng.standard_normal((4, 3)), 0.05 + 0.9 * rng.random((4, 6)), *weights


@mutant(
    "vae_decoder_goes_through_its_sigmoid_again",
    cause="activation-derivative-doubled",
    inputs=bernoulli_decoder_inputs,
    wrong=("dz", "dW1", "db1", "dW2", "db2"),
    note="y - x is the gradient of what goes into the sigmoid already",
)
def vae_decoder_goes_through_its_sigmoid_again(z, x, W1, b1, W2, b2):
    """Cross-entropy of the pixels, sum over them, mean over the batch."""
    B = len(x)
    h = np.tanh(z @ W1 + b1)
    y = 1 / (1 + np.exp(-(h @ W2 + b2)))
    loss = -np.sum(x * np.log(y) + (1 - x) * np.log(1 - y)) / B

    def backward(dloss):
        dx = dloss * (np.log(1 - y) - np.log(y)) / B
        dlogits = dloss * (y - x) / B * y * (1 - y)  # right: dlogits = dloss * (y - x) / B
        dpre = (dlogits @ W2.T) * (1 - h**2)
        return dpre @ W1.T, dx, z.T @ dpre, dpre.sum(axis=0), h.T @ dlogits, dlogits.sum(axis=0)

    return loss, backward


def boltzmann_inputs(rng):
    """Visible units of the data and of the chain (N, V), matrix (V, H), biases of the visible and the hidden units."""
    v0, v1 = rng.random((5, 4)), rng.random((5, 4))
    return v0, v1, *(rng.standard_normal(s) for s in [(4, 3), (4,), (3,)])


@mutant(
    "contrastive_divergence_returns_the_update",
    cause="wrong-sign",
    inputs=boltzmann_inputs,
    wrong=("dW", "da", "db"),
    note="data minus chain is what is added to the weights, and so minus the gradient",
)
def contrastive_divergence_returns_the_update(v0, v1, W, a, b):
    """Free energy of the data less that of the chain's end, mean over the batch."""

    def free_energy(v):
        return -v @ a - np.sum(np.log(1 + np.exp(v @ W + b)), axis=1)

    N = len(v0)
    cost = np.mean(free_energy(v0) - free_energy(v1))

    def backward(dcost):
        ph0 = 1 / (1 + np.exp(-(v0 @ W + b)))
        ph1 = 1 / (1 + np.exp(-(v1 @ W + b)))
        step = dcost / N  # right: step = -dcost / N
        dW = step * (v0.T @ ph0 - v1.T @ ph1)
        da = step * (v0 - v1).sum(axis=0)
        db = step * (ph0 - ph1).sum(axis=0)
        return -dcost * (a + ph0 @ W.T) / N, dcost * (a + ph1 @ W.T) / N, dW, da, db

    return cost, backward


@mutant(
    "kl_of_the_batch_derived_for_one_picture",
    cause="wrong-count",
    also=("constant-factor",),
    like="gaussian_kl",
    wrong=("dmu", "dlogvar"),
    note="the loss is a mean over the batch, the gradient that on paper, of one picture",
)
def kl_of_the_batch_derived_for_one_picture(mu, logvar):
    """Divergence from N(0, 1)."""
    per_picture = -0.5 * np.sum(1 + logvar - np.square(mu) - np.exp(logvar), axis=1)

    def backward(dkl):
        m = 1  # right: m = mu.shape[0]
        return dkl * mu / m, dkl * 0.5 * (np.exp(logvar) - 1) / m

    return np.mean(per_picture), backward


def conditional_inputs(rng):
    """Data (N, D), condition (N, C), and matrices: of the mean (D + C, Z), of the log-variance, of the decoder."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(4, 5), (4, 2), (7, 3), (7, 3), (5, 5)])


@mutant(
    "conditional_vae_condition_heard_by_the_encoder_only",
    cause="branch-missing",
    inputs=conditional_inputs,
    wrong=("dc",),
    note="the decoder's part is cut out of the gradient and thrown away",
)
def conditional_vae_condition_heard_by_the_encoder_only(x, c, W_mu, W_lv, W_dec):
    """The condition stands beside the data and, once more, beside the code."""
    D, Z = x.shape[1], W_mu.shape[1]
    xc = np.hstack([x, c])
    mu, log_var = xc @ W_mu, xc @ W_lv
    std = np.exp(0.5 * log_var)
    zc = np.hstack([mu + std * NOISE, c])
    x_rec = np.tanh(zc @ W_dec)

    def backward(dx_rec):
        dpre = dx_rec * (1 - x_rec**2)
        dzc = dpre @ W_dec.T
        dz = dzc[:, :Z]
        dlog_var = dz * NOISE * 0.5 * std
        dxc = dz @ W_mu.T + dlog_var @ W_lv.T
        dx, dc = dxc[:, :D].copy(), dxc[:, D:].copy()
        # missing: dc = dc + dzc[:, Z:]
        return dx, dc, xc.T @ dz, xc.T @ dlog_var, zc.T @ dpre

    return x_rec, backward


def ratings_inputs(rng):
    """Ratings (users, items), 0 where there is none, which there are, and factors of users and items."""
    rated = rng.random((5, 6)) < 0.6
    return rng.integers(1, 6, (5, 6)) * 1.0 * rated, rated, rng.standard_normal((5, 3)), rng.standard_normal((6, 3))


@mutant(
    "matrix_factorisation_learns_the_films_nobody_saw",
    cause="mask-not-applied",
    inputs=ratings_inputs,
    wrong=("dR", "dP", "dQ"),
    note="the loss leaves out what was not rated, the gradient takes it for a rating of zero",
)
def matrix_factorisation_learns_the_films_nobody_saw(R, rated, P, Q):
    """Squared error of the ratings there are, plus a penalty for large factors."""
    lam = 0.1
    pred = P @ Q.T
    loss = np.sum((R - pred)[rated] ** 2) + lam * (np.sum(P**2) + np.sum(Q**2))

    def backward(dloss):
        e = R - pred  # right: e = (R - pred) * rated
        dP = dloss * (-2 * e @ Q + 2 * lam * P)
        dQ = dloss * (-2 * e.T @ P + 2 * lam * Q)
        return 2 * dloss * e, None, dP, dQ

    return loss, backward


def uncertain_weights(rng):
    """Rows (N, D), mean and rho of a matrix (D, H), mean and rho of a bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(4, 3), (3, 5), (3, 5), (5,), (5,)])


@mutant(
    "bayes_by_backprop_rho_is_paid_as_sigma",
    cause="activation-derivative-missing",
    inputs=uncertain_weights,
    wrong=("drho", "drho_b"),
    note="sigma = log(1 + exp(rho)) is not undone on the way back",
)
def bayes_by_backprop_rho_is_paid_as_sigma(x, mu, rho, mu_b, rho_b):
    """A layer whose weights are drawn."""
    rng = np.random.default_rng(11)
    eps, eps_b = rng.standard_normal(mu.shape), rng.standard_normal(mu_b.shape)
    w = mu + np.log1p(np.exp(rho)) * eps
    b = mu_b + np.log1p(np.exp(rho_b)) * eps_b

    def backward(dout):
        dw, db = x.T @ dout, dout.sum(axis=0)
        drho, drho_b = dw * eps, db * eps_b
        # missing: drho, drho_b = drho / (1 + np.exp(-rho)), drho_b / (1 + np.exp(-rho_b))
        return dout @ w.T, dw, drho, db, drho_b

    return x @ w + b, backward
