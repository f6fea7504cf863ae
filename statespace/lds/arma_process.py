r"""Stationary ARMA processes as blocks of states (Harvey 1989, section 3.3).

    w_t = phi_1 w_{t-1} + ... + phi_p w_{t-p} + e_t + theta_1 e_{t-1} + ... + theta_q e_{t-q},   e_t ~ N(0, sigma2)

    T = [phi | I],   R = (1, theta_1, ..., theta_{m-1})^T,   Z = (1, 0, ..., 0),   m = max(p, q + 1)
                     (0)

started from its stationary law. Multiplicative seasonal polynomials are products of two polynomials.
"""

from __future__ import annotations

import numpy as np

from statespace.lds.component import Block
from statespace.lds.initialization import stationary_cov, stationary_pullback
from statespace.protocols import Floats


def write_process(block: Block, phi: Floats, theta: Floats, sigma2: float) -> None:
    """Fill T, R, Q and P1 of a block of zeros, of m states and one disturbance."""
    m = len(block.transition)
    block.transition[: len(phi), 0] = phi
    block.transition[np.arange(m - 1), np.arange(1, m)] = 1.0
    block.selection[0, 0] = 1.0
    block.selection[1 : 1 + len(theta), 0] = theta
    block.state_cov[:] = sigma2
    weights = block.selection[:, 0]
    block.initial_state_cov[:] = stationary_cov(block.transition, sigma2 * np.outer(weights, weights))


def process_pullback(
    gradient: Block, block: Block, n_phi: int, n_theta: int, sigma2: float
) -> tuple[Floats, Floats, float]:
    """dL/dphi, dL/dtheta and dL/dsigma2 of the derivatives in T, R, Q and P1."""
    through = stationary_pullback(block.transition, block.initial_state_cov, gradient.initial_state_cov)
    weights = block.selection[:, 0]
    moved = through.disturbance_cov @ weights
    d_phi = gradient.transition[:n_phi, 0] + through.transition[:n_phi, 0]
    d_theta = (gradient.selection[:, 0] + 2.0 * sigma2 * moved)[1 : 1 + n_theta]
    return d_phi, d_theta, float(gradient.state_cov[0, 0] + weights @ moved)


def product(first: Floats, second: Floats, season: int) -> Floats:
    """Coefficients a_1.. of 1 + sum_j a_j L^j = (1 + sum_i first_i L^i) (1 + sum_j second_j L^(j season))."""
    return np.convolve(np.concatenate([[1.0], first]), _spread(second, season))[1:]


def product_pullback(first: Floats, second: Floats, season: int, gradient: Floats) -> tuple[Floats, Floats]:
    """Derivatives in both factors of the derivative in the product."""
    padded = np.concatenate([[0.0], gradient])
    d_first = np.correlate(padded, _spread(second, season), "valid")[1:]
    if not len(second):
        return d_first, np.empty(0)
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
