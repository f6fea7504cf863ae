r"""Seasonal ARIMA processes as blocks of states, exact from the first observation.

    phi(L) Phi(L^s) w_t = c + d t + theta(L) Theta(L^s) e_t,      w_t = (1 - L)^d (1 - L^s)^D y_t

Of d + s D numbers before the first observation nothing is known: no observation is lost to differencing, and missing
ones need nothing special. With a drift one more state counts the steps, 0 at the first observation. Signs and names of
the coefficients are those of statsmodels' SARIMAX.

Harvey (1989), section 3.3; Durbin and Koopman (2012), section 3.4; starting values by Hannan and Rissanen (1982).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from statespace.foundations.validation import check_choice, check_integer
from statespace.lds.arma_process import (
    companion,
    differencing,
    process_pullback,
    product,
    product_pullback,
    rational_spectrum,
    write_process,
)
from statespace.lds.bounded_parameters import Invertible, Parameter, Relative, Stationary, Variance, is_inside
from statespace.lds.component import Block, Component, Facts
from statespace.lds.spectra import Spectrum
from statespace.protocols import Floats

TRENDS = ("n", "c", "t", "ct")


@dataclass(frozen=True)
class ArimaProcess(Component):
    """The process as one part, which others can be added to.

    Parameters
    ----------
    order : (p, d, q)
        Lags of the autoregression, first differences, lags of the moving average.
    seasonal_order : (P, D, Q, s)
        The same at multiples of the season of s steps.
    trend : {"n", "c", "t", "ct"}
        Nothing, a constant c, a drift d t, or both, on the right of the equation above.

    """

    name: ClassVar[str] = "arima"
    order: tuple[int, int, int]
    seasonal_order: tuple[int, int, int, int] = (0, 0, 0, 0)
    trend: str = "n"

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", _checked_order("order", self.order, ("p", "d", "q")))
        object.__setattr__(
            self, "seasonal_order", _checked_order("seasonal_order", self.seasonal_order, ("P", "D", "Q", "s"))
        )
        check_choice("trend", self.trend, TRENDS)
        *seasonal, season = self.seasonal_order
        if any(seasonal) and season < 2:
            raise ValueError(f"seasonal_order is {self.seasonal_order}, expected a season s of at least 2 steps")
        for letter, lags, seasonal_lags in zip("pq", self.order[::2], seasonal[::2], strict=True):
            if seasonal_lags and lags >= season:
                raise ValueError(
                    f"{letter} of order is {lags} and the season {season}: lags that both polynomials have cannot be "
                    f"told apart; expected {letter} below {season}, or seasonal_order without them"
                )

    @property
    def _sizes(self) -> tuple[int, int, int, int]:
        (p, _, q), (P, _, Q, _) = self.order, self.seasonal_order
        return p, q, P, Q

    @property
    def _season(self) -> int:
        return self.seasonal_order[3]

    @cached_property
    def _delta(self) -> Floats:
        return differencing(self.order[1], self.seasonal_order[1], self._season)

    @property
    def n_states(self) -> int:
        """max(p + P s + d + D s, q + Q s + 1), and one that counts where there is a drift."""
        p, q, P, Q = self._sizes
        s = self._season
        return max(p + P * s + self.n_diffuse, q + Q * s + 1) + ("t" in self.trend)

    @property
    def n_disturbances(self) -> int:
        """The innovation."""
        return 1

    @property
    def n_diffuse(self) -> int:
        """The observations that differences reach back to, d + D s."""
        return self.order[1] + self.seasonal_order[1] * self._season

    @property
    def waves(self) -> frozenset[Fraction]:
        """What differences remove: a constant, and the waves of the season."""
        found = {Fraction(0)} if self.order[1] else set()
        season = self._season
        return frozenset(found | {Fraction(j, season) for j in range(season // 2 + 1) if self.seasonal_order[1]})

    @property
    def holds_constant(self) -> bool:
        """Where differences are taken, or a constant is estimated."""
        return 0 in self.waves or "c" in self.trend

    def parameters(self, name: str) -> list[Parameter]:
        """intercept, drift, ar.L1.., ma.L1.., ar.S.L12.., ma.S.L12.., sigma2; of one of several ar2.L1.., sigma2.2."""
        of = name.removeprefix(self.name)
        p, q, P, Q = self._sizes
        s = self._season
        found = [
            Parameter((word + of,), Relative())
            for word, sign in (("intercept", "c"), ("drift", "t"))
            if sign in self.trend
        ]
        groups: list[tuple[list[str], Stationary | Invertible]] = [
            ([f"ar{of}.L{lag}" for lag in range(1, p + 1)], Stationary()),
            ([f"ma{of}.L{lag}" for lag in range(1, q + 1)], Invertible()),
            ([f"ar{of}.S.L{lag * s}" for lag in range(1, P + 1)], Stationary()),
            ([f"ma{of}.S.L{lag * s}" for lag in range(1, Q + 1)], Invertible()),
        ]
        found += [Parameter(tuple(names), kind) for names, kind in groups if names]
        return [*found, Parameter((f"sigma2.{of}" if of else "sigma2",), Variance())]

    def _split(self, values: Floats) -> tuple[float, float, list[Floats], float]:
        p, q, P, _ = self._sizes
        at = len(self.trend.replace("n", ""))
        intercept = float(values[0]) if "c" in self.trend else 0.0
        drift = float(values[at - 1]) if "t" in self.trend else 0.0
        stops = (at, at + p, at + p + q, at + p + q + P, len(values) - 1)
        parts = [values[a:b] for a, b in pairwise(stops)]
        return intercept, drift, parts, float(values[-1])

    def _polynomials(self, parts: list[Floats]) -> tuple[Floats, Floats]:
        """Coefficients phi and theta of the products of both polynomials."""
        ar, ma, seasonal_ar, seasonal_ma = parts
        return -product(-ar, -seasonal_ar, self._season), product(ma, seasonal_ma, self._season)

    def write(self, block: Block, values: Floats) -> None:
        """The process, and the mean that the trend gives it."""
        intercept, drift, parts, sigma2 = self._split(values)
        phi, theta = self._polynomials(parts)
        write_process(block, phi, theta, sigma2, self._delta)
        block.state_intercept[0] = intercept
        if "t" in self.trend:
            block.transition[0, -1] = drift
            block.transition[-1, -1] = block.state_intercept[-1] = block.initial_state[-1] = 1.0
        if self.trend != "n":
            w = max(len(phi), len(theta) + 1)
            block.initial_state[:w] = self._means(companion(w, phi), intercept, drift)[0]

    @staticmethod
    def _means(transition: Floats, intercept: float, drift: float) -> tuple[Floats, Floats]:
        """The numbers of the mean u + v t of the states: (I - T) v = d e_1, (I - T) u = (c + d) e_1 - v."""
        m = len(transition)
        left, first = np.eye(m) - transition, np.eye(1, m)[0]
        v = np.linalg.solve(left, drift * first)
        return np.linalg.solve(left, (intercept + drift) * first - v), v

    def pullback(self, gradient: Block, block: Block, values: Floats) -> Any:
        """The chain rule through all matrices and the start."""
        intercept, drift, parts, sigma2 = self._split(values)
        phi, theta = self._polynomials(parts)
        d_phi, d_theta, d_sigma2 = process_pullback(gradient, block, phi, theta, sigma2, self._delta)
        pulled = []
        if self.trend != "n":
            w = max(len(phi), len(theta) + 1)
            transition = companion(w, phi)
            u, v = self._means(transition, intercept, drift)
            of_u = np.linalg.solve(np.eye(w) - transition.T, gradient.initial_state[:w])
            of_v = np.linalg.solve(np.eye(w) - transition.T, -of_u)
            d_phi = d_phi + (np.outer(of_u, u) + np.outer(of_v, v))[: len(phi), 0]
            if "c" in self.trend:
                pulled.append(gradient.state_intercept[0] + of_u[0])
            if "t" in self.trend:
                pulled.append(gradient.transition[0, -1] + of_u[0] + of_v[0])
        ar, ma, seasonal_ar, seasonal_ma = parts
        d_ar, d_seasonal_ar = product_pullback(-ar, -seasonal_ar, self._season, d_phi)  # both signs turn, and cancel
        d_ma, d_seasonal_ma = product_pullback(ma, seasonal_ma, self._season, d_theta)
        return np.concatenate([pulled, d_ar, d_ma, d_seasonal_ar, d_seasonal_ma, [d_sigma2]])

    @property
    def varies(self) -> tuple[str, ...]:
        """What the orders and the trend ask for."""
        p, q, P, Q = self._sizes
        named = ["state_cov", "initial_state_cov"]
        named += ["selection"] if q or Q else []
        named += ["transition"] if p or P or "t" in self.trend else []
        named += ["state_intercept", "initial_state"] if self.trend != "n" else []
        if (p or P) and self.n_diffuse:  # the loadings move: the chain rule takes a way through all others
            named += ["design", "selection", "state_intercept", "initial_state"]
        return tuple(dict.fromkeys(named))

    def spectrum(self, values: Floats, frequencies: Floats) -> Spectrum | None:
        """sigma2 |theta Theta|^2 / |phi Phi delta|^2; a trend has no share of it."""
        *_, (ar, ma, seasonal_ar, seasonal_ma), sigma2 = self._split(values)
        z = np.exp(-1j * frequencies)
        seasonal = z**self._season
        density, (by_ma, by_seasonal_ma, by_ar, by_seasonal_ar, _) = rational_spectrum(
            1.0, [(ma, z), (seasonal_ma, seasonal)], [(ar, z), (seasonal_ar, seasonal), (self._delta, z)]
        )
        trend = np.zeros((len(values) - len(ar) - len(ma) - len(seasonal_ar) - len(seasonal_ma) - 1, len(z)))
        moved = [sigma2 * part for part in (by_ar, by_ma, by_seasonal_ar, by_seasonal_ma)]
        return sigma2 * density, np.concatenate([trend, *moved, density[None]])

    def start(self, facts: Facts) -> list[float]:
        """Least squares on lags of the differenced series and of the residuals of a long autoregression."""
        p, q, P, Q = self._sizes
        s = self._season
        delta = np.concatenate([[1.0], -self._delta])
        w = [np.convolve(y, delta, "valid") for y in facts.series if len(y) >= len(delta)]
        numbers = np.concatenate([part[~np.isnan(part)] for part in w]) if w else np.empty(0)
        mean = float(numbers.mean()) if self.trend != "n" and numbers.size else 0.0
        longest = max(w, key=len) - mean if w else np.empty(0)
        ar_lags = [*range(1, p + 1), *range(s, P * s + 1, s or 1)] if P else list(range(1, p + 1))
        ma_lags = [*range(1, q + 1), *range(s, Q * s + 1, s or 1)] if Q else list(range(1, q + 1))
        found, sigma2 = _hannan_rissanen(longest, ar_lags, ma_lags)
        ar, seasonal_ar, ma, seasonal_ma = np.split(found, np.cumsum([p, P, q]))
        if not all(is_inside(part) for part in (ar, seasonal_ar, -ma, -seasonal_ma)):  # it will be moved inwards
            sigma2 = float(np.mean((numbers - mean) ** 2))
        if not sigma2 > 0:
            sigma2 = facts.noise
        trend = [mean * (1.0 - ar.sum()) * (1.0 - seasonal_ar.sum())] if "c" in self.trend else []
        return [*trend, *([0.0] if "t" in self.trend else []), *ar, *ma, *seasonal_ar, *seasonal_ma, sigma2]


def _checked_order(name: str, value: Any, letters: tuple[str, ...]) -> tuple[Any, ...]:
    try:
        numbers = tuple(value)
    except TypeError:
        numbers = ()
    if len(numbers) != len(letters):
        data = "; the data come with fit(X)" if len(numbers) > len(letters) else ""
        raise TypeError(f"{name} is {value!r:.60}, expected ({', '.join(letters)}){data}")
    return tuple(check_integer(f"{letter} of {name}", number) for letter, number in zip(letters, numbers, strict=True))


def _hannan_rissanen(w: Floats, ar_lags: list[int], ma_lags: list[int]) -> tuple[Floats, float]:
    """Coefficients of both, and the variance of what is left; zeros where there is too little to learn from."""
    n_coefficients = len(ar_lags) + len(ma_lags)
    nothing = np.zeros(n_coefficients), float(np.nanvar(w)) if (~np.isnan(w)).any() else 0.0
    columns = [_lagged(w, lag) for lag in ar_lags]
    if ma_lags:
        long = min(2 * max([*ma_lags, *ar_lags, 5]), len(w) // 4)
        innovations = _residuals(w, [_lagged(w, lag) for lag in range(1, long + 1)])
        if innovations is None:
            return nothing
        columns += [_lagged(innovations, lag) for lag in ma_lags]
    if not columns:
        return nothing
    residuals = _residuals(w, columns)
    if residuals is None:
        return nothing
    X = np.column_stack(columns)
    rows = ~np.isnan(X).any(axis=1) & ~np.isnan(w)
    return np.asarray(np.linalg.lstsq(X[rows], w[rows], rcond=None)[0]), float(np.nanvar(residuals))


def _lagged(w: Floats, lag: int) -> Floats:
    return np.concatenate([np.full(min(lag, len(w)), np.nan), w[: len(w) - lag] if lag < len(w) else []])


def _residuals(w: Floats, columns: list[Floats]) -> Floats | None:
    """What least squares on the columns leaves, NaN where it has no value; None with too few rows."""
    if not columns:
        return w
    X = np.column_stack(columns)
    rows = ~np.isnan(X).any(axis=1) & ~np.isnan(w)
    if rows.sum() < X.shape[1] + 2:
        return None
    return np.asarray(w - X @ np.linalg.lstsq(X[rows], w[rows], rcond=None)[0])
