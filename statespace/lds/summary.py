"""What a fit has found, in a table: estimates, how sure they are, and whether the fit has converged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from statespace.foundations.em import ConvergenceMonitor
from statespace.foundations.estimator import NotFittedError
from statespace.foundations.validation import check_choice, check_probability
from statespace.lds.standard_errors import KINDS, coordinate_covariance, delta_method, jacobian_by_differences
from statespace.protocols import Floats

if TYPE_CHECKING:
    from statespace.lds.objective import Objective


@dataclass(frozen=True, eq=False)
class Summary:
    """A table of estimates; `print` it."""

    model: str
    """Name of the model's class."""
    names: list[str]
    """Of the parameters."""
    estimates: Floats
    """Shape (n_parameters,)."""
    standard_errors: Floats
    """Shape (n_parameters,); NaN where the data say nothing."""
    z: Floats
    """estimates / standard_errors."""
    intervals: Floats
    """estimates -+ quantile * standard_errors, of variances on the scale of logarithms, shape (n_parameters, 2)."""
    level: float
    """Of the intervals."""
    kind: str
    """Of the standard errors: "observed", "opg" or "robust"."""
    log_likelihood: float
    """In nats."""
    aic: float
    """2 k - 2 log L."""
    bic: float
    """log(n) k - 2 log L."""
    n_steps: int
    """n: steps that were scored, without diffuse ones."""
    converged: bool
    """Whether the fit has converged."""
    reason: str
    """Why it stopped."""

    def __str__(self) -> str:
        title = f"{self.level:g} interval"
        width = max([len(name) for name in self.names] + [9])
        lines = [
            f"{self.model}: {self.n_steps} steps, log-likelihood {self.log_likelihood:.4f}, aic {self.aic:.4f}, "
            f"bic {self.bic:.4f}",
            self.reason,
            f"{'parameter':<{width}} {'estimate':>13} {'std. error':>13} {'z':>9} {title:>27}",
        ]
        for name, value, error, z, (low, high) in zip(
            self.names, self.estimates, self.standard_errors, self.z, self.intervals, strict=True
        ):
            lines.append(f"{name:<{width}} {value:>13.6g} {error:>13.6g} {z:>9.3f} {low:>13.6g} {high:>13.6g}")
        if np.isnan(self.standard_errors).any():
            lines.append("nan: the data say nothing of the parameter by itself, or it lies at a bound")
        lines.append(f"standard errors: {self.kind}")
        return "\n".join(lines)


class FitRecord(NamedTuple):
    """What a fit leaves behind for those who ask how sure it is."""

    objective: Objective
    theta: Floats
    log_likelihood: float


class Summarised:
    """Standard errors, intervals and a table, on the record that a fit has left."""

    monitor_: ConvergenceMonitor
    n_parameters: Any

    def _record(self, objective: Objective, theta: Floats, log_likelihood: float) -> None:
        self._fit_record = FitRecord(objective, theta, log_likelihood)
        self._covariances: dict[str, Floats] = {}

    def _recorded(self) -> FitRecord:
        if not hasattr(self, "_fit_record"):
            raise NotFittedError(
                f"this {type(self).__name__} has no data to tell how sure its parameters are: call fit(X) first (a "
                "file keeps no data)"
            )
        return self._fit_record

    def covariance(self, kind: str = "observed") -> Floats:
        """Covariance of the estimates, shape (n_parameters, n_parameters); NaN where the data say nothing.

        Parameters
        ----------
        kind : {"observed", "opg", "robust"}
            Inverse of the observed information; of the sum of squared scores of the steps; or the sandwich of both,
            for a model that is not quite the data's.

        """
        check_choice("kind", kind, KINDS)
        objective, theta, _ = self._recorded()
        if kind not in self._covariances:
            units = objective.units(theta)
            covariance = coordinate_covariance(
                kind, theta, units, lambda at: objective.value_and_slope(at)[1], objective.steps
            )
            natural = getattr(objective.parametrisation, "natural_jacobian", None)
            if natural is not None:
                jacobian = natural(theta)
            elif hasattr(objective.parametrisation, "natural"):
                jacobian = jacobian_by_differences(objective.natural, theta, units)
            else:
                jacobian = np.eye(len(theta))
            self._covariances[kind] = delta_method(covariance, jacobian)
        return self._covariances[kind].copy()

    def standard_errors(self, kind: str = "observed") -> Floats:
        """Standard errors of the estimates, shape (n_parameters,); `kind` as in `covariance`."""
        variances = np.diagonal(self.covariance(kind))
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.where(variances < 0, np.nan, variances)))

    def confidence_intervals(self, level: float = 0.95, kind: str = "observed") -> Floats:
        """Intervals of the estimates that hold the truth with probability `level`, shape (n_parameters, 2).

        estimate -+ quantile * standard error; of a variance s, which has no values below 0, this of its logarithm:
        s exp(-+ quantile * standard error / s). They hold a small variance more often (of a local level with a
        thousandth to a tenth of the noise's, in 100 steps, in nine cases of ten at level 0.95, and the others in
        eight), and never reach below 0. NaN where a variance is estimated as 0: the data do not tell it from there.

        Parameters
        ----------
        level : float
        kind : {"observed", "opg", "robust"}
            Of the standard errors: see `covariance`.

        """
        from scipy.special import ndtri

        probability = check_probability("level", level)
        objective, theta, _ = self._recorded()
        reach = ndtri(0.5 + 0.5 * probability) * self.standard_errors(kind)
        estimates = objective.natural(theta)
        found = np.stack([estimates - reach, estimates + reach], axis=1)
        variances = np.flatnonzero(np.asarray(getattr(objective.parametrisation, "variances", []), dtype=bool))
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            factor = np.exp(reach[variances] / estimates[variances])
            found[variances] = np.stack([estimates[variances] / factor, estimates[variances] * factor], axis=1)
        return found

    def summary(self, kind: str = "observed", level: float = 0.95) -> Summary:
        """A table of the estimates, to be printed.

        Parameters
        ----------
        kind : {"observed", "opg", "robust"}
            Of the standard errors: see `covariance`.
        level : float
            Of the intervals.

        """
        objective, theta, log_likelihood = self._recorded()
        estimates, errors = objective.natural(theta), self.standard_errors(kind)
        k, n = int(self.n_parameters), objective.n_scored(theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = estimates / errors
        return Summary(
            type(self).__name__,
            list(objective.parametrisation.names),
            estimates,
            errors,
            z,
            self.confidence_intervals(level, kind),
            level,
            kind,
            log_likelihood,
            2 * k - 2 * log_likelihood,
            math.log(max(n, 1)) * k - 2 * log_likelihood,
            n,
            self.monitor_.reason.startswith("converged"),
            self.monitor_.reason,
        )
