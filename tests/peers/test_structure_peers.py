"""The structure of chains against QuantEcon and PyDTMC, on random chains of every kind.

Both solve with floats and may be asked only what they are right about: PyDTMC answers first-passage questions for
ergodic chains only.
"""

import warnings

import numpy as np
import pytest

from statespace.foundations.stochastic_matrix import stationary_law
from statespace.markov import structure

# What the peers and their own dependencies warn of is not ours to mend
pytestmark = pytest.mark.filterwarnings("ignore")


def peer(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f'{name} is not installed: pip install "statespace-models[peers]"')


def random_chain(seed, zeros):
    """Up to 8 states; each entry is zero with probability `zeros`."""
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 9))
    weights = rng.random((K, K)) * (rng.random((K, K)) > zeros)
    alone = weights.sum(axis=1) == 0
    weights[alone, rng.integers(0, K, alone.sum())] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


CHAINS = [random_chain(seed, zeros) for seed in range(10) for zeros in (0.0, 0.5, 0.8)]
IRREDUCIBLE = [P for P in CHAINS if structure.is_irreducible(P)]
APERIODIC_TOO = [P for P in IRREDUCIBLE if structure.is_aperiodic(P)]
WITH_TRANSIENT = [P for P in CHAINS if structure.transient_states(P).size]


def test_the_chains_are_of_every_kind():
    n_recurrent = [sum(c.recurrent for c in structure.communicating_classes(P)) for P in CHAINS]
    assert len(APERIODIC_TOO) >= 10
    assert len(WITH_TRANSIENT) >= 10
    assert any(not structure.is_aperiodic(P) for P in CHAINS)
    assert max(n_recurrent) > 1


def test_quantecon_finds_the_same_classes_and_laws():
    quantecon = peer("quantecon")
    for P in CHAINS:
        theirs, ours = quantecon.MarkovChain(P), structure.communicating_classes(P)
        assert sorted(tuple(sorted(map(int, c))) for c in theirs.communication_classes_indices) == [
            c.members for c in ours
        ]
        recurrent = sorted(tuple(sorted(map(int, c))) for c in theirs.recurrent_classes_indices)
        assert recurrent == [c.members for c in ours if c.recurrent]
        assert theirs.is_irreducible == structure.is_irreducible(P)
        laws = sorted(map(tuple, theirs.stationary_distributions), key=np.argmax)
        np.testing.assert_allclose(laws, sorted(map(tuple, structure.stationary_laws(P)), key=np.argmax), rtol=1e-13)


def test_quantecon_finds_the_same_periods_and_gth_solution():
    quantecon = peer("quantecon")
    for P in IRREDUCIBLE:
        assert (structure.periods(P) == quantecon.MarkovChain(P).period).all()
        np.testing.assert_allclose(stationary_law(P), quantecon.markov.gth_solve(P), rtol=1e-13)


def test_pydtmc_finds_the_same_states_and_absorption():
    pydtmc = peer("pydtmc")
    n_absorbing = 0
    for P in WITH_TRANSIENT:
        theirs, transient = pydtmc.MarkovChain(P), structure.transient_states(P)
        assert sorted(map(int, theirs.transient_states)) == (transient + 1).tolist()
        assert sorted(map(int, theirs.absorbing_states)) == (structure.absorbing_states(P) + 1).tolist()
        if theirs.is_absorbing:
            n_absorbing += 1
            np.testing.assert_allclose(theirs.mean_absorption_times(), structure.absorption_times(P)[transient])
            # One column there for each recurrent state, and each is a class of its own in an absorbing chain
            np.testing.assert_allclose(
                np.asarray(theirs.absorption_probabilities()).T,
                structure.absorption_probabilities(P)[transient],
                atol=1e-14,
            )
    assert n_absorbing >= 3


def test_pydtmc_finds_the_same_passage_and_recurrence_times():
    pydtmc = peer("pydtmc")
    for P in APERIODIC_TOO:
        theirs, M = pydtmc.MarkovChain(P), structure.mean_first_passage_times(P)
        for j in range(len(P)):
            np.testing.assert_allclose(
                np.delete(theirs.mean_first_passage_times_to(j), j), np.delete(M[:, j], j), rtol=1e-10
            )
        np.testing.assert_allclose(theirs.mean_recurrence_times(), structure.mean_recurrence_times(P), rtol=1e-10)
        assert theirs.entropy_rate == pytest.approx(structure.entropy_rate(P), rel=1e-10)


def test_pydtmc_finds_the_same_hitting_probabilities():
    pydtmc = peer("pydtmc")
    for P in CHAINS:
        np.testing.assert_allclose(
            pydtmc.MarkovChain(P).hitting_probabilities([0]), structure.hitting_probabilities(P, 0), atol=1e-10
        )
