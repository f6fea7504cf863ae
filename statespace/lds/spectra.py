r"""What a long series would tell of the parameters of a model: how a likelihood curves, before it is computed.

    f(w) = sum of the parts' densities |Z (I - z T)^{-1} R|^2 Q,    z = e^{-iw}
    I_ij = n/2 mean over w of  d log f / d eta_i  d log f / d eta_j

A part that has to be differenced has its density over |delta(z)|^2, which is the same at all parameters and cancels
in derivatives of log f. Frequencies lie 2 pi / n apart, as far as n observations tell one from another, and off those
at which such a density has no value. The likelihood itself stays exact: this is where a search begins.

Whittle (1953), Estimation and information in stationary time series; Harvey (1989), section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from statespace.protocols import Floats

if TYPE_CHECKING:
    from statespace.lds.component import Component

_MOST = 256  # frequencies: densities are smooth
_FEWEST = 16
_RIDGE = 1e-9  # of an information that is scaled to a diagonal of ones
_FALL = 1e-2
_STEP = 1e-4  # of a parameter
_STATES = 8  # of a part whose density is computed from its matrices

Spectrum = tuple[Floats, Floats]
"""f at some frequencies, shape (n_frequencies,), and its derivatives by parameters, (n_parameters, n_frequencies)."""


def frequencies_for(components: Sequence[Component], n: float) -> Floats:
    """Frequencies that n observations tell one from another, shape (n_frequencies,)."""
    size = min(max(int(n) // 2, _FEWEST), _MOST)
    season = max((lag for part in components for lag in part.differences), default=1)
    if season > 1:  # densities that are infinite at multiples of 2 pi / season are so halfway between two frequencies
        size = season * max(round(size / season), 1)
    return np.asarray((np.arange(size) + 0.5) * (np.pi / size), dtype=np.float64)


def density(
    components: Sequence[Component], values: Sequence[Floats], frequencies: Floats
) -> tuple[Floats, Floats] | None:
    """The density f and its derivatives by all parameters, (n_parameters, n_frequencies); None where there is none.

    Parameters
    ----------
    components : sequence of Component
    values : sequence of (n_own,)
        The parameters of each.
    frequencies : (n_frequencies,)

    """
    total, slopes = np.zeros(len(frequencies)), []
    for part, own in zip(components, values, strict=True):
        spectrum = part.spectrum(own, frequencies)
        if spectrum is None:
            return None
        total += spectrum[0]
        slopes.append(spectrum[1])
    return total, np.concatenate(slopes)


def information(total: Floats, slopes: Floats, n: float) -> Floats | None:
    """I of all parameters, shape (n_parameters, n_parameters), of n observations; None where f has no logarithm."""
    if not total.min() > 0:
        return None
    relative = slopes / total
    made: Floats = (0.5 * n / len(total)) * (relative @ relative.T)
    return made if np.isfinite(made).all() else None


def scored(values: Floats, slope: Floats, information: Floats) -> tuple[Floats, float]:
    """Fisher's scoring of variances: the largest of slope^T d - d^T I d / 2 over values + d >= 0, and a half of it.

    None falls to less than a hundredth: where it belongs at 0, the next step will say so too.
    """
    from scipy.optimize import nnls

    root = np.sqrt(np.diagonal(information))
    L = np.linalg.cholesky(information / (root[:, None] * root) + _RIDGE * np.eye(len(root)))
    found = nnls(L.T, np.linalg.solve(L, slope / root) + L.T @ (values * root))[0] / root
    new = np.maximum(found, _FALL * values)
    return new, 0.5 * float(slope @ (new - values))


def polynomial_at(coefficients: Floats, z: Floats) -> Floats:
    """c_0 + c_1 z + ... ."""
    value = np.full(z.shape, coefficients[-1], dtype=z.dtype)
    for c in coefficients[-2::-1]:
        value *= z
        value += c
    return value


def power(values: Floats) -> Floats:
    """|value|^2."""
    return np.asarray(values.real**2 + values.imag**2)


def spectrum_by_differences(part: Component, values: Floats, frequencies: Floats) -> Spectrum | None:
    """The density of any part without inputs and with few states, from its matrices; derivatives by differences."""
    if part.takes_exog or part.n_states > _STATES:
        return None
    moved = []
    for k, value in enumerate(values):
        step = _STEP * (abs(value) or 1.0)
        ends = []
        for sign in (1.0, -1.0):
            other = np.array(values)
            other[k] += sign * step
            ends.append(_density_of(part, other, frequencies))
        moved.append((ends[0] - ends[1]) / (2.0 * step))
    return _density_of(part, values, frequencies), np.array(moved).reshape(len(values), len(frequencies))


def _density_of(part: Component, values: Floats, frequencies: Floats) -> Floats:
    from statespace.lds.component import empty_block

    block = empty_block(part)
    part.write(block, values)
    noise = np.full(len(frequencies), block.obs_cov[0, 0])
    if not part.n_states:
        return noise
    z = np.exp(-1j * frequencies)
    response = np.linalg.solve(np.eye(part.n_states) - z[:, None, None] * block.transition, block.selection + 0j)
    response = block.design[0] @ response
    return np.asarray(noise + ((response @ block.state_cov) * response.conj()).sum(axis=1).real)
