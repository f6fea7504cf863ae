r"""Drawing whole paths of states given the data: forward filtering, backward sampling.

    z_T ~ alpha_T        p(z_t = i | z_{t+1}, x) = alpha_t(i) A_{i,z_{t+1}} / sum_k alpha_t(k) A_{k,z_{t+1}}

Each state is found where a uniform number falls among the running sums; one of probability 0 is never drawn.

Scott (2002), Bayesian Methods for Hidden Markov Models, JASA 97.
"""

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats, Ints


@kernel
def sample_backwards(
    A: Floats, stride: int, filtered: Floats, begin: int, end: int, uniforms: Floats, states: Ints
) -> None:
    """Fill states[:, begin:end] (n_draws, n_samples) from uniforms in [0, 1) of the same shape.

    filtered : (n_samples, n_components); the others are as in `forward_pass`.
    """
    K = A.shape[1]
    p = np.empty(K)
    for draw in range(states.shape[0]):
        z = 0
        for t in range(end - 1, begin - 1, -1):
            total = 0.0
            for i in range(K):
                p[i] = filtered[t, i] * (A[t * stride + i, z] if t < end - 1 else 1.0)
                total += p[i]
            threshold = uniforms[draw, t] * total
            running = 0.0
            for i in range(K):
                if p[i] > 0.0:
                    z = i
                    running += p[i]
                    if running > threshold:
                        break
            states[draw, t] = z
