r"""Matrices as vectors without bounds, and derivatives pulled back through them.

    covariance        Sigma = L L^T + F,  L lower triangular: L_ii = exp(theta_ii), L_ij = s_i theta_ij, F = diag(floor)
    stable transition T = D A B^{-1} D^{-1},  B B^T = I + A A^T,  any real A      (Ansley and Kohn 1986)

Every stable T has exactly one A: with the solution U of U = T U T^T + I (D = I), B is the factor of U and A = T B; and
A B^{-1} is stable, since U - T U T^T = B B^T - A A^T = I. D holds units.

A derivative G of a function f in a matrix M is that with all entries free, df = sum_ij G_ij dM_ij.

References
----------
Ansley and Kohn (1986), A note on reparameterizing a vector autoregressive moving average model to enforce stationarity.
Murray (2016), Differentiation of the Cholesky decomposition.

"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from statespace.lds.initialization import stationary_cov
from statespace.protocols import Array, Floats

_LEAST = 1e-10  # of a variance: how close above the floor a coordinate can be


class CovarianceCoordinates:
    """The free blocks of a covariance; everything else of it is held.

    Parameters
    ----------
    cov : (size, size)
        Where to begin.
    blocks : list of arrays of int
        Rows of the free blocks; between a block and the rest there are zeros.
    floor : (size,)
        Positive or zero: the blocks are nowhere below this diagonal matrix.

    """

    def __init__(self, cov: Floats, blocks: list[Array], floor: Floats) -> None:
        self.cov = cov
        self.blocks = blocks
        self.floor = floor
        self.unit = np.sqrt(np.where(np.diagonal(cov) > 0, np.diagonal(cov), 1.0))
        """s, the deviations at the beginning, shape (size,)."""
        self._triangles = [np.tril_indices(len(rows)) for rows in blocks]
        self.sizes = [len(rows) * (len(rows) + 1) // 2 for rows in blocks]
        self.size = sum(self.sizes)

    def vector(self, cov: Floats) -> Floats:
        """Theta of a covariance, which counts as a hair above the floor where it is not."""
        parts = [np.empty(0)]
        for rows, triangle in zip(self.blocks, self._triangles, strict=True):
            s, least = self.unit[rows], _LEAST * np.maximum(np.diagonal(cov)[rows], self.floor[rows])
            above = cov[np.ix_(rows, rows)] - np.diag(self.floor[rows])
            own = np.sqrt(np.maximum(np.diagonal(above), np.where(least > 0, least, _LEAST * s**2)))
            values, vectors = np.linalg.eigh(0.5 * (above + above.T) / np.outer(own, own))
            root = (vectors * np.sqrt(np.maximum(values, _LEAST))).T
            L = np.asarray(np.linalg.qr(root, mode="r")).T
            L = L * np.sign(np.diagonal(L)) * (own / s)[:, None]
            L[np.diag_indices_from(L)] = np.log(np.diagonal(L))
            parts.append(L[triangle])
        return np.concatenate(parts)

    def _factors(self, theta: Floats) -> list[Floats]:
        """L / s of each block."""
        found, at = [], 0
        for rows, triangle, size in zip(self.blocks, self._triangles, self.sizes, strict=True):
            L = np.zeros((len(rows), len(rows)))
            L[triangle] = theta[at : at + size]
            L[np.diag_indices_from(L)] = np.exp(np.diagonal(L))
            found.append(L)
            at += size
        return found

    def matrix(self, theta: Floats) -> Floats:
        """Sigma, shape (size, size)."""
        cov = self.cov.copy()
        for rows, L in zip(self.blocks, self._factors(theta), strict=True):
            s = self.unit[rows]
            product = L @ L.T
            product = 0.5 * (product + product.T) * np.outer(s, s)
            product[np.diag_indices_from(product)] += self.floor[rows]
            cov[np.ix_(rows, rows)] = product
        return cov

    def pullback(self, theta: Floats, G: Floats) -> Floats:
        """df/dtheta from df/dSigma, symmetric."""
        parts = [np.empty(0)]
        for rows, triangle, L in zip(self.blocks, self._triangles, self._factors(theta), strict=True):
            s = self.unit[rows]
            slope = 2.0 * (G[np.ix_(rows, rows)] * np.outer(s, s)) @ L
            slope[np.diag_indices_from(slope)] *= np.diagonal(L)
            parts.append(slope[triangle])
        return np.concatenate(parts)


class StableTransition:
    """All transitions with a spectral radius below 1.

    Parameters
    ----------
    unit : (n_states,)
        D, the units of the states: their deviations, more or less.

    """

    def __init__(self, unit: Floats) -> None:
        self.unit = unit

    def vector(self, T: Floats) -> Floats:
        """A of a stable T, flat."""
        scaled = T * self.unit / self.unit[:, None]
        B = np.linalg.cholesky(stationary_cov(scaled, np.eye(len(T))))
        return np.asarray((scaled @ B).ravel())

    def _parts(self, theta: Floats) -> tuple[Floats, Floats, Floats]:
        m = len(self.unit)
        A = theta.reshape(m, m)
        B = np.linalg.cholesky(np.eye(m) + A @ A.T)
        return A, np.asarray(B), np.asarray(solve_triangular(B, A.T, lower=True, trans="T").T)

    def matrix(self, theta: Floats) -> Floats:
        """T, shape (n_states, n_states)."""
        return np.ascontiguousarray(self._parts(theta)[2] * self.unit[:, None] / self.unit)

    def pullback(self, theta: Floats, G: Floats) -> Floats:
        """df/dA from df/dT, flat."""
        A, B, scaled = self._parts(theta)
        slope = G * self.unit[:, None] / self.unit
        by_A = solve_triangular(B, slope.T, lower=True).T  # dT = dA B^-1 - T dB B^-1
        by_B = np.tril(-scaled.T @ by_A)
        by_U = factor_pullback(B, by_B)
        return np.asarray((by_A + 2.0 * by_U @ A).ravel())


def factor_pullback(L: Floats, G: Floats) -> Floats:
    """df/dS, symmetric, of S = L L^T from df/dL, a lower triangle."""
    inner = np.tril(L.T @ G)
    inner[np.diag_indices_from(inner)] *= 0.5
    half = solve_triangular(L, inner, lower=True, trans="T")
    whole = solve_triangular(L, half.T, lower=True, trans="T").T
    return np.asarray(0.5 * (whole + whole.T))
