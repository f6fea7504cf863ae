r"""Seasonal ARIMA models, by the exact likelihood of the series itself.

    phi(L) Phi(L^s) (1 - L)^d (1 - L^s)^D (y_t - x_t^T beta) = c + d t + theta(L) Theta(L^s) e_t,    e_t ~ N(0, sigma2)

No observation is lost to differencing: those before the first are states of which nothing is known. Signs, names and
order of the parameters are those of statsmodels' SARIMAX. Box and Jenkins (1976); Harvey (1989), chapter 3.
"""

from __future__ import annotations

from typing import Any

from statespace.lds.arima_process import ArimaProcess
from statespace.lds.component import Component
from statespace.lds.components import Regression
from statespace.lds.composed_model import ComposedModel


class ARIMA(ComposedModel):
    """A seasonal ARIMA model of one series, or of several that share its parameters; ARMA(p, q) is (p, 0, q).

    Parameters
    ----------
    order : (p, d, q)
        Lags of the autoregression, first differences, lags of the moving average.
    seasonal_order : (P, D, Q, s)
        The same at multiples of the season of s steps.
    trend : {"n", "c", "t", "ct"}
        Nothing, a constant c, a drift d t with t = 0 at the first observation, or both, on the right of the equation.
    exog : {"parameters", "states"}
        How the coefficients of known inputs are treated, which come with the data as `fit(X, exog=...)`.
    n_iter, tol, random_state
        As in `ParametricModel`.

    Attributes
    ----------
    params_ : (n_parameters,)
        The estimates, as `param_names_` names them. Polynomials are stationary and invertible.

    """

    def __init__(
        self,
        order: Any = (1, 0, 0),
        seasonal_order: Any = (0, 0, 0, 0),
        trend: str = "n",
        exog: str = "parameters",
        *,
        n_iter: int = 500,
        tol: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.order = order
        self.seasonal_order = seasonal_order
        self.trend = trend
        self.exog = exog
        self.n_iter = n_iter
        self.tol = tol
        self.random_state = random_state

    def components(self) -> list[Component]:
        """The process."""
        if not isinstance(self.exog, str) or self.exog not in ("parameters", "states"):
            raise ValueError(
                f"exog is {self.exog!r:.60}, expected 'parameters' or 'states': how coefficients are treated; the "
                "inputs themselves come with the data, fit(X, exog=...)"
            )
        return [ArimaProcess(self.order, self.seasonal_order, self.trend)]

    def _regression(self) -> Regression:
        return Regression(self.exog)
