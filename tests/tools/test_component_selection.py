"""Numbers of states: criteria from published likelihoods, by hand, and the same as fitting each alone."""

import math
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from statespace import HMM, MarkovChain, compare, select_n_components
from statespace.hmm import CategoricalEmission, GaussianEmission, PoissonEmission


def earthquakes():
    path = Path(__file__).parents[3] / "shared" / "data" / "earthquakes" / "earthquakes.csv"
    if not path.exists():
        pytest.skip(f"the earthquakes are not at {path}")
    return np.loadtxt(path, delimiter=",", skiprows=1, dtype=int)[:, -1]


@pytest.mark.parametrize(
    ("start", "log_likelihoods", "counts", "by_bic"),
    [
        ("free", [-391.9189, -341.8787, -328.5275], [1, 5, 11], 2),  # 707.12 for 2 states, 708.46 for 3
        ("stationary", [-391.9189, -342.3183, -329.4603, -327.8316], [1, 4, 9, 16], 3),
    ],
)
def test_earthquakes_have_three_states(start, log_likelihoods, counts, by_bic):
    # Zucchini and MacDonald (2009), tables 3.3 and 4.2 and section 6.1: AIC and BIC of stationary models pick 3 states
    x = earthquakes()
    L, p = np.array(log_likelihoods), np.array(counts)
    model = HMM(emission=PoissonEmission(), start=start, method="lbfgs", n_init=6, n_iter=1000, random_state=0)
    found = select_n_components(model, x, range(1, len(p) + 1))
    np.testing.assert_allclose(found.log_likelihood, L, atol=1e-4)
    assert found.n_parameters == tuple(counts)
    assert found.n_steps == 107
    np.testing.assert_allclose(found.aic, 2 * p - 2 * L, atol=2e-4)
    np.testing.assert_allclose(found.bic, p * math.log(107) - 2 * L, atol=2e-4)
    np.testing.assert_allclose(found.aicc, 2 * p - 2 * L + 2 * p * (p + 1) / (107 - p - 1), atol=2e-4)
    assert found.best == {"aic": 3, "aicc": 3, "bic": by_bic}
    assert found.n_components == found.model.n_components == by_bic
    assert found.model.score(x) == pytest.approx(found.log_likelihood[by_bic - 1], rel=1e-13)


def test_the_true_number_is_found():
    rng = np.random.default_rng(0)
    states = np.repeat(rng.permutation(np.arange(12) % 3), 50)
    x = rng.normal(size=600) + 4 * states
    found = select_n_components(
        HMM(emission=GaussianEmission(), n_init=2, n_iter=1000, random_state=0), x, [4, 2, 3, 1, 3]
    )
    assert found.components.tolist() == [1, 2, 3, 4]
    assert found.n_components == 3


def test_gaps_are_no_steps_and_sequences_may_lie_end_to_end():
    rng = np.random.default_rng(1)
    x = rng.poisson(3, size=60).astype(float)
    x[7] = np.nan
    model = HMM(emission=PoissonEmission(), random_state=0)
    flat = select_n_components(model, x, [1, 2], lengths=[40, 20])
    listed = select_n_components(model, [x[:40], x[40:]], [1, 2])
    assert flat.n_steps == listed.n_steps == 59
    np.testing.assert_array_equal(flat.bic, listed.bic)
    assert flat.bic[1] == pytest.approx(flat.models[1].bic(x, [40, 20]), rel=1e-12)


def test_held_out_losses_are_those_of_compare():
    rng = np.random.default_rng(2)
    x = (rng.random(200) < np.repeat([0.1, 0.8, 0.1, 0.8], 50)).astype(int)
    model = HMM(emission=CategoricalEmission(), random_state=0)
    found = select_n_components(model, x, [1, 2], "held_out", test=50)
    wanted = compare(
        {"1": HMM(1, CategoricalEmission(), random_state=0), "2": HMM(2, CategoricalEmission(), random_state=0)},
        x,
        test=50,
    )
    np.testing.assert_array_equal(found.held_out, wanted.held_out_nats)
    assert found.n_test_steps == 50
    assert found.n_components == int(wanted.best)
    others = select_n_components(model, x[:150], [1, 2], lengths=[100, 50], test=[x[150:]])
    assert others.n_test_steps == 50
    assert {"held_out", "held_out_error"} < set(others.to_frame().columns)


def test_the_table_shows_every_number_and_the_picks():
    found = select_n_components(HMM(emission=PoissonEmission(), random_state=0), [1, 0, 5, 6, 0, 1, 7] * 5, [1, 2])
    assert str(found).splitlines()[0].split() == ["components", "parameters", "log", "L", "AIC", "AICc", "BIC"]
    assert "35 steps; components picked: aic" in repr(found)
    assert found._repr_html_().count("<tr>") == 3
    assert found.to_frame().index.tolist() == [1, 2]
    assert found.aicc[0] > found.aic[0]


def test_workers_give_the_same_bits():
    x = np.random.default_rng(3).poisson(4, size=80)
    model = HMM(emission=PoissonEmission(), n_init=2, n_iter=20, tol=0.1, random_state=0)
    with ProcessPoolExecutor(2) as executor:
        elsewhere = select_n_components(model, x, [1, 2], executor=executor)
    np.testing.assert_array_equal(elsewhere.log_likelihood, select_n_components(model, x, [1, 2]).log_likelihood)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": MarkovChain()}, TypeError, "MarkovChain, which has no parameter n_components"),
        ({"n_components": 3}, TypeError, r"such as range\(1, 4\)"),
        ({"n_components": []}, ValueError, "empty"),
        ({"n_components": [0, 1]}, ValueError, "n_components is 0"),
        ({"criterion": "likelihood_ratio"}, ValueError, "criterion is 'likelihood_ratio'"),
        ({"criterion": "held_out"}, ValueError, "needs test="),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(arguments, error, message):
    arguments = {"model": HMM(emission=PoissonEmission()), "X": [1, 2, 3]} | arguments
    with pytest.raises(error, match=message):
        select_n_components(**arguments)
