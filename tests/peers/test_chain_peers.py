"""Chains against models of other packages that are chains in disguise.

An HMM whose states are seen (identity emissions) is a first-order chain; a multinomial logit of today on dummies of
yesterday is one too, fitted by maximum likelihood. Both packages come with the `test` extra.
"""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from statespace import MarkovChain

hmm = pytest.importorskip("hmmlearn.hmm", reason="the test extra installs hmmlearn")
statsmodels = pytest.importorskip("statsmodels.api", reason="the test extra installs statsmodels")


@given(st.integers(2, 5), st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_an_hmm_whose_states_are_seen_gives_the_same_likelihood(K, lengths, seed):
    rng = np.random.default_rng(seed)
    peer = hmm.CategoricalHMM(K)
    peer.startprob_, peer.transmat_ = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)
    peer.emissionprob_ = np.eye(K)
    peer.n_features = K
    x = rng.integers(0, K, sum(lengths))
    chain = MarkovChain.from_matrix(peer.transmat_, initial=peer.startprob_)
    with np.errstate(divide="ignore"):  # the peer takes logarithms of its zeros
        expected = peer.score(x[:, None], lengths)
    np.testing.assert_allclose(chain.score(x, lengths), expected, rtol=1e-10)


@given(st.integers(2, 3), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_a_saturated_multinomial_logit_has_the_same_fit(K, order, seed):
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(
        np.full(K, 5.0), size=(K,) * order
    )  # every transition likely, so that the peer's maximum exists
    x = MarkovChain.from_matrix(law).sample(600, random_state=seed)
    chain = MarkovChain(order, smoothing=None).fit(x, symbols=range(K))
    assume((chain.counts_ > 0).all())
    contexts = sum(x[order - 1 - lag : len(x) - 1 - lag] * K**lag for lag in range(order))
    peer = statsmodels.MNLogit(x[order:], np.eye(K**order)[contexts]).fit(method="newton", disp=0, maxiter=100)
    np.testing.assert_allclose(chain.score(x), peer.llf, rtol=1e-9)
    assert chain.n_parameters == peer.params.size
    np.testing.assert_allclose(chain.transmat_.reshape(-1, K), peer.predict(np.eye(K**order)), atol=1e-6)


def test_a_sample_of_ours_is_a_chain_to_the_peer():
    P = np.array([[0.8, 0.2], [0.3, 0.7]])
    x = MarkovChain.from_matrix(P).sample(20_000, random_state=1)
    peer = hmm.CategoricalHMM(2, params="st", init_params="", n_iter=20, tol=1e-8)
    peer.startprob_, peer.transmat_, peer.emissionprob_ = np.array([0.5, 0.5]), np.full((2, 2), 0.5), np.eye(2)
    peer.n_features = 2
    with np.errstate(divide="ignore"):
        peer.fit(x[:, None])
    np.testing.assert_allclose(peer.transmat_, MarkovChain(1).fit(x).transmat_, atol=1e-6)
