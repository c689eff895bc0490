"""What a variational autoencoder is made of, as students write it: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, gaussian


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


def vae_pieces(rng):
    D, Z = 5, 2
    x = rng.random((4, D))
    return x, *(0.6 * rng.standard_normal(s) for s in [(D, Z), (D, Z), (Z, D), (D,)])


@mutant(
    "vae_kl_does_not_reach_the_encoder", cause="branch-missing", inputs=vae_pieces, wrong=("dx", "dW_mu", "dW_logvar")
)
def vae_kl_does_not_reach_the_encoder(x, W_mu, W_logvar, W_dec, b_dec):
    """Linear encoder and decoder; mu and logvar reach the loss by the sample and by the KL term."""
    eps = NOISE[: len(x), : W_mu.shape[1]]
    mu, logvar = x @ W_mu, x @ W_logvar
    std = np.exp(0.5 * logvar)
    z = mu + std * eps
    out = z @ W_dec + b_dec
    err = out - x
    loss = 0.5 * (err**2).sum() + 0.5 * (np.exp(logvar) + mu**2 - 1 - logvar).sum()

    def backward(dloss):
        dout = dloss * err
        dz = dout @ W_dec.T
        dmu = dz  # right: dmu = dz + dloss * mu
        dlogvar = dz * eps * 0.5 * std  # right: dlogvar = dz * eps * 0.5 * std + dloss * 0.5 * (np.exp(logvar) - 1)
        dx = dmu @ W_mu.T + dlogvar @ W_logvar.T - dout
        return dx, x.T @ dmu, x.T @ dlogvar, z.T @ dout, dout.sum(axis=0)

    return loss, backward


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


def encoder_heads_inputs(rng):
    """Hidden features (N, D), and for the mean and the log-variance a matrix (D, Z) and a bias (Z,)."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(4, 5), (5, 3), (3,), (5, 3), (3,)])


@mutant(
    "encoder_sigma_left_out_of_the_chain",
    cause="missing-factor",
    inputs=encoder_heads_inputs,
    wrong=("dh", "dW_var", "db_var"),
    note="exp(v / 2) was derived as if the exponential went away: the half stays, sigma does not",
)
def encoder_sigma_left_out_of_the_chain(h, W_mu, b_mu, W_var, b_var):
    mu = h @ W_mu + b_mu
    log_var = h @ W_var + b_var
    sigma = np.exp(0.5 * log_var)
    z = mu + sigma * NOISE

    def backward(dz):
        dmu = dz
        dsigma = dz * NOISE
        dlog_var = dsigma * 0.5  # right: dlog_var = dsigma * 0.5 * sigma
        dh = dmu @ W_mu.T + dlog_var @ W_var.T
        return dh, h.T @ dmu, dmu.sum(axis=0), h.T @ dlog_var, dlog_var.sum(axis=0)

    return z, backward


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


def whole_encoder_inputs(rng):
    """Data (N, D), a matrix and a bias of the hidden layer (H), and of mean and log-variance (Z)."""
    shapes = [(4, 6), (6, 5), (5,), (5, 3), (3,), (5, 3), (3,)]
    return tuple(0.6 * rng.standard_normal(s) for s in shapes)


@mutant(
    "encoder_slope_of_tanh_asked_at_its_output",
    cause="derivative-at-preactivation",
    inputs=whole_encoder_inputs,
    wrong=("dx", "dW1", "db1"),
    note="the helper takes what goes into tanh, and is given what comes out",
)
def encoder_slope_of_tanh_asked_at_its_output(x, W1, b1, W_mean, b_mean, W_lv, b_lv):
    """From the data to a sample, with one hidden layer."""

    def dtanh(a):
        return 1.0 - np.tanh(a) ** 2

    a1 = x @ W1 + b1
    h1 = np.tanh(a1)
    mean, lv = h1 @ W_mean + b_mean, h1 @ W_lv + b_lv
    std = np.exp(lv / 2)

    def backward(dz):
        dlv = dz * NOISE * std / 2
        dh1 = dz @ W_mean.T + dlv @ W_lv.T
        da1 = dh1 * dtanh(h1)  # right: da1 = dh1 * dtanh(a1)
        dmean_head = h1.T @ dz, dz.sum(axis=0)
        dlv_head = h1.T @ dlv, dlv.sum(axis=0)
        return da1 @ W1.T, x.T @ da1, da1.sum(axis=0), *dmean_head, *dlv_head

    return mean + std * NOISE, backward


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


def codes_inputs(rng):
    """What the encoder gives (N, D), and a codebook (K, D): of its codes one is chosen thrice, one twice, one never."""
    codebook = rng.standard_normal((5, 3))
    return codebook[[1, 3, 0, 1, 4, 3, 1]] + 0.2 * rng.standard_normal((7, 3)), codebook


@mutant(
    "codebook_learns_from_the_last_of_each_code",
    cause="repeated-ids-assigned",
    inputs=codes_inputs,
    wrong=("dcodebook",),
)
def codebook_learns_from_the_last_of_each_code(z_e, codebook):
    """Squared distance to the nearest code, with gradients for both sides."""
    distances = ((z_e[:, None, :] - codebook[None, :, :]) ** 2).sum(axis=2)
    indices = distances.argmin(axis=1)
    z_q = codebook[indices]
    loss = np.mean((z_e - z_q) ** 2)

    def backward(dloss):
        grad = 2 * dloss * (z_e - z_q) / z_e.size
        dcodebook = np.zeros_like(codebook)
        dcodebook[indices] -= grad  # right: np.subtract.at(dcodebook, indices, grad)
        return grad, dcodebook

    return loss, backward


def patches(rng):
    """Patches in columns (D, m), and matrix and column of biases of the way in (H) and out (D)."""
    weights = (rng.standard_normal(s) for s in [(3, 5), (3, 1), (5, 3), (5, 1)])
    return 0.1 + 0.8 * rng.random((5, 8)), *weights


@mutant(
    "sparse_autoencoder_penalty_outside_the_brackets",
    cause="activation-derivative-missing",
    inputs=patches,
    wrong=("ddata", "dW1", "db1"),
    note="delta2 = W2' delta3 .* f'(z2) + penalty, where the penalty is to be multiplied by f'(z2) too",
)
def sparse_autoencoder_penalty_outside_the_brackets(data, W1, b1, W2, b2):
    """Squared error plus the divergence of the mean activations from rho."""
    rho, beta, m = 0.1, 0.7, data.shape[1]
    a2 = 1 / (1 + np.exp(-(W1 @ data + b1)))
    a3 = 1 / (1 + np.exp(-(W2 @ a2 + b2)))
    rho_hat = a2.mean(axis=1, keepdims=True)
    kl = np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
    cost = np.sum((a3 - data) ** 2) / (2 * m) + beta * kl

    def backward(dcost):
        delta3 = dcost * (a3 - data) / m * a3 * (1 - a3)
        penalty = dcost * beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat)) / m
        # right: delta2 = (W2.T @ delta3 + penalty) * a2 * (1 - a2)
        delta2 = (W2.T @ delta3) * a2 * (1 - a2) + penalty
        ddata = W1.T @ delta2 - dcost * (a3 - data) / m
        dW1, db1 = delta2 @ data.T, delta2.sum(axis=1, keepdims=True)
        return ddata, dW1, db1, delta3 @ a2.T, delta3.sum(axis=1, keepdims=True)

    return cost, backward


def tied_autoencoder_inputs(rng):
    """Data in (0, 1) (N, D), one matrix (D, H) for both ways, a bias of the hidden layer and one of the visible."""
    return 0.1 + 0.8 * rng.random((6, 5)), *(rng.standard_normal(s) for s in [(5, 3), (3,), (5,)])


@mutant(
    "denoising_autoencoder_matrix_learns_on_the_way_in",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=tied_autoencoder_inputs,
    wrong=("dW",),
    note="the way out uses the same matrix, turned",
)
def denoising_autoencoder_matrix_learns_on_the_way_in(x, W, hbias, vbias):
    """A third of the data is blanked out, and cross-entropy asks for all of it."""
    kept = np.random.default_rng(7).binomial(1, 0.67, x.shape)
    tilde_x = x * kept
    y = 1 / (1 + np.exp(-(np.dot(tilde_x, W) + hbias)))
    z = 1 / (1 + np.exp(-(np.dot(y, W.T) + vbias)))
    cost = -np.mean(np.sum(x * np.log(z) + (1 - x) * np.log(1 - z), axis=1))

    def backward(dcost):
        L_vbias = dcost * (z - x) / len(x)
        L_hbias = np.dot(L_vbias, W) * y * (1 - y)
        L_W = np.dot(tilde_x.T, L_hbias)
        # missing: L_W = L_W + np.dot(L_vbias.T, y)
        L_x = np.dot(L_hbias, W.T) * kept - dcost * (np.log(z) - np.log(1 - z)) / len(x)
        return L_x, L_W, L_hbias.sum(axis=0), L_vbias.sum(axis=0)

    return cost, backward
