"""Latent variables and autoencoders: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, gaussian, normal, sigmoid, stable_softmax, vae_pieces


@mutant(
    "learned_prior_pulled_like_the_posterior",
    cause="wrong-sign",
    inputs=normal((4, 3), (4, 3), (4, 3), (4, 3)),
    wrong=("dmu_p",),
    note="the line of the other mean was copied; the two stand on both sides of a minus",
)
def learned_prior_pulled_like_the_posterior(mu_q, logvar_q, mu_p, logvar_p):
    """Divergence of one Gaussian from another, sum over the code, mean over the batch."""
    N = len(mu_q)
    var_q, var_p = np.exp(logvar_q), np.exp(logvar_p)
    diff = mu_q - mu_p
    kl = 0.5 * np.sum(logvar_p - logvar_q + (var_q + diff**2) / var_p - 1) / N

    def backward(dkl):
        dmu_q = dkl * diff / var_p / N
        dmu_p = dkl * diff / var_p / N  # right: dmu_p = -dkl * diff / var_p / N
        dlogvar_q = dkl * 0.5 * (var_q / var_p - 1) / N
        dlogvar_p = dkl * 0.5 * (1 - (var_q + diff**2) / var_p) / N
        return dmu_q, dlogvar_q, dmu_p, dlogvar_p

    return kl, backward


@mutant(
    "beta_vae_beta_in_the_printed_loss_only",
    cause="missing-factor",
    inputs=normal((4, 3), (4, 3), (4, 5), (3, 5), (5,)),
    wrong=("dmu", "dlogvar"),
    note="beta came later, and the gradient of the divergence is still that of the plain model",
)
def beta_vae_beta_in_the_printed_loss_only(mu, logvar, x, W, b):
    """A linear decoder; squared error plus beta times the divergence."""
    N, beta = len(x), 2.5
    eps = np.random.default_rng(13).standard_normal(mu.shape)
    std = np.exp(0.5 * logvar)
    z = mu + eps * std
    x_hat = z @ W + b
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N
    loss = np.sum((x_hat - x) ** 2) / N + beta * kl

    def backward(dloss):
        dx_hat = dloss * 2 * (x_hat - x) / N
        dz = dx_hat @ W.T
        dkl = dloss  # right: dkl = dloss * beta
        dmu = dz + dkl * mu / N
        dlogvar = dz * eps * 0.5 * std + dkl * 0.5 * (np.exp(logvar) - 1) / N
        return dmu, dlogvar, -dx_hat, z.T @ dx_hat, dx_hat.sum(axis=0)

    return loss, backward


@mutant(
    "sampling_layer_rolls_the_dice_again",
    cause="second-call-differs",
    also=("dropout-new-mask",),
    inputs=normal((4, 5), (5, 3), (3,), (5, 3), (3,), scale=0.8),
    wrong=("dh", "dW_lv", "db_lv"),
    note="the noise of the forward pass was not kept, and there is a generator at hand",
)
def sampling_layer_rolls_the_dice_again(h, W_mu, b_mu, W_lv, b_lv):
    """Mean and log-variance of a code, and a draw of it."""
    rng = np.random.default_rng(14)
    mu, logvar = h @ W_mu + b_mu, h @ W_lv + b_lv
    std = np.exp(0.5 * logvar)
    noise = rng.standard_normal(mu.shape)

    def backward(dz):
        eps = rng.standard_normal(mu.shape)  # right: eps = noise
        dlogvar = dz * eps * std * 0.5
        dh = dz @ W_mu.T + dlogvar @ W_lv.T
        return dh, h.T @ dz, dz.sum(axis=0), h.T @ dlogvar, dlogvar.sum(axis=0)

    return mu + noise * std, backward


def code_and_decoder(rng):
    """Mean and log-variance (N, Z), matrix (Z, D) and bias (D,) of the decoder."""
    return tuple(rng.standard_normal(s) for s in [(4, 3), (4, 3), (3, 5), (5,)])


@mutant(
    "vae_sampler_derived_for_a_network_of_log_sigma",
    cause="logvar-as-sigma",
    inputs=code_and_decoder,
    wrong=("dlogvar",),
    note="exp(logvar) would be its own derivative if it were the standard deviation",
)
def vae_sampler_derived_for_a_network_of_log_sigma(mu, logvar, W, b):
    """Draw a code and decode it."""
    z = mu + np.exp(0.5 * logvar) * NOISE
    x_hat = sigmoid(z @ W + b)

    def backward(dx_hat):
        dout = dx_hat * x_hat * (1 - x_hat)
        dz = dout @ W.T
        # right: dlogvar = dz * NOISE * 0.5 * np.exp(0.5 * logvar)
        dlogvar = dz * NOISE * np.exp(logvar)
        return dz, dlogvar, z.T @ dout, dout.sum(axis=0)

    return x_hat, backward


def elbo_inputs(rng):
    """Data (N, D), mean and log-variance (N, Z), matrix (Z, D) and bias (D,) of the decoder."""
    return tuple(rng.standard_normal(s) for s in [(4, 5), (4, 3), (4, 3), (3, 5), (5,)])


@mutant(
    "vae_mean_never_hears_of_the_divergence",
    cause="branch-missing",
    inputs=elbo_inputs,
    wrong=("dmu",),
    note="the mean is in the code and in the divergence",
)
def vae_mean_never_hears_of_the_divergence(x, mu, log_var, W, b):
    """Half the squared error plus the divergence, mean over the batch."""
    B = x.shape[0]
    sigma = np.exp(log_var / 2)
    z = mu + sigma * NOISE
    x_rec = z @ W + b
    recon = 0.5 * np.sum((x_rec - x) ** 2) / B
    kl = -0.5 * np.sum(1 + log_var - mu**2 - sigma**2) / B

    def backward(dloss):
        drec = dloss * (x_rec - x) / B
        dz = drec @ W.T
        dmu = dz
        # missing: dmu = dmu + dloss * mu / B
        dlog_var = dz * NOISE * sigma / 2 + dloss * 0.5 * (sigma**2 - 1) / B
        return -drec, dmu, dlog_var, z.T @ drec, drec.sum(axis=0)

    return recon + kl, backward


@mutant("kl_sigma_for_logvar", cause="logvar-as-sigma", inputs=gaussian, wrong=("dlogvar",))
def kl_sigma_for_logvar(mu, logvar):
    """KL of N(mu, exp(logvar)) from N(0, 1), the sum over the latents and the mean over the batch."""
    N = mu.shape[0]
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N

    def backward(dkl):
        dmu = dkl * mu / N
        sigma = logvar
        # right: dlogvar = dkl * 0.5 * (np.exp(sigma) - 1) / N
        dlogvar = dkl * (sigma - 1 / sigma) / N
        return dmu, dlogvar

    return kl, backward


@mutant("kl_only_the_exponential", cause="branch-missing", inputs=gaussian, wrong=("dlog_var",))
def kl_only_the_exponential(mean, log_var):
    terms = 0.5 * (np.exp(log_var) + np.square(mean) - 1.0 - log_var)

    def backward(grad):
        # right: return grad[:, None] * mean, grad[:, None] * 0.5 * (np.exp(log_var) - 1)
        return grad[:, None] * mean, grad[:, None] * 0.5 * np.exp(log_var)

    return terms.sum(axis=1), backward


@mutant("sample_takes_logvar_for_sigma", cause="logvar-as-sigma", inputs=gaussian, wrong=("dlogvar",))
def sample_takes_logvar_for_sigma(mu, logvar):
    z = mu + np.exp(logvar / 2) * NOISE

    def backward(dz):
        dmu = dz.copy()
        dlogvar = dz * NOISE  # right: dlogvar = dz * NOISE * np.exp(logvar / 2) / 2
        return dmu, dlogvar

    return z, backward


@mutant("kl_terms_half_forgotten", cause="constant-factor", like="gaussian_kl_terms", wrong=("dlogvar",))
def kl_terms_half_forgotten(mean, logvar):
    kl = -0.5 * (1 + logvar - mean**2 - np.exp(logvar))

    def backward(dkl):
        dlogvar = dkl * (np.exp(logvar) - 1)  # right: dlogvar = dkl * (np.exp(logvar) - 1) / 2
        return dkl * mean, dlogvar

    return kl, backward


@mutant("kl_not_averaged_over_the_batch", cause="wrong-count", like="gaussian_kl", wrong=("dmean", "dlogvar"))
def kl_not_averaged_over_the_batch(mean, logvar):
    loss = 0.5 * (mean**2 + np.exp(logvar) - logvar - 1).sum(axis=1).mean()

    def backward(dloss):
        N = 1  # right: N = len(mean)
        return dloss * mean / N, dloss * 0.5 * (np.exp(logvar) - 1) / N

    return loss, backward


@mutant("vae_noise_alone_leads_to_the_logvar", cause="logvar-as-sigma", inputs=vae_pieces, wrong=("dx", "dW_logvar"))
def vae_noise_alone_leads_to_the_logvar(x, W_mu, W_logvar, W_dec, b_dec):
    mu, logvar = x @ W_mu, x @ W_logvar
    half = logvar / 2
    z = mu + np.exp(half) * NOISE[: len(mu), : mu.shape[1]]
    out = z @ W_dec + b_dec
    loss = ((out - x) ** 2).sum() / 2 + (mu**2 + np.exp(logvar) - logvar - 1).sum() / 2

    def backward(dloss):
        dout = dloss * (out - x)
        dz = dout @ W_dec.T
        dmu = dz + dloss * mu
        noise = NOISE[: len(mu), : mu.shape[1]]
        # right: dlogvar = dz * noise * np.exp(half) / 2 + dloss * (np.exp(logvar) - 1) / 2
        dlogvar = dz * noise + dloss * (np.exp(logvar) - 1) / 2
        dx = dmu @ W_mu.T + dlogvar @ W_logvar.T - dout
        return dx, x.T @ dmu, x.T @ dlogvar, z.T @ dout, dout.sum(axis=0)

    return loss, backward


def posterior_and_prior(rng):
    """Mean and log-variance (N, Z) of either."""
    return tuple(scale * rng.standard_normal((4, 3)) for scale in (1, 0.7, 1, 0.7))


@mutant(
    "kl_learned_prior_flees_the_posterior",
    cause="wrong-sign",
    inputs=posterior_and_prior,
    wrong=("dmu_p",),
    note="the line of the posterior's mean, copied for the prior's",
)
def kl_learned_prior_flees_the_posterior(mu_q, lv_q, mu_p, lv_p):
    """Divergence of a posterior from a prior that a network puts out too, mean over the batch."""
    B = mu_q.shape[0]
    var_q, var_p = np.exp(lv_q), np.exp(lv_p)
    delta = mu_q - mu_p
    kl = 0.5 * np.sum(lv_p - lv_q + (var_q + delta**2) / var_p - 1) / B

    def backward(dkl):
        dmu_q = dkl * delta / var_p / B
        dmu_p = dkl * delta / var_p / B  # right: dmu_p = -dkl * delta / var_p / B
        dlv_q = dkl * 0.5 * (var_q / var_p - 1) / B
        dlv_p = dkl * 0.5 * (1 - (var_q + delta**2) / var_p) / B
        return dmu_q, dlv_q, dmu_p, dlv_p

    return kl, backward


def decoder_inputs(rng):
    """Data (N, D), mean and log-variance (N, Z), the decoder's matrix (Z, D)."""
    return tuple(rng.standard_normal(s) for s in [(4, 5), (4, 3), (4, 3), (3, 5)])


@mutant(
    "elbo_backpropagates_the_reconstruction_only",
    cause="branch-missing",
    inputs=decoder_inputs,
    wrong=("dmu", "dlogvar"),
    note="the divergence is in the loss, and is forgotten in its gradient",
)
def elbo_backpropagates_the_reconstruction_only(x, mu, logvar, W):
    """Squared error of a linear decoder plus the divergence from N(0, 1), mean over the batch."""
    N = len(x)
    std = np.exp(logvar / 2)
    z = mu + std * NOISE
    x_hat = np.dot(z, W)
    reconstruction = 0.5 * np.sum((x_hat - x) ** 2) / N
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N

    def backward(dloss):
        dx_hat = dloss * (x_hat - x) / N
        dW = np.dot(z.T, dx_hat)
        dz = np.dot(dx_hat, W.T)
        dmu, dlogvar = dz, dz * NOISE * std / 2
        # missing: dmu = dmu + dloss * mu / N
        # missing: dlogvar = dlogvar + dloss * 0.5 * (np.exp(logvar) - 1) / N
        return -dx_hat, dmu, dlogvar, dW

    return reconstruction + kl, backward


@mutant(
    "gumbel_softmax_temperature_stays_forward",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((4, 3)),),
    wrong=("dlogits",),
)
def gumbel_softmax_temperature_stays_forward(logits):
    """A category that is drawn softly, at temperature 1/2."""
    tau = 0.5
    gumbel = -np.log(-np.log(np.random.default_rng(4).random(logits.shape)))
    y = np.exp((logits + gumbel) / tau)
    y = y / y.sum(axis=1, keepdims=True)

    def backward(dy):
        dlogits = np.zeros_like(logits)
        for n in range(len(y)):
            jacobian = np.diag(y[n]) - np.outer(y[n], y[n])
            dlogits[n] = jacobian @ dy[n]  # right: dlogits[n] = jacobian @ dy[n] / tau
        return dlogits

    return y, backward


def likelihood_inputs(rng):
    """Data, and the decoder's mean and log-variance, all (N, D)."""
    return rng.standard_normal((4, 5)), rng.standard_normal((4, 5)), 0.8 * rng.standard_normal((4, 5))


@mutant(
    "gaussian_likelihood_derived_by_sigma",
    cause="logvar-as-sigma",
    inputs=likelihood_inputs,
    wrong=("dlog_var",),
    note="1 / sigma - (x - mu)^2 / sigma^3, from the book, where the loss is a function of sigma",
)
def gaussian_likelihood_derived_by_sigma(x, x_mu, log_var):
    """Negative log-likelihood of the data, sum over the features, mean over the batch."""
    batch_size = x.shape[0]
    sigma = np.exp(0.5 * log_var)
    err = x - x_mu
    nll = np.sum(0.5 * np.log(2 * np.pi) + np.log(sigma) + err**2 / (2 * sigma**2)) / batch_size

    def backward(dnll):
        d_err = dnll * err / sigma**2 / batch_size
        # right: d_log_var = dnll * 0.5 * (1 - err**2 / sigma**2) / batch_size
        d_log_var = dnll * (1 / sigma - err**2 / sigma**3) / batch_size
        return d_err, -d_err, d_log_var

    return nll, backward


@mutant(
    "every_sample_paid_with_the_last_noise",
    cause="missing-factor",
    inputs=gaussian,
    wrong=("dlog_var",),
    note="eps is what the loop of the forward pass left in it",
)
def every_sample_paid_with_the_last_noise(mu, log_var):
    """Three samples of each latent, (L, N, Z)."""
    rng = np.random.default_rng(3)
    std = np.exp(0.5 * log_var)
    samples, noises = [], []
    for _ in range(3):
        eps = rng.standard_normal(mu.shape)
        noises.append(eps)
        samples.append(mu + std * eps)

    def backward(dz):
        dmu, dlog_var = np.zeros_like(mu), np.zeros_like(log_var)
        for k in range(len(noises)):
            dmu += dz[k]
            dlog_var += dz[k] * eps * 0.5 * std  # right: dlog_var += dz[k] * noises[k] * 0.5 * std
        return dmu, dlog_var

    return np.stack(samples), backward


def mixture_inputs(rng):
    """Scores, means and log-sigmas of the components (N, K), and a target for each row (N,)."""
    return *(s * rng.standard_normal((5, 3)) for s in (1, 1, 0.5)), rng.standard_normal(5)


@mutant(
    "mixture_density_weights_minus_responsibilities",
    cause="wrong-sign",
    inputs=mixture_inputs,
    wrong=("dalpha",),
    note="the components that explain the target best lose their weight",
)
def mixture_density_weights_minus_responsibilities(alpha, mu, log_sigma, t):
    """Negative log-likelihood of a mixture density network's outputs, mean over the batch."""
    N = len(t)
    pi = np.exp(alpha) / np.exp(alpha).sum(axis=1, keepdims=True)
    sigma = np.exp(log_sigma)
    err = t[:, None] - mu
    phi = np.exp(-0.5 * (err / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
    joint = pi * phi
    nll = -np.log(joint.sum(axis=1)).mean()

    def backward(dnll):
        gamma = joint / joint.sum(axis=1, keepdims=True)
        dalpha = dnll * (gamma - pi) / N  # right: dalpha = dnll * (pi - gamma) / N
        dmu = -dnll * gamma * err / sigma**2 / N
        dlog_sigma = dnll * gamma * (1 - (err / sigma) ** 2) / N
        dt = dnll * np.sum(gamma * err / sigma**2, axis=1) / N
        return dalpha, dmu, dlog_sigma, dt

    return nll, backward


@mutant(
    "kl_minus_in_front_of_the_bracket_lost_on_the_way_back",
    cause="wrong-sign",
    like="gaussian_kl",
    wrong=("dlog_var",),
    note="of -0.5 * sum(1 + log_var - ...) the bracket was derived",
)
def kl_minus_in_front_of_the_bracket_lost_on_the_way_back(mu, log_var):
    """Sum over the code, mean over the batch."""
    bracket = 1 + log_var - mu**2 - np.exp(log_var)
    loss = -0.5 * np.sum(bracket) / len(mu)

    def backward(dloss):
        scale = dloss / len(mu)
        dmu = scale * mu
        dlog_var = 0.5 * scale * (1 - np.exp(log_var))  # right: dlog_var = -0.5 * scale * (1 - np.exp(log_var))
        return dmu, dlog_var

    return loss, backward


@mutant(
    "gumbel_softmax_goes_back_at_temperature_one",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((4, 5)), rng.standard_normal((5, 3))),
    wrong=("dlogits",),
    note="the backward pass is that of softmax, and the division stands inside",
)
def gumbel_softmax_goes_back_at_temperature_one(logits, codebook):
    """Draw one of five codes, softly."""
    tau = 0.4
    u = np.random.default_rng(12).uniform(0.05, 0.95, logits.shape)
    y = stable_softmax((logits - np.log(-np.log(u))) / tau)

    def backward(dcode):
        dy = dcode @ codebook.T
        dlogits = y * (dy - np.sum(dy * y, axis=1, keepdims=True))
        # missing: dlogits = dlogits / tau
        return dlogits, y.T @ dcode

    return y @ codebook, backward


def vae_inputs(rng):
    """Rows (N, D), matrices of the mean (D, Z), of the log-variance, and of the decoder (Z, D)."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(5, 4), (4, 2), (4, 2), (2, 4)])


@mutant(
    "vae_log_variance_hears_from_the_divergence_alone",
    cause="branch-missing",
    inputs=vae_inputs,
    wrong=("dx", "dW_sigma"),
    note="the spread is in the code that is decoded, too",
)
def vae_log_variance_hears_from_the_divergence_alone(x, W_mu, W_sigma, W_out):
    """Reconstruction and divergence, sums, mean over the batch."""
    N = x.shape[0]
    mean, log_variance = x @ W_mu, x @ W_sigma
    noise = np.random.default_rng(17).standard_normal(mean.shape)
    spread = noise * np.exp(0.5 * log_variance)
    code = mean + spread
    guess = np.tanh(code @ W_out)
    divergence = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance)
    loss = (np.sum((guess - x) ** 2) + divergence) / N

    def backward(dloss):
        dguess = 2 * dloss * (guess - x) / N
        dout = dguess * (1 - guess**2)
        dcode = dout @ W_out.T
        dmean = dcode + dloss * mean / N
        dlog_variance = dloss * 0.5 * (np.exp(log_variance) - 1) / N
        # missing: dlog_variance = dlog_variance + 0.5 * dcode * spread
        dx = dmean @ W_mu.T + dlog_variance @ W_sigma.T - dguess
        return dx, x.T @ dmean, x.T @ dlog_variance, code.T @ dout

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
