r"""Exponentials of whole arrays, in arithmetic that the compiler carries out on several numbers at once.

    exp(x) = 2^n exp(r)        n = round(x / log 2)        r = x - n log 2, |r| <= log(2) / 2

n is found by adding 1.5 2^52, which leaves no room for a fraction; exp(r) is a polynomial of degree 11 that deviates by
less than 3e-17; 2^n is added to the bits of the exponent. The result is within 1 unit in the last place, inf above
709.78, and 0 below -708: numbers that floats hold with fewer digits are not given.

Muller (2016), Elementary Functions, 3rd edition, chapter 11.
"""

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats

_ROUNDING = 6755399441055744.0
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # n times the first is exact
_PER_LOG2 = 1.4426950408889634
_SMALLEST, _LARGEST = -708.0, 709.782712893384


@intrinsic
def bits_of(typing, x):  # type: ignore[no-untyped-def]
    """The 64 bits of a float, as an integer."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def float_of(typing, bits):  # type: ignore[no-untyped-def]
    """The float that has these bits."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


@kernel
def exp_in_place(x: Floats, begin: int, end: int) -> None:
    """x[begin:end] = exp(x[begin:end]), of a flat array; NaN stays NaN."""
    part = x[begin:end]  # indices from 0 on, or their sign is asked for each time
    for i in range(part.size):
        v = part[i]
        z = v * _PER_LOG2 + _ROUNDING
        n = z - _ROUNDING
        r = (v - n * _LOG2_HIGH) - n * _LOG2_LOW
        r2 = r * r
        low = 0.16666666666666666 + r * 0.04166666666665131
        middle = 0.008333333333332152 + r * 0.0013888888905922382
        high = 0.00019841269854370018 + r * 2.480153630713628e-05
        highest = (2.755728000429909e-06 + r * 2.7613852100963253e-07) + r2 * 2.5095589467479502e-08
        r4 = r2 * r2
        q = (low + r2 * middle) + r4 * (high + r2 * highest)
        p = 1.0 + (r + (r2 * 0.5 + (r2 * r) * q))
        y = float_of(bits_of(p) + (bits_of(z) << 52))
        y = 0.0 if v < _SMALLEST else y
        part[i] = math.inf if v > _LARGEST else y


@kernel
def shifted_exp(table: Floats, begin: int, end: int, out: Floats, size: int, shifts: Floats) -> None:
    """Exponentials of rows, each divided by its largest: out_tj = exp(table_tj - m_t), m_t = max_j table_tj.

    Parameters
    ----------
    table : (n_rows, n_columns)
        -inf gives 0; no NaN, no +inf.
    begin, end : int
        The rows to work on.
    out : (at least end * size,)
        Rows of `size` numbers, at their places, filled up with zeros where size is more than n_columns.
    size : int
        n_columns or more.
    shifts : (n_rows,)
        Filled with m_t; 0 for a row that is -inf throughout, whose exponentials are 0.

    """
    K = table.shape[1]
    block = max(1, 2048 // size)
    for first in range(begin, end, block):
        last = min(first + block, end)
        for t in range(first, last):
            l = table[t]
            m = l[0]
            m1, m2, m3 = m, m, m  # comparisons that need not wait for each other
            j = 0
            while j + 4 <= K:
                m = l[j] if l[j] > m else m
                m1 = l[j + 1] if l[j + 1] > m1 else m1
                m2 = l[j + 2] if l[j + 2] > m2 else m2
                m3 = l[j + 3] if l[j + 3] > m3 else m3
                j += 4
            for i in range(j, K):
                m = l[i] if l[i] > m else m
            m = m1 if m1 > m else m
            m2 = m3 if m3 > m2 else m2
            m = m2 if m2 > m else m
            m = 0.0 if m == -math.inf else m
            shifts[t] = m
            o = out[t * size : (t + 1) * size]
            for i in range(K):
                o[i] = l[i] - m
            for i in range(K, size):
                o[i] = -math.inf
        exp_in_place(out, first * size, last * size)
