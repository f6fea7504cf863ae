"""The numbers of a step on padded matrices: gains, and what they leave of P, a block of them at a time."""

from __future__ import annotations

import math

from statespace.foundations.kernel import bare_kernel, kept_apart, kernel_part
from statespace.foundations.register_rows import (
    combine,
    copy_run,
    set_product,
    subtract_outer,
    take_row,
    two_sums,
)
from statespace.foundations.register_tile import dot
from statespace.lds.kalman import (
    CONTRADICTION,
    EXACT,
    LOST,
    NOTHING,
    ORDINARY,
    ROUNDING,
    SKIPPED,
)
from statespace.lds.padded import (
    NEXT,
    NOWHERE,
    SAME,
    WHOLE,
    clear_variance,
)
from statespace.protocols import Floats, Ints

# Rows of `wide` numbers behind the matrices in the work array; BEGUN: the mean before the numbers of the step; LEFT:
# variances that those so far have left; REACH, EARLIER: bounds of the variances before what came last, and variances
MEAN, BEGUN, LEFT, REACH, EARLIER, MOVED, GAIN, ZERO, N_ROWS = range(9)
_FEW = 2  # numbers that are cheaper one by one than as a tile


@kernel_part
def used_columns(design: Floats, q: int, first: Ints, beyond: Ints, used: Floats) -> None:
    """Which columns the rows of a design use: from a multiple of 4 to another, and how many are not zero."""
    m = design.shape[1]
    for i in range(q):
        low, high, count = m, 0, 0.0
        for j in range(m):
            if design[i, j] != 0.0:
                low, high, count = min(low, j), j + 1, count + 1.0
        first[i] = low // 4 * 4 if high else 0
        beyond[i] = max((high + 3) // 4 * 4, 4)
        used[i] = count


@kernel_part
def design_at(vectors: int, m: int, p: int) -> int:
    """The place of the padded design: behind the vectors, of which the last are zeros for any product."""
    return vectors + N_ROWS * ((m + 7) // 8 * 8) + (p + 8) // 8 * 8


@kernel_part
def number_size(m: int, p: int) -> int:
    """Numbers to work with behind the vectors: Z and its transpose, (M, c, v), what is subtracted, factors; F."""
    wide, high, across = (m + 7) // 8 * 8, (p + 7) // 8 * 8, (p + 8) // 8 * 8
    return high * wide + wide * across + high * (wide + across) + 2 * high * wide + across


@bare_kernel
def prepare_numbers(
    t: int,
    begin: int,
    q: int,
    p: int,
    x: Floats,
    low: Ints,
    high: Ints,
    m: int,
    wide: int,
    work: Floats,
    P: int,
    vectors: int,
    spreads: Floats,
) -> None:
    """For each number from `begin` on z P, z P Z^T and x - z a, and the sum of z^2 with bounds of variances."""
    kept_apart()
    tall, across = (p + 7) // 8 * 8, (p + 8) // 8 * 8
    Z = design_at(vectors, m, p)
    turned = Z + tall * wide
    pairs, row = turned + wide * across, wide + across
    mean, zero = vectors + MEAN * wide, vectors + ZERO * wide
    if q - begin > _FEW:
        rows = (q + 7) // 8 * 8
        set_product(rows, wide, m, work, Z, wide, NEXT, work, P, wide, work, zero, SAME, work, pairs, row, WHOLE)
        at = pairs + wide
        set_product(rows, rows, m, work, pairs, row, NEXT, work, turned, across, work, zero, SAME, work, at, row, WHOLE)
    for i in range(begin, q):
        z, own = Z + i * wide, pairs + i * row
        if q - begin <= _FEW:
            first = low[i]
            for c in range(0, wide, 8):
                at = P + first * wide + c
                combine(high[i] - first, work, z + first, work, at, wide, work, zero + c, work, own + c)
            for j in range(i, q):
                work[own + wide + j] = dot(wide, work, Z + j * wide, work, own)
        seen, spreads[i] = two_sums(wide, work, z, work, mean, work, vectors + REACH * wide)
        work[own + wide + p] = x[t, i] - seen


@bare_kernel
def subtract_numbers(
    begin: int, end: int, m: int, wide: int, work: Floats, P: int, filtered: int, vectors: int, scaled: int, taken: int
) -> None:
    """P without what the numbers begin..end-1 tell, written to `filtered`."""
    kept_apart()
    if end - begin > _FEW:
        x, a = taken + begin * wide, scaled + begin * wide
        set_product(
            wide, wide, end - begin, work, x, NEXT, wide, work, a, wide, work, P, wide, work, filtered, wide, WHOLE
        )
        for j in range(m):
            work[filtered + j * wide + j] = work[vectors + LEFT * wide + j]
        return
    source = P
    for i in range(begin, end):
        own = scaled + i * wide
        for c in range(0, wide, 8):
            subtract_outer((m + 3) // 4 * 4, work, own, work, own + c, work, source + c, work, filtered + c, wide)
        source = filtered
    if source != filtered:
        copy_run(wide * wide, work, P, work, filtered)


@bare_kernel
def forget_known(m: int, wide: int, work: Floats, filtered: int, vectors: int, noisy: bool, exact: bool) -> bool:
    """Zeros for variances that are no more than rounding, or what little noise leaves; whether digits were lost."""
    kept_apart()
    lost = False
    for j in range(m):
        left, reach = work[vectors + LEFT * wide + j], work[vectors + REACH * wide + j]
        if left < 0.0 or (exact and left <= NOTHING * reach):
            lost = lost or noisy or left > ROUNDING * reach
            work[vectors + LEFT * wide + j] = 0.0
            clear_variance(j, m, wide, work, filtered)
    return lost


@bare_kernel
def contradicts(
    i: int,
    x: float,
    m: int,
    wide: int,
    work: Floats,
    vectors: int,
    g: int,
    gains: Floats,
    kinds: Ints,
    innovations: Floats,
) -> bool:
    """Whether number i, of which nothing was left to learn, differs from z a by more than rounding.

    By more than rounding of x and of what z a was made of: the mean before the step, and what each number added to it.
    """
    kept_apart()
    z, begun = design_at(vectors, m, gains.shape[1]) + i * wide, vectors + BEGUN * wide
    size = abs(x)
    for j in range(m):
        if work[z + j] != 0.0:
            span = abs(work[begun + j])
            for taken in range(i):
                if kinds[g, taken] != SKIPPED:
                    span += abs(gains[g, taken, j] * innovations[taken])
            size += abs(work[z + j]) * span
    return bool(abs(innovations[i]) > CONTRADICTION * size)


@bare_kernel
def take_numbers(
    t: int,
    g: int,
    q: int,
    x: Floats,
    h: Floats,
    low: Ints,
    high: Ints,
    used: Floats,
    m: int,
    wide: int,
    work: Floats,
    P: int,
    filtered: int,
    vectors: int,
    spreads: Floats,
    innovations: Floats,
    gains: Floats,
    all_F: Floats,
    kinds: Ints,
) -> tuple[float, float, float, int, bool, bool]:
    """Update mean and covariance by the numbers of a step; P is read at one place and written to another.

    h : (p,), variances of the noise; low, high, used : as of `used_columns`; vectors : the place of the rows of vectors
    in `work`, behind which the design is. Returns the product of F and the logarithms that were taken out of it, the
    sum of v^2 / F, how many numbers were taken, whether one was impossible, and whether digits were lost.

    The rows (z_i P, z_i P Z^T, v_i) of all numbers are made at once, and each number is taken out of those after it, so
    that P itself is touched once.
    """
    kept_apart()
    p = h.shape[0]
    tall, across = (p + 7) // 8 * 8, (p + 8) // 8 * 8
    pairs, row = design_at(vectors, m, p) + tall * wide + wide * across, wide + across
    scaled = pairs + tall * row
    taken, factors = scaled + tall * wide, scaled + 2 * tall * wide
    mean, left, reach = vectors + MEAN * wide, vectors + LEFT * wide, vectors + REACH * wide
    gain = vectors + GAIN * wide
    product, logs, square, n_taken, impossible, lost = 1.0, 0.0, 0.0, 0, False, False
    source, begin = P, NOWHERE
    if q:
        prepare_numbers(t, begin, q, p, x, low, high, m, wide, work, source, vectors, spreads)
    for i in range(q):
        own, variance = pairs + i * row, h[i]
        F, v = work[own + wide + i] + variance, work[own + wide + p]
        before = used[i] * spreads[i] + variance
        innovations[i] = v
        lost = lost or LOST * before > F
        if ROUNDING * before >= F:
            kinds[g, i], all_F[g, i] = SKIPPED, 0.0
            copy_run(m, work, vectors + ZERO * wide, gains, (g * p + i) * m)
            copy_run(wide, work, vectors + ZERO * wide, work, scaled + i * wide)
            copy_run(wide, work, vectors + ZERO * wide, work, taken + i * wide)
            impossible = contradicts(i, x[t, i], m, wide, work, vectors, g, gains, kinds, innovations) or impossible
            continue
        precision = 1.0 / F
        exact = variance <= EXACT * F
        bound = NOTHING if exact else 0.0
        least = take_row(
            wide,
            work,
            own,
            math.sqrt(precision),
            precision * v,
            mean,
            left,
            bound,
            reach,
            gain,
            scaled + i * wide,
            taken + i * wide,
        )
        copy_run(m, work, gain, gains, (g * p + i) * m)
        kinds[g, i], all_F[g, i] = ORDINARY, F
        square += v * v * precision
        n_taken += 1
        product *= F
        if not 1e-100 < product < 1e100:
            logs += math.log(product)
            product = 1.0
        if least < 0.0 or (exact and least <= 0.0):
            subtract_numbers(begin, i + 1, m, wide, work, source, filtered, vectors, scaled, taken)
            lost = forget_known(m, wide, work, filtered, vectors, variance > 0.0, exact) or lost
            source, begin = filtered, i + 1
            if begin < q:
                prepare_numbers(t, begin, q, p, x, low, high, m, wide, work, source, vectors, spreads)
        elif i + 1 < q:
            work[factors + i] = 0.0
            for j in range(i + 1, q):
                work[factors + j] = work[own + wide + j] * precision
            above = (i + 1) // 4 * 4
            below = pairs + above * row
            for c in range(0, row, 8):
                subtract_outer(
                    (q + 3) // 4 * 4 - above,
                    work,
                    factors + above,
                    work,
                    own + c,
                    work,
                    below + c,
                    work,
                    below + c,
                    row,
                )
    if begin < q or source == P:
        subtract_numbers(begin, q, m, wide, work, source, filtered, vectors, scaled, taken)
    for i in range(q, p):
        kinds[g, i], all_F[g, i] = SKIPPED, 0.0
    return product, logs, square, n_taken, impossible, lost
