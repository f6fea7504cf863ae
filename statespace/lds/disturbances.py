r"""The disturbances given all the data, of missing entries too.

With u of the backward pass and o the entries that were observed,

    E(e_t | all) = H_o u                 Cov(e_t | all) = M Z V Z^T M^T + H - M H_o^T,   M = H_o H_oo^+
    E(n_t | all) = Q R^T r               Cov(n_t | all) = Q - Q R^T N R Q

where H_o are the columns of H that belong to o, V is the smoothed covariance of the state, and r and N lead out of the
step. Of what was observed the noise is what the state leaves, e_o = y_o - d_o - Z_o a; of what was not, its regression
on that.

Koopman (1993); Durbin and Koopman (2012), section 4.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statespace.lds.dynamics import Dynamics
from statespace.lds.filtered import Filtered
from statespace.lds.filtering import filter_covariance
from statespace.lds.frames import Frames, steps_of_frames
from statespace.lds.kalman import ROUNDING
from statespace.lds.results import Disturbances
from statespace.lds.smoother import Backward
from statespace.lds.smoothing import LOST, pass_backwards
from statespace.lds.square_root_smoother import smooth_square_root
from statespace.lds.system import System
from statespace.protocols import Floats

_DOUBTFUL = 1e-7  # of what was added up to a variance, below which correlations are made those of a covariance


@dataclass(frozen=True, eq=False)
class OfCovariance:
    """Disturbances that the backward pass of the covariance form gives; without `filtered` it filters first."""

    system: System
    dynamics: Dynamics
    frames: Frames
    filtered: Filtered | None = None
    size: Floats | None = None
    """Of the products that were added up to smoothed variances, shape (m,); None where the form is not to change.
    Noise can be a small rest of states that are large, and N large where it does not count."""

    def __call__(self, cov: Floats) -> Disturbances:
        """From smoothed covariances (n, m, m)."""
        filtered = self.filtered or filter_covariance(self.system, self.dynamics, self.frames)
        backward = pass_backwards(self.dynamics, self.frames, filtered)
        mean, spread = obs_disturbances(self.system, self.frames, backward.u, cov)
        if self.size is not None and (
            _noise_is_lost(self.system.design, self.size, spread) or _disturbance_is_lost(self.system, backward)
        ):
            found = smooth_square_root(self.system, self.dynamics, self.frames)[0]
            mean, spread = obs_disturbances(self.system, self.frames, backward.u, roots=found.roots)
            return Disturbances(mean, spread, found.state_disturbance, found.state_disturbance_cov)
        return Disturbances(mean, spread, *state_disturbances(self.system, backward))


@dataclass(frozen=True, eq=False)
class OfSquareRoot:
    """Disturbances where those of the states have been smoothed in square-root form."""

    system: System
    dynamics: Dynamics
    frames: Frames
    filtered: Filtered
    roots: Floats
    state: Floats
    state_cov: Floats

    def __call__(self, cov: Floats) -> Disturbances:
        """From smoothed covariances (n, m, m)."""
        backward = pass_backwards(self.dynamics, self.frames, self.filtered)
        del cov  # infinite where a direction stays open, which what was observed does not meet
        obs = obs_disturbances(self.system, self.frames, backward.u, roots=self.roots)
        return Disturbances(*obs, self.state, self.state_cov)


@dataclass(frozen=True, eq=False)
class Innovations:
    """Innovations of a filter, when they are asked for."""

    system: System
    values: Floats
    filtered: Filtered

    def __call__(self) -> tuple[Floats, Floats]:
        """Innovations and their covariances."""
        return innovations(self.system, self.values, self.filtered)


def _disturbance_is_lost(system: System, backward: Backward) -> bool:
    """Whether Q - Q R^T N R Q is too small a rest of the products that are added up to it."""
    reach = np.sqrt(np.abs(np.diagonal(backward.N[backward.place[1:]], axis1=1, axis2=2)).max(axis=0, initial=0.0))
    back = np.abs(system.state_cov @ system.selection.transpose(0, 2, 1)).max(axis=0)
    variances = np.diagonal(system.state_cov, axis1=1, axis2=2).max(axis=0)
    return bool(((back @ reach) ** 2 > LOST * variances).any())


def _noise_is_lost(design: Floats, size: Floats, spread: Floats) -> bool:
    """Whether variances of the noise, z V z^T, are too small a rest of what the states' were added up from."""
    used = np.count_nonzero(design, axis=2)
    reach = (used * (design**2 @ size)).max(axis=0)
    largest = np.diagonal(spread, axis1=1, axis2=2).max(axis=0, initial=0.0)
    return bool((reach > LOST * largest)[largest > 0].any())


def obs_disturbances(
    system: System, frames: Frames, u: Floats, cov: Floats | None = None, roots: Floats | None = None
) -> tuple[Floats, Floats]:
    """E(e_t | all), shape (n, p), and Cov(e_t | all), shape (n, p, p).

    cov : smoothed covariances (n, m, m), or roots : rows of their factors, (n, ., m), from which nothing cancels.
    """
    n, p = u.shape
    mean, spread = np.empty((n, p)), np.empty((n, p, p))
    for f, steps in enumerate(steps_of_frames(frames)):
        B, at = frames.transform[f], int(frames.at[f])
        H = system.obs_cov[at if len(system.obs_cov) > 1 else 0]
        Z = system.design[at if len(system.design) > 1 else 0]
        mean[steps] = u[steps] @ (H @ B.T).T
        h = frames.variances[f]
        precision = np.divide(1.0, h, out=np.zeros(p), where=h > 0)
        M = (H @ B.T * precision) @ B
        seen = frames.seen[f]
        M[seen] = 0.0
        M[seen, seen] = 1.0
        moved = M @ Z
        rest = H - M @ np.where(seen[:, None], H, 0.0)
        rest[seen] = 0.0
        rest[:, seen] = 0.0
        if roots is not None:
            left = roots[steps] @ moved.T
            spread[steps] = left.transpose(0, 2, 1) @ left + 0.5 * (rest + rest.T)
        elif cov is not None:
            spread[steps] = moved @ cov[steps] @ moved.T + 0.5 * (rest + rest.T)
        exact = seen & (np.diagonal(H) == 0)
        spread[steps] *= ~(exact[:, None] | exact[None])
    return mean, _without_rounding(spread, np.zeros(p))


def state_disturbances(system: System, backward: Backward) -> tuple[Floats, Floats]:
    """E(n_t | all), shape (n, r), and Cov(n_t | all), shape (n, r, r)."""
    n = len(backward.mean)
    R, Q = (A if len(A) == 1 else A[:n] for A in (system.selection, system.state_cov))
    back = R @ Q
    r = backward.r[1:]
    mean = r @ back[0] if len(back) == 1 else np.einsum("tm,tmr->tr", r, back)
    places, of_step = np.unique(backward.place[1:], return_inverse=True)
    if len(back) == 1:
        table = Q - back.transpose(0, 2, 1) @ backward.N[places] @ back
        cov = table[of_step.ravel()]
    else:
        cov = Q - back.transpose(0, 2, 1) @ backward.N[backward.place[1:]] @ back
    return np.ascontiguousarray(mean), _without_rounding(cov, np.diagonal(Q, axis1=1, axis2=2))


def _without_rounding(cov: Floats, size: Floats) -> Floats:
    """Symmetric positive-semidefinite covariances (n, k, k), of variances that were added up to from `size` (., k).

    A variance that is nothing but rounding, or below 0, is one of 0.
    """
    cov = np.asarray(0.5 * (cov + cov.transpose(0, 2, 1)))
    variances = np.diagonal(cov, axis1=1, axis2=2)
    none = (variances < 0) | ((variances <= ROUNDING * size) & (variances > 0))
    if none.any():
        cov = np.where(none[:, :, None] | none[:, None, :], 0.0, cov)
    doubtful = np.flatnonzero(((variances <= _DOUBTFUL * size) & (variances > 0) & ~none).any(axis=1))
    if len(doubtful) and cov.shape[1] > 1:  # few digits of correlations are left
        deviations = np.sqrt(np.diagonal(cov[doubtful], axis1=1, axis2=2))
        scale = np.where(deviations > 0, deviations, 1.0)
        values, vectors = np.linalg.eigh(cov[doubtful] / scale[:, :, None] / scale[:, None, :])
        rows = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :] * deviations[:, :, None]
        nearest = rows @ rows.transpose(0, 2, 1)
        cov[doubtful] = 0.5 * (nearest + nearest.transpose(0, 2, 1))
    return cov


def innovations(system: System, values: Floats, filtered: Filtered) -> tuple[Floats, Floats]:
    """What observations differ by from what was expected, shape (n, p), NaN where missing, and Cov (n, p, p)."""
    n = len(values)
    d, Z, H = (A if len(A) == 1 else A[:n] for A in (system.obs_intercept, system.design, system.obs_cov))
    expected = filtered.a[:n] @ Z[0].T if len(Z) == 1 else np.einsum("tpm,tm->tp", Z, filtered.a[:n])
    if len(Z) == 1:
        places, of_step = np.unique(filtered.place[:n], return_inverse=True)
        cov = (Z @ filtered.P[places] @ Z.transpose(0, 2, 1))[of_step.ravel()] + H
    else:
        cov = Z @ filtered.P[filtered.place[:n]] @ Z.transpose(0, 2, 1) + H
    deviations = np.sqrt(np.diagonal(filtered.P, axis1=1, axis2=2))[filtered.place[:n]]
    reach = np.abs(Z) @ deviations[:, :, None]
    cov = _without_rounding(cov, reach[:, :, 0] ** 2 + np.diagonal(H, axis1=1, axis2=2))
    for t, A in enumerate(filtered.loadings):
        met = Z[t if len(Z) > 1 else 0] @ A
        reach = np.abs(Z[t if len(Z) > 1 else 0]) @ np.abs(A)
        open_ = (np.abs(met) > 1e-12 * reach).any(axis=1)
        cov[t, open_] = 0.0
        cov[t, :, open_] = 0.0
        cov[t, open_, open_] = np.inf
    return values - d - expected, cov
