r"""Runs of steady steps of more than a few states: the closed form of steady.py by products over blocks of steps.

    a_{t+1} = L a_t + K x_t + c_t,     v_t = W x_t - U a_t,     backwards r_{t-1} = L^T r_t + U^T v_t / F

With gains k_j of the numbers, rows z_i of the design and C_ij = z_i k_j below the diagonal, v = (I + C)^{-1} (x - Z a),
hence W = (I + C)^{-1}, U = W Z, K = T (k_1 .. k_q) W and L = T - T (k_1 .. k_q) U. Within a block, what does not depend
on the mean before is one product for all steps, and so is what follows from the means.
"""

from __future__ import annotations

from statespace.foundations.kernel import bare_kernel, kept_apart, kernel_part
from statespace.foundations.register_rows import add_scaled, combine, copy_run, set_product
from statespace.foundations.register_tile import dot
from statespace.lds.padded import NEXT, NOWHERE, SAME, WHOLE, turn
from statespace.protocols import Floats, Ints

_STEPS = 32  # of a block: a multiple of 8


@kernel_part
def closed_size(m: int, p: int) -> int:
    """Numbers in a closed form: L^T, L; K^T, U, T k, k; -U^T; W^T; 1 / F; zeros; -T k; W."""
    wide, across = (m + 7) // 8 * 8, (p + 7) // 8 * 8
    return (
        2 * wide * wide
        + 4 * across * wide
        + wide * across
        + 2 * across * across
        + across
        + (wide + across)
        + wide * across
    )


@kernel_part
def run_size(m: int, p: int) -> int:
    """Numbers to work with in a run."""
    wide, across = (m + 7) // 8 * 8, (p + 7) // 8 * 8
    return (3 * _STEPS + 8) * wide + 3 * _STEPS * across


@bare_kernel
def close(
    q: int,
    design: Floats,
    gains: Floats,
    kinds: Ints,
    F: Floats,
    row_start: Ints,
    column: Ints,
    value: Floats,
    closed: Floats,
) -> None:
    """The closed form of a steady step, in the order of `closed_size`; numbers that are skipped are zeros of it."""
    kept_apart()
    p, m = design.shape
    wide, across = (m + 7) // 8 * 8, (p + 7) // 8 * 8
    L = wide * wide
    K = 2 * L
    U, moved, k = K + across * wide, K + 2 * across * wide, K + 3 * across * wide
    less, W = K + 4 * across * wide, K + 5 * across * wide
    precision = W + across * across
    for i in range(closed.shape[0]):
        closed[i] = 0.0
    zero = precision + across
    drawn, below = zero + wide + across, zero + wide + across + wide * across
    for i in range(q):
        if kinds[i] == 0:
            continue
        own, row = U + i * wide, below + i * across
        closed[precision + i], closed[row + i] = 1.0 / F[i], 1.0
        copy_run(m, gains, i * m, closed, k + i * wide)
        copy_run(m, design, i * m, closed, own)
        copy_run(m, design, i * m, closed, NOWHERE)  # z, where L^T will be
        for j in range(i):
            if kinds[j] != 0:
                C = dot(wide, closed, NOWHERE, closed, k + j * wide)
                add_scaled(wide, -C, closed, U + j * wide, closed, own, closed, own)
                add_scaled(across, -C, closed, below + j * across, closed, row, closed, row)
        for j in range(i + 1):
            closed[W + j * across + i] = closed[row + j]
        for j in range(m):
            total = 0.0
            for e in range(row_start[j], row_start[j + 1]):
                total += value[e] * gains[i, column[e]]
            closed[moved + i * wide + j] = total
            closed[drawn + j * across + i] = -total
            closed[less + j * across + i] = -closed[own + j]
    # K^T = W^T (T k)^T, L = T - T k U
    set_product(
        across, wide, q, closed, W, across, NEXT, closed, moved, wide, closed, zero, SAME, closed, K, wide, WHOLE
    )
    for i in range(m):
        for e in range(row_start[i], row_start[i + 1]):
            closed[L + i * wide + column[e]] = value[e]
    set_product(wide, wide, q, closed, drawn, across, NEXT, closed, U, wide, closed, L, wide, closed, L, wide, WHOLE)
    turn(wide, closed, L, NOWHERE)


@bare_kernel
def steady_run(
    first: int,
    last: int,
    q: int,
    x: Floats,
    closed: Floats,
    intercept: Floats,
    keep: int,
    mean: Floats,
    at: int,
    step_log: float,
    run: Floats,
    all_a: Floats,
    all_af: Floats,
    all_v: Floats,
    steps: Floats,
) -> float:
    """Steps first..last-1 from the mean at a place of `mean`, which becomes the one after them.

    closed : as of `close`; run : as long as `run_size` says. With `keep` means, innovations and log-likelihoods are
    written down. Returns the sum of v^2 / F.
    """
    kept_apart()
    m, p = all_a.shape[1], x.shape[1]
    wide, across = (m + 7) // 8 * 8, (p + 7) // 8 * 8
    K = 2 * wide * wide
    k, less, W = K + 3 * across * wide, K + 4 * across * wide, K + 5 * across * wide
    precision = W + across * across
    a, af, seen, v = NOWHERE, (_STEPS + 8) * wide, (2 * _STEPS + 8) * wide, (2 * _STEPS + 8) * wide + _STEPS * across
    whole, timed, total = (m + 3) // 4 * 4, int(intercept.shape[0] > 1), 0.0
    copy_run(m, mean, at, run, a)
    for begin in range(first, last, _STEPS):
        n = min(_STEPS, last - begin)
        rows = (n + 7) // 8 * 8
        for s in range(n):
            copy_run(m, intercept, timed * (begin + s) * m, run, a + (s + 1) * wide)
            if q:
                copy_run(q, x, (begin + s) * p, run, seen + s * across)
        out = a + wide
        set_product(rows, wide, q, run, seen, across, NEXT, closed, K, wide, run, out, wide, run, out, wide, WHOLE)
        for s in range(n):
            row = a + s * wide
            for c in range(0, wide, 8):
                combine(whole, run, row, closed, c, wide, run, row + wide + c, run, row + wide + c)
        zero = precision + across
        set_product(
            rows, across, q, run, seen, across, NEXT, closed, W, across, closed, zero, SAME, run, v, across, WHOLE
        )
        set_product(rows, across, m, run, a, wide, NEXT, closed, less, across, run, v, across, run, v, across, WHOLE)
        for s in range(n):
            square = 0.0
            for i in range(q):
                number = run[v + s * across + i]
                square += number * number * closed[precision + i]
            total += square
            if keep:
                steps[begin + s] = step_log - 0.5 * square
                if q:
                    copy_run(q, run, v + s * across, all_v, (begin + s) * p)
        if keep:
            set_product(rows, wide, q, run, v, across, NEXT, closed, k, wide, run, a, wide, run, af, wide, WHOLE)
            for s in range(n):
                copy_run(m, run, a + s * wide, all_a, (begin + s) * m)
                copy_run(m, run, af + s * wide, all_af, (begin + s) * m)
        copy_run(m, run, a + n * wide, run, a)
    copy_run(m, run, a, mean, at)
    return total


@bare_kernel
def steady_run_back(
    first: int,
    last: int,
    q: int,
    closed: Floats,
    all_v: Floats,
    P: Floats,
    at: int,
    all_a: Floats,
    errors: int,
    run: Floats,
    all_r: Floats,
    all_mean: Floats,
    all_u: Floats,
) -> None:
    """Backwards over steps last-1..first, from all_r[last]: r, smoothed means a + P r, and with `errors` also u.

    P is at a place of an array, padded; closed : as of `close`; run : as long as `run_size` says.
    """
    kept_apart()
    m, p = all_a.shape[1], all_v.shape[1]
    wide, across = (m + 7) // 8 * 8, (p + 7) // 8 * 8
    L = wide * wide
    U = 2 * L + across * wide
    precision = 2 * L + 5 * across * wide + across * across
    zero = precision + across
    drawn, below = zero + wide + across, zero + wide + across + wide * across
    r, means, ratio, u = (
        NOWHERE,
        (_STEPS + 8) * wide,
        (2 * _STEPS + 8) * wide,
        (2 * _STEPS + 8) * wide + _STEPS * across,
    )
    out = u + _STEPS * across
    whole, end = (m + 3) // 4 * 4, last
    while end > first:
        begin = max(end - _STEPS, first)
        n = end - begin
        rows = (n + 7) // 8 * 8
        for s in range(n):
            for i in range(q):
                run[ratio + s * across + i] = all_v[begin + s, i] * closed[precision + i]
        for s in range(n):
            copy_run(m, all_a, (begin + s) * m, run, means + s * wide)
        set_product(rows, wide, q, run, ratio, across, NEXT, closed, U, wide, closed, zero, SAME, run, r, wide, WHOLE)
        copy_run(m, all_r, end * m, run, r + n * wide)
        for s in range(n - 1, -1, -1):
            row = r + s * wide
            for c in range(0, wide, 8):
                combine(whole, run, row + wide, closed, L + c, wide, run, row + c, run, row + c)
        if errors:
            following = r + wide
            set_product(
                rows,
                across,
                m,
                run,
                following,
                wide,
                NEXT,
                closed,
                drawn,
                across,
                run,
                ratio,
                across,
                run,
                u,
                across,
                WHOLE,
            )
            set_product(
                rows,
                across,
                q,
                run,
                u,
                across,
                NEXT,
                closed,
                below,
                across,
                closed,
                zero,
                SAME,
                run,
                out,
                across,
                WHOLE,
            )
            if q:
                for s in range(n):
                    copy_run(q, run, out + s * across, all_u, (begin + s) * p)
        set_product(rows, wide, m, run, r, wide, NEXT, P, at, wide, run, means, wide, run, means, wide, WHOLE)
        for s in range(n):
            copy_run(m, run, r + s * wide, all_r, (begin + s) * m)
            copy_run(m, run, means + s * wide, all_mean, (begin + s) * m)
        end = begin
