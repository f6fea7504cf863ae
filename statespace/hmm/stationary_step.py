"""The M-step of transitions where sequences start from their stationary law.

It climbs sum_ij n_ij log A_ij + sum_k start_k log pi_k(A), whose gradient G is that of `foundations.stationary_start`.
Where the matrix is close to the maximum already, or sequences are long, the growth transformation is cheap:

    A_ij <- A_ij (G_ij + a_i) / sum_k A_ik (G_ik + a_i)      a_i >= 0 so large that G + a_i > 0

Its direction is uphill, with slope sum_i Var_i(G) / (mean_i(G) + a_i), and it keeps zeros. Without starts it is the
M-step of Baum and Welch. Where starts outweigh transitions, L-BFGS goes on from there.

Baum and Sell (1968), Pacific Journal of Mathematics 27.
"""

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.free_rows import FreeRows
from statespace.foundations.stationary_start import recurrent_states, start_value_and_slope
from statespace.protocols import Array, Floats

_GROWTHS = 12  # then L-BFGS: it needs fewer steps where starts outweigh transitions
_CLIMBS = 60  # of L-BFGS; the next iteration of EM goes on from there
_GAIN = 1e-12  # of the objective, relative to its size: less is rounding
_LEAST = 0.01  # of what it was, for the entry that falls most; of a whole step, for the smallest that is tried
_FARTHEST = 10.0  # of the logarithms of a row from where they were


class _Expected:
    """Expected transitions and stationary starts: the objective of the M-step."""

    def __init__(self, transitions: Floats, start: Floats, transmat: Floats) -> None:
        self.transitions, self.start = transitions, start
        self.members = recurrent_states(transmat, "start")
        self._counted = transitions > 0

    def __call__(self, rows: Floats, log_rows: Floats | None = None) -> tuple[float, Floats]:
        """The objective, and P(i, k) G(i, k)."""
        value, slope = start_value_and_slope(self.start, rows, self.members)
        if log_rows is None:
            with np.errstate(divide="ignore"):
                log_rows = np.log(rows)
        value += float(self.transitions[self._counted] @ log_rows[self._counted])
        return value, self.transitions + rows * slope


def maximize_stationary(
    transitions: Floats, start: Floats, transmat: Floats, held: Array | bool | None = None
) -> Floats:
    """Transition laws that raise sum_ij transitions_ij log A_ij + sum_k start_k log pi_k(A), to its maximum nearby.

    The M-step of a hidden Markov model that starts from its stationary law. It never lowers the objective, so that
    expectation-maximisation with it never lowers the likelihood, even where it stops short of the maximum because
    starts outweigh transitions.

    Parameters
    ----------
    transitions : (n_components, n_components)
        Expected transitions, plus what priors add; not negative.
    start : (n_components,)
        Expected starts; not negative.
    transmat : (n_components, n_components)
        Where to begin. Zeros stay zero.
    held : True or (n_components, n_components) of bool, optional
        Entries that keep their values.

    Returns
    -------
    (n_components, n_components)
        A new array, or `transmat` itself where nothing better was found.

    Raises
    ------
    ValueError
        If the chain has several recurrent classes, so that there are many stationary laws.

    """
    objective = _Expected(transitions, start, transmat)
    space = FreeRows(transmat, held)
    if not space.size:
        return transmat
    best = transmat
    value, pulled = objective(best)
    for _ in range(_GROWTHS):
        target = _grown(best, pulled, space)
        step = 1.0
        while step > _LEAST:
            rows = target if step == 1.0 else best + step * (target - best)
            found, found_pulled = objective(rows)
            if found >= value:
                break
            step /= 2
        else:
            break
        gain = found - value
        best, value, pulled = rows, found, found_pulled
        if gain <= _GAIN * max(1.0, abs(value)):
            return best
    rows, found = _climb_expected(objective, best, held)
    return rows if found >= value else best


def _grown(rows: Floats, pulled: Floats, space: FreeRows) -> Floats:
    """The growth transformation; a_i > 0 where G < 0 somewhere, so that this entry falls to _LEAST times itself."""
    shares = np.where(space.free, rows, 0.0) / np.where(space.room > 0, space.room, 1.0)
    G = np.divide(pulled, rows, out=np.zeros(rows.shape), where=space.free & (rows > 0))
    mean = (shares * G).sum(axis=1, keepdims=True)
    least = np.where(shares > 0, G, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    added = np.where(least < 0, (_LEAST * mean - least) / (1 - _LEAST), 0.0)
    total = mean + added
    factor = np.divide(G + added, total, out=np.ones(rows.shape), where=space.free & (total > 0))
    grown: Floats = np.where(space.free, rows * factor, 0.0)
    totals = grown.sum(axis=1, keepdims=True)  # the room, but for what rounding makes of very small shares
    return np.where(space.free & (totals > 0), grown * (space.room / np.where(totals > 0, totals, 1.0)), rows)


def _climb_expected(objective: _Expected, rows: Floats, held: Array | bool | None) -> tuple[Floats, float]:
    """The best rows of some steps of L-BFGS, and their objective."""
    from scipy.optimize import minimize

    space = FreeRows(rows, held)
    scale = objective.transitions.sum() + objective.start.sum()
    # Rows that are often left bend far more than others: in these units all bend alike
    unit = 1 / np.sqrt(space.curvature(objective.transitions) / scale + 1e-3 / space.size)
    centre = space.to_vector()
    worst = objective(rows)[0] - scale

    def descend(moved: Floats) -> tuple[float, Floats]:
        theta = centre + moved * unit
        here = space.rows(theta)
        value, pulled = objective(here, space.log_rows(theta))
        if not value > worst:  # impossible, or so far that the search shall come back
            return -worst / scale, moved / max(float(np.abs(moved).max()), 1e-300)
        return -value / scale, -space.gradient(here, pulled) * unit / scale

    with blas_on_one_thread():  # scipy's factors of what it keeps are small and shared out all the same
        found = minimize(
            descend,
            np.zeros(space.size),
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack([-_FARTHEST / unit, _FARTHEST / unit]),
            options={"maxiter": _CLIMBS, "ftol": 1e-15, "gtol": 1e-10},
        )
    climbed = space.rows(centre + found.x * unit)
    return climbed, objective(climbed)[0]
