r"""ARMA and ARIMA processes as blocks of states (Harvey 1989, sections 3.3 and 4.1).

    delta(L) y_t = w_t,   phi(L) w_t = theta(L) e_t,   phi(L) = 1 - phi_1 L - ..., theta(L) = 1 + theta_1 L + ...

    T = [psi | I],   R = (1, theta_1, ..., theta_{m-1})^T,   Z = (1, 0, ..., 0),   m = max(p + k, q + 1)
                     (0)

with psi(L) = phi(L) delta(L) and k the degree of delta. Let s be the same states of w_t alone. Then, for y_0, ...,
y_{1-k},

    state_i = s_i + sum_u A_iu y_{1-u},   A = L(phi) D,   D_iu = delta_{i-1+u},   L(phi)_ij = coefficient i-j of phi(L)

so that the start is the stationary law of w, and A its diffuse part, exactly: no observation is lost to differences.

The likelihood depends on A, which moves with phi. Other coordinates S of the states do not change it, so that with
S = I + E its derivatives in all matrices cancel; E = L(dphi) L(phi)^{-1} has E A = dA, and gives the derivative
through A from those in the others. Multiplicative seasonal polynomials are products of two polynomials.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from statespace.lds.component import Block
from statespace.lds.initialization import stationary_cov, stationary_pullback
from statespace.lds.spectra import polynomial_at, power
from statespace.protocols import Floats, Ints

_NONE = np.empty(0)


def companion(m: int, phi: Floats) -> Floats:
    """T of m states."""
    transition = np.eye(m, k=1)
    transition[: len(phi), 0] = phi
    return transition


def write_process(block: Block, phi: Floats, theta: Floats, sigma2: float, delta: Floats = _NONE) -> None:
    """Fill Z, T, R, Q, P1 and A of a block of zeros, in its first m states."""
    k, w = len(delta), max(len(phi), len(theta) + 1)
    m = max(len(phi) + k, len(theta) + 1)
    block.design[:, 0] = 1.0
    block.transition[:m, :m] = companion(m, -product(-phi, -delta, 1) if k else phi)
    block.selection[0, 0] = 1.0
    block.selection[1 : 1 + len(theta), 0] = theta
    block.state_cov[:] = sigma2
    weights = block.selection[:w, 0]
    if len(phi):
        cov = stationary_cov(companion(w, phi), sigma2 * np.outer(weights, weights))
    else:
        ahead = _ahead(weights)
        cov = sigma2 * (ahead @ ahead.T)
    block.initial_state_cov[:w, :w] = cov
    if k:
        ahead = _ahead(np.concatenate([delta, np.zeros(m - k)]))[:, :k]
        block.loadings[:m] = _toeplitz(m, phi) @ ahead if len(phi) else ahead


def process_pullback(
    gradient: Block, block: Block, phi: Floats, theta: Floats, sigma2: float, delta: Floats = _NONE
) -> tuple[Floats, Floats, float]:
    """dL/dphi, dL/dtheta and dL/dsigma2 of the derivatives in all matrices, the start's covariance included."""
    p, q, k = len(phi), len(theta), len(delta)
    w, m = max(p, q + 1), max(p + k, q + 1)
    weights = block.selection[:w, 0]
    d_phi = gradient.transition[: p + k, 0]
    if k:
        d_phi, _ = product_pullback(-phi, -delta, 1, d_phi)
        if p:
            d_phi = d_phi - _through_loadings(gradient, block, phi, m)
    by_start = gradient.initial_state_cov[:w, :w]
    if p:
        through = stationary_pullback(companion(w, phi), block.initial_state_cov[:w, :w], by_start)
        moved = through.disturbance_cov @ weights
        d_phi = d_phi + through.transition[:p, 0]
    else:
        moved = np.asarray(np.bincount(_antidiagonals(w), (by_start @ _ahead(weights)).ravel(), 2 * w)[:w], np.float64)
    d_theta = gradient.selection[1 : 1 + q, 0] + 2.0 * sigma2 * moved[1 : 1 + q]
    return d_phi, d_theta, float(gradient.state_cov[0, 0] + weights @ moved)


def _through_loadings(gradient: Block, block: Block, phi: Floats, m: int) -> Floats:
    """Minus dL/dphi through A alone: sums along the diagonals below the main one of C L(phi)^{-T}.

    C is the derivative in E of the part of L that A brings: minus that of all others.
    """
    C = (
        block.design.T @ gradient.design
        + block.transition.T @ gradient.transition
        - gradient.transition @ block.transition.T
        - gradient.selection @ block.selection.T
        - np.outer(gradient.state_intercept, block.state_intercept)
        - np.outer(gradient.initial_state, block.initial_state)
        - 2.0 * gradient.initial_state_cov @ block.initial_state_cov
    )[:m, :m]
    rows = solve_triangular(_toeplitz(m, phi), C.T, lower=True, unit_diagonal=True).T
    return np.array([np.trace(rows, -lag) for lag in range(1, len(phi) + 1)])


def rational_spectrum(
    sigma2: float, moving: list[tuple[Floats, Floats]], autoregressive: list[tuple[Floats, Floats]]
) -> tuple[Floats, list[Floats]]:
    """sigma2 prod |theta(z)|^2 / prod |phi(z)|^2 and its derivatives by the coefficients of each polynomial in turn.

    A polynomial comes with the z that it is taken at: e^{-iw}, or e^{-isw} of a seasonal one.
    """
    z = (moving + autoregressive)[0][1]
    density, at = np.full(len(z), sigma2), []
    for coefficients, z in moving:
        at.append(polynomial_at(np.concatenate([[1.0], coefficients]), z))
        density = density * power(at[-1])
    for coefficients, z in autoregressive:
        at.append(polynomial_at(np.concatenate([[1.0], -coefficients]), z))
        density = density / power(at[-1])
    slopes = []
    for (coefficients, z), value in zip(moving + autoregressive, at, strict=True):
        powers = z ** np.arange(1, len(coefficients) + 1)[:, None]
        slopes.append(2.0 * density * (powers / value).real)
    return density, slopes


def _ahead(column: Floats) -> Floats:
    """H with the entries column_{i+j}, zero beyond its end: H H^T is the start of a moving average."""
    m = len(column)
    return np.asarray(np.concatenate([column, np.zeros(m)])[np.arange(m)[:, None] + np.arange(m)])


def _antidiagonals(m: int) -> Ints:
    return (np.arange(m)[:, None] + np.arange(m)).ravel()


def _toeplitz(m: int, phi: Floats) -> Floats:
    """L(phi), shape (m, m)."""
    column = np.zeros(2 * m - 1)
    column[m - 1] = 1.0
    column[m : m + len(phi)] = -phi[: m - 1]
    return np.asarray(column[np.arange(m)[:, None] - np.arange(m) + m - 1])


def product(first: Floats, second: Floats, season: int) -> Floats:
    """Coefficients a_1.. of 1 + sum_j a_j L^j = (1 + sum_i first_i L^i) (1 + sum_j second_j L^(j season))."""
    if not len(second):
        return first.copy()
    return np.convolve(np.concatenate([[1.0], first]), _spread(second, season))[1:]


def product_pullback(first: Floats, second: Floats, season: int, gradient: Floats) -> tuple[Floats, Floats]:
    """Derivatives in both factors of the derivative in the product."""
    if not len(second):
        return gradient, np.empty(0)
    padded = np.concatenate([[0.0], gradient])
    d_first = np.correlate(padded, _spread(second, season), "valid")[1:]
    return d_first, np.correlate(padded, np.concatenate([[1.0], first]), "valid")[season::season]


def differencing(d: int, seasonal_d: int, season: int) -> Floats:
    """delta_1.. of (1 - L)^d (1 - L^s)^D = 1 - sum_j delta_j L^j."""
    polynomial = np.ones(1)
    for _ in range(d):
        polynomial = np.convolve(polynomial, [1.0, -1.0])
    for _ in range(seasonal_d):
        polynomial = np.convolve(polynomial, np.concatenate([[1.0], np.zeros(season - 1), [-1.0]]))
    return -polynomial[1:]


def _spread(coefficients: Floats, season: int) -> Floats:
    spread = np.zeros(1 + len(coefficients) * season)
    spread[0] = 1.0
    if len(coefficients):
        spread[season::season] = coefficients
    return spread
