r"""One step of each cell and its derivative, as formulas of numpy arrays and as instructions for kernels.

p are pre-activations: W x + b + U h_{t-1}, and W_s h_{t-d} where there is a skip edge; h and c are what came before.

    Elman         h' = tanh(p)  or  max(p, 0)
    gated leaky   u = sigmoid(p_u), n = tanh(p_n),   h' = u h + (1 - u) n
    LSTM          i, f, o = sigmoid(p_i), sigmoid(p_f), sigmoid(p_o), g = tanh(p_g),   c' = f c + i g,   h' = o tanh(c')
    GRU, before   r, z = sigmoid(p_r), sigmoid(p_z), n = tanh(p_n + U_n (r h)),   h' = z h + (1 - z) n
    GRU, after    r, z = sigmoid(p_r), sigmoid(p_z), n = tanh(p_n + r q), q = U_n h + b_hn,   h' = z h + (1 - z) n

Derivatives take dh, dc: those of the loss by h' and c', and give those by the pre-activations, in their order, and by
what came before but for the products with the recurrent weights. A leaky unit keeps alpha h of what came before.

Elman (1990); Hochreiter and Schmidhuber (1997); Gers, Schmidhuber and Cummins (2000); Cho et al. (2014).
"""

from __future__ import annotations

from typing import Any

from statespace.foundations.elementwise import elementwise, relu, sigmoid, step_of, tanh

GATES = {"rnn": ("h",), "gated_leaky": ("u", "n"), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}
"""The gates of each cell in the order in which their weights lie below each other: torch's."""


def elman(p: Any) -> Any:
    """H'."""
    return tanh(p)


def elman_back(h: Any, dh: Any) -> Any:
    """Dp of h' = tanh(p)."""
    return dh * (1.0 - h * h)


def elman_relu(p: Any) -> Any:
    """H'."""
    return relu(p)


def elman_relu_back(h: Any, dh: Any) -> Any:
    """Dp of h' = max(p, 0)."""
    return dh * step_of(h)


def gated_leaky(p_u: Any, p_n: Any, h: Any) -> Any:
    """u, n, h'."""
    u, n = sigmoid(p_u), tanh(p_n)
    return u, n, n + u * (h - n)


def gated_leaky_back(u: Any, n: Any, h: Any, dh: Any) -> Any:
    """dp_u, dp_n, and dh by h but for the product."""
    return dh * (h - n) * u * (1.0 - u), dh * (1.0 - u) * (1.0 - n * n), dh * u


def lstm(p_i: Any, p_f: Any, p_g: Any, p_o: Any, c: Any) -> Any:
    """i, f, g, o, c', tanh(c'), h'."""
    i, f, g, o = sigmoid(p_i), sigmoid(p_f), tanh(p_g), sigmoid(p_o)
    kept = f * c + i * g
    shown = tanh(kept)
    return i, f, g, o, kept, shown, o * shown


def lstm_back(i: Any, f: Any, g: Any, o: Any, c: Any, shown: Any, dh: Any, dc: Any) -> Any:
    """dp_i, dp_f, dp_g, dp_o, and dc by c."""
    inner = dc + dh * o * (1.0 - shown * shown)
    return (
        inner * g * i * (1.0 - i),
        inner * c * f * (1.0 - f),
        inner * i * (1.0 - g * g),
        dh * shown * o * (1.0 - o),
        inner * f,
    )


def gru_reset(p_r: Any, p_z: Any, h: Any) -> Any:
    """r, z, r h: the half of a step before the candidate's product."""
    r = sigmoid(p_r)
    return r, sigmoid(p_z), r * h


def gru_before(z: Any, p_n: Any, h: Any) -> Any:
    """n, h'."""
    n = tanh(p_n)
    return n, n + z * (h - n)


def gru_before_back(z: Any, n: Any, h: Any, dh: Any) -> Any:
    """dp_z, dp_n, and dh by h but for products and the reset."""
    return dh * (h - n) * z * (1.0 - z), dh * (1.0 - z) * (1.0 - n * n), dh * z


def gru_reset_back(r: Any, h: Any, dh: Any, d_rh: Any) -> Any:
    """dp_r, and dh by h with what comes through r h, of which the derivative is d_rh."""
    return d_rh * h * r * (1.0 - r), dh + d_rh * r


def gru_after(p_r: Any, p_z: Any, p_n: Any, q: Any, h: Any) -> Any:
    """r, z, n, h'."""
    r, z = sigmoid(p_r), sigmoid(p_z)
    n = tanh(p_n + r * q)
    return r, z, n, n + z * (h - n)


def gru_after_back(r: Any, z: Any, n: Any, q: Any, h: Any, dh: Any) -> Any:
    """dp_r, dp_z, dp_n, dq, and dh by h but for products."""
    dn = dh * (1.0 - z) * (1.0 - n * n)
    return dn * q * r * (1.0 - r), dh * (h - n) * z * (1.0 - z), dn, dn * r, dh * z


def leak(new: Any, h: Any, alpha: Any) -> Any:
    """What a leaky unit shows: alpha h + (1 - alpha) h'."""
    return new + alpha * (h - new)


def leak_back(dh: Any, alpha: Any) -> Any:
    """Derivatives by h' and by h."""
    kept = alpha * dh
    return dh - kept, kept


def add(x: Any, y: Any) -> Any:
    """X + y."""
    return x + y


elman_step = elementwise(lambda p: (elman(p),) * 2, "a", 2)
elman_step_back = elementwise(elman_back, "aa", 1)
elman_relu_step = elementwise(lambda p: (elman_relu(p),) * 2, "a", 2)
elman_relu_step_back = elementwise(elman_relu_back, "aa", 1)
gated_leaky_step = elementwise(gated_leaky, "aaa", 3)
gated_leaky_step_back = elementwise(gated_leaky_back, "aaaa", 3)
lstm_step = elementwise(lstm, "aaaaa", 7)
lstm_step_back = elementwise(lstm_back, "aaaaaaaa", 5)
gru_reset_step = elementwise(gru_reset, "aaa", 3)
gru_before_step = elementwise(gru_before, "aaa", 2)
gru_before_step_back = elementwise(gru_before_back, "aaaa", 3)
gru_reset_step_back = elementwise(gru_reset_back, "aaaa", 2)
gru_after_step = elementwise(gru_after, "aaaaa", 4)
gru_after_step_back = elementwise(gru_after_back, "aaaaaa", 5)
leak_step = elementwise(leak, "aas", 1)
leak_step_back = elementwise(leak_back, "as", 2)
add_step = elementwise(add, "aa", 1)
