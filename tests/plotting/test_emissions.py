"""The laws of the states, against scipy's, and the data behind them."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy import stats

from statespace import hmm, plotting
from statespace.datasets import load_earthquakes, load_old_faithful
from statespace.hmm import HMM, CategoricalEmission, GaussianEmission, PoissonEmission
from statespace.plotting import emission_densities

COUNTS = load_earthquakes().counts
GEYSER = np.column_stack([load_old_faithful().waiting, load_old_faithful().duration])


def axes() -> Any:
    return Figure(figsize=(6, 4)).add_subplot()


def of(ax: Any, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def model(emission: Any, K: int = 2) -> Any:
    """With parameters by hand, so that what is drawn is known."""
    made = HMM(K, emission)
    made.startprob_, made.transmat_ = np.full(K, 1 / K), np.array([[0.9, 0.1], [0.3, 0.7]])[:K, :K]
    made.emission_ = emission
    return made


def poisson() -> Any:
    emission = PoissonEmission()
    emission.lambdas = np.array([[2.0], [20.0]])
    return model(emission)


def gaussian(D: int = 1) -> Any:
    emission = GaussianEmission("full")
    emission.means = np.array([[60.0, 4.0], [80.0, 2.0]])[:, :D]
    emission.covars = np.array([[[36.0, 2.0], [2.0, 0.3]], [[49.0, -1.0], [-1.0, 0.2]]])[:, :D, :D]
    return model(emission)


def test_curves_are_the_densities_of_the_states() -> None:
    ax = emission_densities(gaussian(), ax=axes())
    for line, mean, sd in zip(of(ax, "state"), (60.0, 80.0), (6.0, 7.0), strict=True):
        x, y = line.get_data()
        np.testing.assert_allclose(y, stats.norm.pdf(x, mean, sd), rtol=1e-9)
        assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.01)  # the picture shows all of it


def test_stems_are_the_probabilities_of_counts() -> None:
    ax = emission_densities(poisson(), ax=axes())
    for stems, rate in zip(of(ax, "state"), (2.0, 20.0), strict=True):
        y = np.array([segment[1][1] for segment in stems.get_segments()])
        np.testing.assert_allclose(y, stats.poisson.pmf(np.arange(len(y)), rate), rtol=1e-9, atol=1e-300)
        assert y.sum() == pytest.approx(1.0, abs=0.01)


def test_bars_are_the_probabilities_of_symbols() -> None:
    emission = CategoricalEmission()
    emission.emissionprob, emission.symbols = np.array([[0.2, 0.8], [0.9, 0.1]]), np.array(["dry", "wet"])
    ax = emission_densities(model(emission), ax=axes())
    drawn = [bar.get_height() for bar in of(ax, "state")]
    np.testing.assert_allclose(drawn, [0.2, 0.8, 0.9, 0.1], rtol=1e-12)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["dry", "wet"]


def test_with_data_the_laws_are_weighted_by_the_posterior_share_and_add_up() -> None:
    made = poisson()
    ax = emission_densities(made, COUNTS, axes())
    share = made.predict_proba(COUNTS).mean(axis=0)
    n = COUNTS.max() + 2
    expected = share * stats.poisson.pmf(np.arange(n)[:, None], [2.0, 20.0])
    for k, stems in enumerate(of(ax, "state")):
        y = [segment[1][1] for segment in stems.get_segments()]
        np.testing.assert_allclose(y, expected[:, k], rtol=1e-9, atol=1e-300)
    (total,) = of(ax, "sum")
    np.testing.assert_allclose(total.get_ydata(), expected.sum(axis=1), rtol=1e-9)
    heights = [bar.get_height() for bar in of(ax, "data")]
    np.testing.assert_allclose(heights, np.bincount(COUNTS, minlength=n) / 107, rtol=1e-12)


def test_without_data_the_weights_are_the_stationary_law() -> None:
    ax = emission_densities(poisson(), ax=axes(), weighted=True)
    masses = [sum(segment[1][1] for segment in stems.get_segments()) for stems in of(ax, "state")]
    np.testing.assert_allclose(masses, [0.75, 0.25], atol=0.01)  # (0.3, 0.1) / 0.4, by hand


def test_missing_observations_are_not_data() -> None:
    gaps = [2.0, None, 4.0, 2.0, np.nan]
    ax = emission_densities(poisson(), gaps, axes())
    heights = [bar.get_height() for bar in of(ax, "data")]
    np.testing.assert_allclose(heights[:5], [0, 0, 2 / 3, 0, 1 / 3], rtol=1e-12)
    share = poisson().predict_proba(gaps)[[0, 2, 3]].mean(axis=0)
    np.testing.assert_allclose(
        of(ax, "sum")[0].get_ydata(), stats.poisson.pmf(np.arange(6)[:, None], [2.0, 20.0]) @ share, rtol=1e-9
    )


def test_sequences_are_drawn_together() -> None:
    one = emission_densities(poisson(), [COUNTS[:50], COUNTS[50:]], axes())
    heights = [bar.get_height() for bar in of(one, "data")]
    np.testing.assert_allclose(heights, np.bincount(COUNTS, minlength=len(heights)) / 107, rtol=1e-12)


def test_two_features_are_ellipses_that_hold_what_they_say() -> None:
    made = gaussian(2)
    ax = emission_densities(made, GEYSER, axes())
    ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 4
    rng = np.random.default_rng(0)
    for ellipse, (k, level) in zip(ellipses, [(0, 0.5), (0, 0.95), (1, 0.5), (1, 0.95)], strict=True):
        emission = made.emission_
        drawn = rng.multivariate_normal(emission.means[k], emission.covars[k], size=20_000)
        inside = ellipse.get_path().contains_points(ellipse.get_patch_transform().inverted().transform(drawn))
        assert inside.mean() == pytest.approx(level, abs=0.02)  # 4 standard errors of 20,000 draws are 0.014
    (points,) = of(ax, "data")
    np.testing.assert_array_equal(np.column_stack(points.get_data()), GEYSER)


@pytest.mark.parametrize("feature", [0, 1])
def test_one_of_several_features_is_its_marginal_density(feature: int) -> None:
    made = gaussian(2)
    ax = emission_densities(made, ax=axes(), feature=feature)
    emission = made.emission_
    for k, line in enumerate(of(ax, "state")):
        x, y = line.get_data()
        sd = np.sqrt(emission.covars[k, feature, feature])
        np.testing.assert_allclose(y, stats.norm.pdf(x, emission.means[k, feature], sd), rtol=1e-9)


class Exponential:
    """A user's own emission, in plain NumPy, with an atom at 0."""

    n_parameters = 4
    rates, dry = np.array([1.0, 0.1]), np.array([0.9, 0.2])

    def log_likelihood(self, X: Any) -> Any:
        wet = np.log((1 - self.dry) * self.rates) - self.rates * X
        return np.where(X == 0, np.log(self.dry), wet)

    def m_step(self, X: Any, posteriors: Any) -> None:
        pass

    def sample(self, states: Any, rng: Any) -> Any:
        return np.where(rng.random(len(states)) < self.dry[states], 0.0, rng.exponential(1 / self.rates[states]))


def test_a_value_with_a_probability_of_its_own_is_named_and_left_out() -> None:
    made = model(Exponential())
    ax = emission_densities(made, ax=axes())
    for k, line in enumerate(of(ax, "state")):
        x, y = line.get_data()
        assert (x > 0).all()
        rate, wet = Exponential.rates[k], 1 - Exponential.dry[k]
        np.testing.assert_allclose(y, wet * rate * np.exp(-rate * x), rtol=1e-9)
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == ["state 0, 90% at 0", "state 1, 20% at 0"]

    rng = np.random.default_rng(0)
    mm = np.where(rng.random(400) < 0.5, 0.0, rng.exponential(5.0, size=400))
    ax = emission_densities(made, mm, axes())
    bars = of(ax, "data")
    mass = sum(bar.get_width() * bar.get_height() for bar in bars)
    assert mass == pytest.approx((mm > 0).mean(), rel=1e-9)  # the histogram is of what is left
    assert f"data, {np.mean(mm == 0):.0%} at 0" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_value_that_only_comes_often_is_none_of_those() -> None:
    ax = emission_densities(gaussian(), [60.0] * 40 + [61.5, 80.0, 83.0] * 5, axes())
    assert sum(bar.get_width() * bar.get_height() for bar in of(ax, "data")) == pytest.approx(1.0, rel=1e-9)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["state 0", "state 1", "sum", "data"]


def test_several_counts_are_drawn_by_their_means() -> None:
    emission = PoissonEmission()
    emission.lambdas = np.array([[1.0, 2.0, 3.0], [6.0, 5.0, 4.0]])
    ax = emission_densities(model(emission), [[0, 2, 4], [8, 4, 3]], axes())
    assert [bar.get_height() for bar in of(ax, "state")] == [1, 2, 3, 6, 5, 4]
    assert [bar.get_height() for bar in of(ax, "data")] == [4, 3, 3.5]


class Multinomial:
    """Counts of three things out of ten; one of them alone is binomial."""

    support, n_parameters = "counts", 4
    shares = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])

    def log_likelihood(self, X: Any) -> Any:
        return np.column_stack([stats.multinomial.logpmf(X, 10, p) for p in self.shares])

    def m_step(self, X: Any, posteriors: Any) -> None:
        pass

    def sample(self, states: Any, rng: Any) -> Any:
        return rng.multinomial(10, self.shares[states])

    def cdf(self, x: Any, feature: int = 0) -> Any:
        return stats.binom.cdf(x, 10, self.shares[:, feature])


def test_a_count_that_cannot_be_alone_is_drawn_by_its_distribution_function() -> None:
    ax = emission_densities(model(Multinomial()), ax=axes(), feature=2)
    for stems, p in zip(of(ax, "state"), (0.5, 0.1), strict=True):
        y = np.array([segment[1][1] for segment in stems.get_segments()])
        np.testing.assert_allclose(y, stats.binom.pmf(np.arange(len(y)), 10, p), rtol=1e-9, atol=1e-15)


class Three(Exponential):
    """Three features, of which none can be missing."""

    def sample(self, states: Any, rng: Any) -> Any:
        return np.column_stack([super(Three, self).sample(states, rng) for _ in range(3)])


def test_what_cannot_be_drawn_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match="HMM has no emission_: give a hidden Markov model after fit"):
        emission_densities(HMM(2, PoissonEmission()))
    with pytest.raises(ValueError, match=r"feature is 2, expected 0\.\.1"):
        emission_densities(gaussian(2), feature=2)
    with pytest.raises(ValueError, match=r"the model has 3 features: say which one to draw, feature=0\.\.2"):
        emission_densities(model(Three()))
    with pytest.raises(ValueError, match="Three has 3 features and cannot leave one out"):
        emission_densities(model(Three()), feature=1)


@pytest.mark.parametrize("K", [2, 6])
def test_the_legend_of_bars_covers_none_of_them(K):
    rng = np.random.default_rng(1)
    symbols = rng.choice(list("abc"), 80)
    ax = plotting.emission_densities(hmm.CategoricalHMM(K, random_state=0, tol=1.0).fit(symbols), symbols)
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert all(bar.get_window_extent().y1 < legend.y0 for bar in ax.patches)
