r"""Matrices as vectors without bounds, and derivatives pulled back through them.

    covariance        Sigma = L L^T + F,  L lower triangular: L_ii = exp(theta_ii), L_ij = s_i theta_ij, F = diag(floor)
                      with entries held: L_ij = (Sigma_ij - sum_{k<j} L_ik L_jk) / L_jj where Sigma_ij is, row by row
    stable transition T = D A B^{-1} D^{-1},  B B^T = I + A A^T,  any real A      (Ansley and Kohn 1986)

Every stable T has exactly one A: with the solution U of U = T U T^T + I (D = I), B is the factor of U and A = T B; and
A B^{-1} is stable, since U - T U T^T = B B^T - A A^T = I. D holds units.

Held covariances leave all other theta_ij without bounds, and so do held variances in rows that come first and are
held among themselves: L of these rows is known. A covariance between two held variances would have bounds.

A derivative G of a function f in a matrix M is that with all entries free, df = sum_ij G_ij dM_ij.

References
----------
Ansley and Kohn (1986), A note on reparameterizing a vector autoregressive moving average model to enforce stationarity.
Murray (2016), Differentiation of the Cholesky decomposition.

"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import solve_triangular

from statespace.lds.initialization import stationary_cov
from statespace.protocols import Array, Floats

_LEAST = 1e-10  # of a variance: how close above the floor a coordinate can be
_MOST = 1e6  # by how many times its free variances a start is raised to be a covariance


class CovarianceCoordinates:
    """The free entries of a covariance; everything else of it is held.

    Parameters
    ----------
    cov : (size, size)
        Where to begin.
    blocks : list of arrays of int
        Rows that are joined by free entries or by what is held and not 0, those whose variance is held first: `blocks`
        of free_entries.py.
    floor : (size,)
        Positive or zero: blocks that are wholly free are nowhere below this diagonal matrix, and others not below the
        part of it that they begin above.
    free : (size, size) of bool, optional
        Which entries are free, symmetric; without it all of the blocks are.

    """

    def __init__(self, cov: Floats, blocks: list[Array], floor: Floats, free: Array | None = None) -> None:
        self.cov = cov
        self.blocks = blocks
        self.floor = floor.copy()
        self.unit = np.sqrt(np.where(np.diagonal(cov) > 0, np.diagonal(cov), 1.0))
        """s, the deviations at the beginning, shape (size,)."""
        masks = [
            np.ones((len(rows), len(rows)), dtype=bool) if free is None else free[_square(rows)] for rows in blocks
        ]
        self._masks = masks
        self._triangles = [np.nonzero(np.tril(mask)) for mask in masks]
        self.places = [
            (int(rows[i]), int(rows[j]))
            for rows, triangle in zip(blocks, self._triangles, strict=True)
            for i, j in zip(*triangle, strict=True)
        ]
        """Row and column of the entry that belongs to each coordinate."""
        self.sizes = [len(triangle[0]) for triangle in self._triangles]
        self.size = sum(self.sizes)
        for rows, mask in zip(blocks, masks, strict=True):
            if not mask.all():
                self.floor[rows] = _floor_below(cov[_square(rows)], np.where(np.diagonal(mask), floor[rows], 0.0))

    def vector(self, cov: Floats) -> Floats:
        """Theta of a covariance, which counts as a hair above the floor where it is not."""
        parts = [np.empty(0)]
        for rows, mask, triangle in zip(self.blocks, self._masks, self._triangles, strict=True):
            above = cov[_square(rows)] - np.diag(self.floor[rows])
            L = self._factor(rows, above, cov) if mask.all() else _lifted_factor(above / self._scale(rows), mask)
            L[np.diag_indices_from(L)] = np.log(np.diagonal(L))
            parts.append(L[triangle])
        return np.concatenate(parts)

    def _scale(self, rows: Array) -> Floats:
        return np.outer(self.unit[rows], self.unit[rows])

    def _factor(self, rows: Array, above: Floats, cov: Floats) -> Floats:
        s, least = self.unit[rows], _LEAST * np.maximum(np.diagonal(cov)[rows], self.floor[rows])
        own = np.sqrt(np.maximum(np.diagonal(above), np.where(least > 0, least, _LEAST * s**2)))
        values, vectors = np.linalg.eigh(0.5 * (above + above.T) / np.outer(own, own))
        root = (vectors * np.sqrt(np.maximum(values, _LEAST))).T
        L = np.asarray(np.linalg.qr(root, mode="r")).T
        return np.asarray(L * np.sign(np.diagonal(L)) * (own / s)[:, None])

    def _factors(self, theta: Floats) -> list[Floats]:
        """L / s of each block."""
        found, at = [], 0
        for rows, mask, triangle, size in zip(self.blocks, self._masks, self._triangles, self.sizes, strict=True):
            L = np.zeros((len(rows), len(rows)))
            L[triangle] = theta[at : at + size]
            L[np.diag_indices_from(L)] = np.where(np.diagonal(mask), np.exp(np.diagonal(L)), 0.0)
            if not mask.all():
                _solve_held(L, self.cov[_square(rows)] / self._scale(rows), mask)
            found.append(L)
            at += size
        return found

    def matrix(self, theta: Floats) -> Floats:
        """Sigma, shape (size, size).

        Raises
        ------
        ValueError
            If rounding leaves no covariance with what is held.

        """
        cov = self.cov.copy()
        for rows, mask, L in zip(self.blocks, self._masks, self._factors(theta), strict=True):
            product = L @ L.T
            product = 0.5 * (product + product.T) * self._scale(rows)
            product[np.diag_indices_from(product)] += self.floor[rows]
            cov[_square(rows)] = product if mask.all() else np.where(mask, product, cov[_square(rows)])
        return cov

    def pullback(self, theta: Floats, G: Floats) -> Floats:
        """df/dtheta from df/dSigma, symmetric."""
        parts = [np.empty(0)]
        for rows, mask, triangle, L in zip(
            self.blocks, self._masks, self._triangles, self._factors(theta), strict=True
        ):
            slope = 2.0 * (G[_square(rows)] * self._scale(rows)) @ L
            if not mask.all():
                _pull_held(slope, L, mask)
            slope[np.diag_indices_from(slope)] *= np.diagonal(L)
            parts.append(slope[triangle])
        return np.concatenate(parts)


def _square(rows: Array) -> tuple[Array, Array]:
    return rows[:, None], rows


def _solve_held(L: Floats, cov: Floats, free: Array) -> None:
    """Fill in the entries of a lower triangle L that its free ones and held entries of L L^T leave, row by row."""
    for i in range(len(L)):
        for j in range(i + 1):
            if free[i, j]:
                continue
            left = cov[i, j] - L[i, :j] @ L[j, :j]
            if i == j and not left > 0.0:
                raise ValueError("what is held of a covariance leaves no variance: it is singular")
            L[i, j] = math.sqrt(left) if i == j else left / L[j, j]


def _pull_held(slope: Floats, L: Floats, free: Array) -> None:
    """From derivatives in all of L, in place, to those in its free entries: `_solve_held` backwards.

    Rows whose variance is held come first and are held among themselves: nothing moves them.
    """
    for i in range(len(L) - 1, -1, -1):
        if not free[i, i]:
            break
        for j in range(i - 1, -1, -1):
            if free[i, j]:
                continue
            g = slope[i, j] / L[j, j]
            slope[i, :j] -= g * L[j, :j]
            slope[j, :j] -= g * L[i, :j]
            slope[j, j] -= g * L[i, j]


def _lifted_factor(cov: Floats, free: Array) -> Floats:
    """The factor of a covariance, whose free variances are raised as little as makes it positive definite."""
    raised = np.diag(np.where(np.diagonal(free), np.maximum(np.diagonal(cov), 1.0), 0.0))
    part = 0.0
    while True:
        try:
            L = np.linalg.cholesky(cov + part * raised)
        except np.linalg.LinAlgError:
            L = np.zeros_like(cov)
        if (np.diagonal(L) ** 2 > _LEAST * np.diagonal(cov + part * raised)).all():
            return np.asarray(L)
        if part > _MOST:
            raise ValueError("what is held of a covariance is singular: no covariance has it and is not singular")
        part = max(4.0 * part, 4.0 * _LEAST)


def _floor_below(cov: Floats, floor: Floats) -> Floats:
    """The part of a floor that leaves a half of what it is taken off."""
    for _ in range(64):
        if np.linalg.eigvalsh(cov - 2.0 * np.diag(floor))[0] > 0.0:
            return floor
        floor = 0.25 * floor
    return np.zeros_like(floor)


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
