"""Flat data in, flat results out; a list in, a list out."""

import numpy as np
import pytest

from statespace import LinearDynamicalSystem
from statespace.datasets import load_nile
from statespace.lds import Level, Seasonal
from statespace.lds.diagnostics import diagnostics
from tests.lds.dense_em import draw_data, draw_matrices

NILE = load_nile().flow
LENGTHS = [6, 9]


def case():
    """A diffuse system with known inputs, two sequences of it with gaps, and their inputs."""
    rng = np.random.default_rng(11)
    M = draw_matrices(rng, 2, 2)
    matrices = {name: value for name, value in M.items() if not name.startswith("initial")}
    model = LinearDynamicalSystem.from_matrices(
        **matrices, diffuse=[True, True], obs_exog=rng.standard_normal((2, 1)), state_exog=rng.standard_normal((2, 1))
    )
    return model, [draw_data(rng, M, n) for n in LENGTHS], [rng.standard_normal((n, 1)) for n in LENGTHS]


def assert_rows_of_the_list(flat, each, names):
    for name in names:
        wanted = np.concatenate([getattr(part, name) for part in each])
        np.testing.assert_array_equal(getattr(flat, name), wanted)


@pytest.mark.parametrize("memory", ["full", "last"])
def test_a_filter_of_flat_data_has_the_rows_of_the_list_end_to_end(memory):
    model, parts, inputs = case()
    each = model.filter(parts, exog=inputs, memory=memory)
    flat = model.filter(np.concatenate(parts), LENGTHS, exog=np.concatenate(inputs), memory=memory)
    names = ["predicted_mean", "predicted_cov", "filtered_mean", "filtered_cov", "log_likelihood_steps"]
    assert_rows_of_the_list(flat, each, [*names, "predicted_diffuse_cov", "innovations", "innovation_cov"])
    assert flat.log_likelihood == pytest.approx(sum(part.log_likelihood for part in each), rel=1e-14)
    for name in ("form_used", "steady_from", "n_diffuse_steps"):
        assert getattr(flat, name) == tuple(getattr(part, name) for part in each)
    if memory == "full":
        assert flat.filtered_mean.shape == (15, 2)
        assert flat.predicted_mean.shape == (17, 2)


@pytest.mark.parametrize("options", [{}, {"lag": 1}, {"form": "square_root"}])
def test_a_smoother_of_flat_data_has_the_rows_of_the_list_end_to_end(options):
    model, parts, inputs = case()
    each = model.smooth(parts, exog=inputs, **options)
    flat = model.smooth(np.concatenate(parts), LENGTHS, exog=np.concatenate(inputs), **options)
    assert_rows_of_the_list(flat, each, ["mean", "cov", "lag_one_cov"])
    if "lag" not in options:
        disturbances = ["obs_disturbance", "state_disturbance"]
        assert_rows_of_the_list(flat, each, [*disturbances, *(f"{name}_cov" for name in disturbances)])
    assert flat.mean.shape == (15, 2)
    assert flat.lag_one_cov.shape == (13, 2, 2)


@pytest.mark.parametrize("verb", ["predictive", "forecast"])
def test_flat_data_have_one_law(verb):
    model, parts, inputs = case()
    more = [np.concatenate([x, np.ones((1, 1))]) for x in inputs]
    each = getattr(model, verb)(parts, exog=more)
    flat = getattr(model, verb)(np.concatenate(parts), lengths=LENGTHS, exog=np.concatenate(more))
    assert_rows_of_the_list(flat, each, ["mean", "cov"])
    assert len(flat) == (17 if verb == "predictive" else 2)


def test_draws_and_scored_steps_of_flat_data_are_flat():
    model, parts, inputs = case()
    flat, exog = np.concatenate(parts), np.concatenate(inputs)
    drawn = model.simulate_smoother(flat, 3, LENGTHS, exog=exog, random_state=0)
    each = model.simulate_smoother(parts, 3, exog=inputs, random_state=0)
    np.testing.assert_array_equal(drawn, np.concatenate(each, axis=1))
    scored = model.scored_steps(flat, LENGTHS, exog=exog)
    np.testing.assert_array_equal(scored, np.concatenate(model.scored_steps(parts, exog=inputs)))


def test_flat_data_of_one_sequence_are_flat_too():
    model = LinearDynamicalSystem.from_matrices([[1.0]], [[15099.0]], [[1.0]], [[1469.1]])
    found = model.smooth(NILE, [100])
    np.testing.assert_array_equal(found.mean, model.smooth(NILE).mean)
    assert found.form_used == ("covariance",)
    assert model.filter(NILE, [100]).state[0].mean == model.filter(NILE).state.mean


def test_several_sequences_go_on_each_from_its_own_state():
    model, parts, inputs = case()
    whole = model.filter(parts, exog=inputs)
    begun = model.filter([part[:4] for part in parts], exog=[x[:4] for x in inputs])
    later, known = [part[4:] for part in parts], [x[4:] for x in inputs]
    on = model.filter(later, exog=known, state=[part.state for part in begun])
    for part, rest in zip(whole, on, strict=True):
        np.testing.assert_allclose(rest.filtered_mean, part.filtered_mean[4:], rtol=1e-9)
    begun = model.filter(
        np.concatenate([part[:4] for part in parts]), [4, 4], exog=np.concatenate([x[:4] for x in inputs])
    )
    flat = model.filter(np.concatenate(later), [2, 5], exog=np.concatenate(known), state=begun.state)
    assert_rows_of_the_list(flat, on, ["filtered_mean"])
    ahead = [np.concatenate([x, np.ones((3, 1))]) for x in inputs]
    laws = model.forecast(parts, 3, exog=ahead)
    alone = model.forecast(None, 3, exog=np.ones((6, 1)), state=[part.state for part in whole])
    for law, same in zip(laws, alone, strict=True):
        np.testing.assert_array_equal(law.mean, same.mean)


def test_states_that_are_not_those_of_the_sequences_are_refused():
    model, parts, inputs = case()
    states = [part.state for part in model.filter(parts, exog=inputs)]
    with pytest.raises(ValueError, match="state is that of one sequence, and X has 2: give a list of states"):
        model.filter(parts, exog=inputs, state=states[0])
    with pytest.raises(ValueError, match="state is those of 2 sequences, and X has 1"):
        model.filter(parts[0], exog=inputs[0], state=states)
    with pytest.raises(ValueError, match="state is ndarray, expected the `state` of an earlier filter"):
        model.predictive(parts[0], exog=inputs[0], state=np.zeros(2))
    with pytest.raises(ValueError, match="X is None: hand over data"):
        model.forecast(None, 2, exog=np.ones((2, 1)))


def test_parts_of_flat_series_are_flat_and_tests_are_of_each():
    series = [NILE[:40], NILE[40:]]
    model = (Level() + Seasonal(4)).fit(series)
    flat, each = model.decompose(NILE, [40, 60]), model.decompose(series)
    for name in flat.names:
        np.testing.assert_array_equal(flat.mean[name], np.concatenate([part.mean[name] for part in each]))
        np.testing.assert_array_equal(flat.variance[name], np.concatenate([part.variance[name] for part in each]))
    tests = model.diagnostics(NILE, [40, 60])
    assert [one.n_innovations for one in tests] == [one.n_innovations for one in model.diagnostics(series)]
    with pytest.raises(ValueError, match="several sequences laid end to end, and tests are of one series"):
        diagnostics(model.filter(NILE, [40, 60]))
