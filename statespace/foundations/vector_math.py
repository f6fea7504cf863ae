r"""Elementary functions in a form that compilers turn into vector instructions.

exp(x) = 2^n exp(r), with n the whole number nearest to x / log 2, found by adding 3/2 2^52, which leaves n in the last
bits of the sum, and r = x - n log 2 in [-log(2)/2, log(2)/2], where thirteen terms of the series are enough. 2^n is put
together from bits, in two factors, so that results below the smallest normal number come out rounded once.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats

_ROUND = 6755399441055744.0
_ROUND_BITS = 0x4338000000000000
_LOG2_INVERSE = 1.4426950408889634
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # exact times any n below 2^20
_LEAST, _MOST = -746.0, 710.0  # beyond, the result is 0, or infinite


@intrinsic
def _bits(_, _x):  # type: ignore[no-untyped-def]
    """The bits of a float64 as a whole number."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _from_bits(_, _n):  # type: ignore[no-untyped-def]
    """The float64 of these bits."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.DoubleType())

    return types.float64(types.int64), generate


@kernel
def exponentiate_in_place(x: Floats) -> None:
    """X = exp(x), to within one unit in the last place; 0 of -inf, inf of +inf, NaN of NaN."""
    for i in range(x.size):
        y = x[i]
        y = _LEAST if y < _LEAST else y
        y = _MOST if y > _MOST else y
        shifted = y * _LOG2_INVERSE + _ROUND
        whole = shifted - _ROUND
        r = (y - whole * _LOG2_HIGH) - whole * _LOG2_LOW
        p = 1.0 / 6227020800.0
        p = p * r + 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * (r * r) + r + 1.0
        n = _bits(shifted) - _ROUND_BITS
        half = n >> 1
        x[i] = (p * _from_bits((half + 1023) << 52)) * _from_bits((n - half + 1023) << 52)
