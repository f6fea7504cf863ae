r"""Small matrices by the batch: Cholesky factors, triangular solves, and the constrained maximum of a covariance."""

from __future__ import annotations

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats


@kernel
def forward_substitute(roots: Floats, B: Floats) -> None:
    """B[c] <- L^{-1} B[c] for lower triangles L = roots[c], (n, D, D); B (n, D, m) is overwritten."""
    n, D, m = B.shape
    for c in range(n):
        for i in range(D):
            for j in range(i):
                factor = roots[c, i, j]
                for k in range(m):
                    B[c, i, k] -= factor * B[c, j, k]
            pivot = roots[c, i, i]
            for k in range(m):
                B[c, i, k] /= pivot


@kernel
def back_substitute(roots: Floats, B: Floats) -> None:
    """B[c] <- L^{-T} B[c] for lower triangles L = roots[c], (n, D, D); B (n, D, m) is overwritten."""
    n, D, m = B.shape
    for c in range(n):
        for i in range(D - 1, -1, -1):
            for j in range(i + 1, D):
                factor = roots[c, j, i]
                for k in range(m):
                    B[c, i, k] -= factor * B[c, j, k]
            pivot = roots[c, i, i]
            for k in range(m):
                B[c, i, k] /= pivot


def cholesky_factors(matrices: Floats) -> Floats:
    """Lower triangles L with L L^T = matrices[c], shape (n, D, D), C-contiguous.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive-definite; the message says which.

    """
    try:
        return np.ascontiguousarray(np.linalg.cholesky(matrices))
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(f"matrix {_first_indefinite(matrices)} is not positive-definite") from None


def _first_indefinite(matrices: Floats) -> int:
    for number, matrix in enumerate(matrices):
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return number
    return -1


def solve_spd(roots: Floats, B: Floats) -> Floats:
    """Sigma_c^{-1} B[c] for Sigma_c = L_c L_c^T; `roots` (n, D, D), B (n, D, m)."""
    solved = np.array(B, dtype=np.float64, order="C")
    forward_substitute(roots, solved)
    back_substitute(roots, solved)
    return solved


def relative_eigenvalues(matrices: Floats, floor: Floats) -> Floats:
    """Eigenvalues of F^{-1/2} S F^{-1/2} with F = diag(floor), ascending, shape (n, D)."""
    return np.asarray(np.linalg.eigvalsh(_in_metric(matrices, np.sqrt(floor))))


def raise_to_floor(matrices: Floats, floors: Floats) -> Floats:
    r"""The covariances closest in likelihood to moments S that are nowhere below F.

    Among all Sigma with Sigma - F positive-semidefinite, F = diag(floor), the maximum of
    -log |Sigma| - tr(Sigma^{-1} S) is

        F^{1/2} U max(d, 1) U^T F^{1/2}        where F^{-1/2} S F^{-1/2} = U d U^T

    Parameters
    ----------
    matrices : (n, D, D)
        Symmetric, positive-semidefinite but for rounding.
    floors : (n, D)
        Positive.

    """
    deviations = np.sqrt(floors)
    raised: Floats = 0.5 * (matrices + matrices.transpose(0, 2, 1))
    try:  # mostly none is low, and this is the cheap way to know
        np.linalg.cholesky(raised - floors[:, :, None] * np.eye(floors.shape[1]))
    except np.linalg.LinAlgError:
        pass
    else:
        return raised
    values, vectors = np.linalg.eigh(_in_metric(raised, deviations))
    low = np.flatnonzero(values[:, 0] < 1.0)
    if low.size:
        U = vectors[low]
        lifted = (U * np.maximum(values[low], 1.0)[:, None, :]) @ U.transpose(0, 2, 1)
        lifted = 0.5 * (lifted + lifted.transpose(0, 2, 1))
        raised[low] = lifted * deviations[low, :, None] * deviations[low, None, :]
    return raised


def _in_metric(matrices: Floats, deviations: Floats) -> Floats:
    scaled: Floats = matrices / deviations[..., :, None] / deviations[..., None, :]
    return scaled
