r"""The same matrix again and again: what a network does to its state and its gradients, in its barest form.

    x_k = a(W x_{k-1}),    d x_k / d x_0 = D_k W D_{k-1} W ... D_1 W,    D_k = diag a'(W x_{k-1})

Without a, x_n = W^n x_0: with the eigenvalues lambda_i of W, what lies along the i-th eigenvector grows or shrinks as
lambda_i^n. With tanh or sigmoid x stays bounded, and D, at most 1 or 1/4, shrinks the derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.foundations.elementwise import sigmoid, tanh
from statespace.foundations.validation import check_choice, check_integer
from statespace.protocols import Array

_ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (tanh, lambda x: 1.0 - x * x),
    "sigmoid": (sigmoid, lambda x: x * (1.0 - x)),
}
"""Each with its derivative, as a function of its value."""


@dataclass(frozen=True, eq=False)
class Powers:
    """What became of x_0, and of its derivative, in n steps; m numbers."""

    x: Array
    """x_k = a(W x_{k-1}), shape (n + 1, m)."""
    norms: Array
    """|x_k|, shape (n + 1,)."""
    derivatives: Array
    """|d x_k / d x_0|, the spectral norm, shape (n + 1,)."""
    eigenvalues: Array
    """Of W, the largest in absolute value first, complex where there are turns, shape (m,)."""
    activation: str | None
    """a."""


def powers(W: Any, x0: Any, n: int, activation: str | None = None) -> Powers:
    """Apply W to x0, n times, with a function of each number after each time.

    Parameters
    ----------
    W : float or (m, m)
    x0 : float or (m,)
    n : int
        How often, at least 0.
    activation : {None, "tanh", "sigmoid"}

    Returns
    -------
    Powers

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, or a number grows beyond what a float can hold.

    Examples
    --------
    >>> powers(3.0, 1.0, 4).x.ravel()
    array([ 1.,  3.,  9., 27., 81.])
    >>> powers(3.0, 1.0, 4, "tanh").x.ravel().round(3)
    array([1.   , 0.995, 0.995, 0.995, 0.995])
    >>> powers(3.0, 1.0, 4, "tanh").derivatives.round(4)
    array([1.00e+00, 2.96e-02, 9.00e-04, 0.00e+00, 0.00e+00])

    """
    matrix, start = np.atleast_2d(np.asarray(W, dtype=np.float64)), np.atleast_1d(np.asarray(x0, dtype=np.float64))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"W has shape {matrix.shape}, expected a number or a square matrix")
    if start.shape != matrix.shape[:1]:
        raise ValueError(f"x0 has shape {start.shape}, expected ({len(matrix)},): W has {len(matrix)} columns")
    for name, value in (("W", matrix), ("x0", start)):
        if not np.isfinite(value).all():
            raise ValueError(f"{name} has entries that are not finite")
    n = check_integer("n", n, 0)
    if activation is not None:
        check_choice("activation", activation, tuple(_ACTIVATIONS))
    x = np.empty((n + 1, len(matrix)))
    derivatives = np.empty(n + 1)
    x[0], derivatives[0], D = start, 1.0, np.eye(len(matrix))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(1, n + 1):
            x[k], D = matrix @ x[k - 1], matrix @ D
            if activation is not None:
                apply, slope = _ACTIVATIONS[activation]
                x[k] = apply(x[k])
                D = slope(x[k])[:, None] * D
            if not (np.isfinite(x[k]).all() and np.isfinite(D).all()):
                raise ValueError(f"W^{k} x0 is beyond the largest float: n is {n}, take fewer than {k} steps")
            derivatives[k] = np.linalg.norm(D, 2)
    found = np.linalg.eigvals(matrix)
    order = np.argsort(-np.abs(found), kind="stable")
    return Powers(x, np.linalg.norm(x, axis=1), derivatives, found[order], activation)
