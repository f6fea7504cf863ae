from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from statespace.plotting import smoothed_path


def axes() -> Any:
    return Figure(figsize=(6, 5)).add_subplot()


def of(ax: Any, gid: str) -> Any:
    (found,) = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    return found


def result(n: int, m: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n, m, m))
    return SimpleNamespace(mean=rng.normal(size=(n, m)), cov=roots @ roots.transpose(0, 2, 1))


def test_ellipses_hold_as_many_draws_as_they_say() -> None:
    r = result(5, 4)
    ellipses = of(smoothed_path(r, ax=axes(), states=(2, 0), level=0.8), "ellipses").get_paths()
    assert len(ellipses) == 5
    rng = np.random.default_rng(1)
    for mean, cov, ellipse in zip(r.mean, r.cov, ellipses, strict=True):
        draws = rng.multivariate_normal(mean, cov, size=20000)[:, [2, 0]]
        # a standard error of 0.003; the polygon of 48 corners lacks 0.3% of the ellipse
        assert np.mean(ellipse.contains_points(draws)) == pytest.approx(0.8, abs=0.015)


def test_corners_lie_at_the_quantile_of_the_chi_squared_law() -> None:
    from scipy import stats

    r = result(3, 2)
    for mean, cov, ellipse in zip(
        r.mean, r.cov, of(smoothed_path(r, ax=axes(), level=0.5), "ellipses").get_paths(), strict=True
    ):
        away = ellipse.vertices - mean
        distances = np.einsum("ci,ci->c", away, np.linalg.solve(cov, away.T).T)
        np.testing.assert_allclose(distances, stats.chi2.ppf(0.5, 2), rtol=1e-9)


def test_the_path_its_start_and_the_observations_are_drawn() -> None:
    r = result(4, 3)
    x = np.column_stack([np.arange(4.0), [1.0, np.nan, 2.0, 3.0], np.zeros(4)])
    ax = smoothed_path(r, x, axes(), states=(0, 2), features=(0, 1))
    np.testing.assert_array_equal(np.column_stack(of(ax, "mean").get_data()), r.mean[:, [0, 2]])
    np.testing.assert_array_equal(np.ravel(of(ax, "start").get_data()), r.mean[0, [0, 2]])
    np.testing.assert_array_equal(np.column_stack(of(ax, "observations").get_data()), x[:, [0, 1]])
    assert ax.get_aspect() == 1.0


def test_steps_that_are_diffuse_are_left_out() -> None:
    r = result(5, 2)
    filtered = SimpleNamespace(filtered_mean=r.mean, filtered_cov=r.cov, n_diffuse_steps=2)
    ax = smoothed_path(filtered, ax=axes())
    assert len(of(ax, "ellipses").get_paths()) == 4
    np.testing.assert_array_equal(np.ravel(of(ax, "start").get_data()), r.mean[1])


def test_what_is_known_exactly_is_a_stroke_or_a_point() -> None:
    r = SimpleNamespace(mean=np.zeros((2, 2)), cov=np.array([np.zeros((2, 2)), np.ones((2, 2))]))
    point, stroke = (path.vertices for path in of(smoothed_path(r, ax=axes()), "ellipses").get_paths())
    assert not point.any()
    np.testing.assert_allclose(stroke[:, 0], stroke[:, 1], atol=1e-12)


def test_what_does_not_fit_together_is_refused_in_words() -> None:
    r = result(3, 2)
    with pytest.raises(ValueError, match=r"states names 2, expected 0\.\.1"):
        smoothed_path(r, states=(0, 2))
    with pytest.raises(ValueError, match=r"features names 1, expected 0\.\.0"):
        smoothed_path(r, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="states is 1, expected two numbers"):
        smoothed_path(r, states=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there are states of 3 steps, but X has 2"):
        smoothed_path(r, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="level"):
        smoothed_path(r, level=0.0)
