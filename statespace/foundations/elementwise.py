r"""Formulas that are applied to the entries of arrays, turned into vector instructions as they stand.

A formula is a plain function of its inputs, `lambda x, y: x * sigmoid(y)`. Of numpy arrays it gives numpy arrays. As
`elementwise(formula, "aa", 1)` it becomes an instruction for kernels that loads whole vectors of the inputs, computes,
and stores whole vectors of the results: a compiler that has to find the vectors itself often does not.

exp(y) = 2^k exp(r) as in vector_math.py. tanh(x) = -e / (e + 2) with e = exp(-2|x|) - 1, so that small results keep
their digits; sigmoid(x) = 1 / (1 + exp(-x)). The polynomials interpolate (exp(r) - 1 - r) / r^2 at Chebyshev's points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

VECTOR_BYTES = 64
"""Arrays have room for whole vectors of so many bytes: 8 numbers of float64, 16 of float32."""

_FLAGS = ("contract",)
_INDEX = ir.IntType(64)


class _Kind:
    """What depends on the type of the numbers."""

    def __init__(self, element: Any, bits: int, mantissa: int, bias: int, coefficients: tuple[float, ...]) -> None:
        self.element, self.bits, self.mantissa, self.bias = element, bits, mantissa, bias
        self.coefficients = coefficients
        self.lanes = VECTOR_BYTES * 8 // bits
        self.vector = ir.VectorType(element, self.lanes)
        self.round = 1.5 * 2.0**mantissa
        wide = mantissa > 30
        self.log2_high = float.fromhex("0x1.62e42fee00000p-1") if wide else 0.693359375
        self.log2_low = math.log(2) - self.log2_high if not wide else float.fromhex("0x1.a39ef35793c76p-33")
        self.flat = 44.0 if wide else 20.0  # beyond, tanh is 1 to the last bit
        self.most = 708.0 if wide else 87.0  # beyond, exp leaves the normal numbers


def _interpolated(degree: int) -> tuple[float, ...]:
    """Coefficients of the polynomial that interpolates (exp(r) - 1 - r) / r^2 on |r| <= log(2) / 2."""
    half = math.log(2) / 2
    points = np.cos(np.pi * (2 * np.arange(degree + 1) + 1) / (2 * degree + 2))
    series = [1.0 / math.factorial(j + 2) for j in range(24)]
    values = np.polynomial.polynomial.polyval(half * points, series)
    scaled = np.linalg.solve(np.vander(points, increasing=True), values)
    return tuple((scaled / half ** np.arange(degree + 1)).tolist())


_KINDS = {
    types.float64: _Kind(ir.DoubleType(), 64, 52, 1023, _interpolated(10)),
    types.float32: _Kind(ir.FloatType(), 32, 23, 127, _interpolated(5)),
}


def lanes(dtype: Any) -> int:
    """Numbers in a vector."""
    return VECTOR_BYTES // int(np.dtype(dtype).itemsize)


def padded(n: int, dtype: Any) -> int:
    """The next multiple of a vector's length."""
    width = lanes(dtype)
    return -(-n // width) * width


class Vector:
    """A vector in a formula that is being compiled."""

    def __init__(self, builder: Any, kind: _Kind, value: Any) -> None:
        self.builder, self.kind, self.value = builder, kind, value

    def _of(self, value: Any) -> Vector:
        return Vector(self.builder, self.kind, value)

    def _lifted(self, other: Any) -> Any:
        if isinstance(other, Vector):
            return other.value
        return ir.Constant(self.kind.vector, [float(other)] * self.kind.lanes)

    def __add__(self, other: Any) -> Vector:
        return self._of(self.builder.fadd(self.value, self._lifted(other), flags=_FLAGS))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Vector:
        return self._of(self.builder.fsub(self.value, self._lifted(other), flags=_FLAGS))

    def __rsub__(self, other: Any) -> Vector:
        return self._of(self.builder.fsub(self._lifted(other), self.value, flags=_FLAGS))

    def __mul__(self, other: Any) -> Vector:
        return self._of(self.builder.fmul(self.value, self._lifted(other), flags=_FLAGS))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Vector:
        return self._of(self.builder.fdiv(self.value, self._lifted(other), flags=_FLAGS))

    def __rtruediv__(self, other: Any) -> Vector:
        return self._of(self.builder.fdiv(self._lifted(other), self.value, flags=_FLAGS))

    def __neg__(self) -> Vector:
        return self._of(self.builder.fneg(self.value))

    def where(self, operator: str, bound: Any, then: Any, otherwise: Any) -> Vector:
        """`then` where the comparison holds; of NaN none does."""
        holds = self.builder.fcmp_ordered(operator, self.value, self._lifted(bound))
        return self._of(self.builder.select(holds, self._lifted(then), self._lifted(otherwise)))

    def exp(self) -> tuple[Vector, Vector]:
        """2^k and exp(r) - 1, of which exp is the product but for the 1; `self` is within the normal numbers."""
        kind, builder = self.kind, self.builder
        shifted = self * (1.0 / math.log(2)) + kind.round
        whole = shifted - kind.round
        r = (self - whole * kind.log2_high) - whole * kind.log2_low
        total: Any = kind.coefficients[-1]
        for coefficient in kind.coefficients[-2::-1]:
            total = r * total + coefficient
        word = ir.IntType(kind.bits)
        words = ir.VectorType(word, kind.lanes)

        def constant(n: int) -> Any:
            return ir.Constant(words, [n] * kind.lanes)

        bits = builder.shl(builder.bitcast(shifted.value, words), constant(kind.mantissa))
        power = builder.bitcast(builder.add(bits, constant(kind.bias << kind.mantissa)), kind.vector)
        return self._of(power), r + (r * r) * total


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    if not isinstance(x, Vector):
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-x))
    y = -x
    y = y.where(">", x.kind.most, x.kind.most, y)
    y = y.where("<", -x.kind.most, -x.kind.most, y)
    power, rest = y.exp()
    return 1.0 / (power + power * rest + 1.0)


def tanh(x: Any) -> Any:
    """tanh(x)."""
    if not isinstance(x, Vector):
        return np.tanh(x)
    size = x.where("<", 0.0, -x, x)
    y = -(size + size)
    y = y.where("<", -x.kind.flat, -x.kind.flat, y)
    power, rest = y.exp()
    below = power * rest + (power - 1.0)
    found = (0.0 - below) / (below + 2.0)  # 0, not -0, of 0
    return x.where("<", 0.0, -found, found)


def relu(x: Any) -> Any:
    """max(x, 0); NaN of NaN."""
    return x.where("<", 0.0, 0.0, x) if isinstance(x, Vector) else np.where(x < 0, 0.0, x)


def step_of(x: Any) -> Any:
    """1 where x > 0, else 0."""
    return x.where(">", 0.0, 1.0, 0.0) if isinstance(x, Vector) else np.where(x > 0, 1.0, 0.0)


def elementwise(formula: Callable[..., Any], inputs: str, n_outputs: int) -> Any:
    """An instruction for kernels that applies a formula.

    Parameters
    ----------
    formula : callable
        From as many inputs as `inputs` has letters to one result, or a tuple of `n_outputs`.
    inputs : str
        "a" for an array, "s" for a number that is the same for all entries.
    n_outputs : int

    Returns
    -------
    intrinsic
        To be called as `instruction(n, *arguments)`: for every input an array and the place of its first entry, or a
        number; then for every output an array and a place. n is rounded up to whole vectors, for which there must be
        room. Arrays are C-contiguous and of one type, float32 or float64; nothing checks the places.

    """
    arrays = inputs.count("a") + n_outputs

    @intrinsic
    def instruction(_, n, *rest):  # type: ignore[no-untyped-def]  # noqa: ARG001
        arguments = rest[0] if len(rest) == 1 and isinstance(rest[0], types.BaseTuple) else types.StarArgTuple(rest)
        given = list(arguments)
        number = next(one.dtype for one in given if isinstance(one, types.Array))
        wanted: list[Any] = []
        for letter in inputs + "a" * n_outputs:
            wanted += [given[len(wanted)], types.int64] if letter == "a" else [number]
        assert len(given) == len(wanted), f"expected {len(wanted)} arguments, {arrays} arrays among them"
        kind = _KINDS[number]

        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            packed = values[1]
            parts = [builder.extract_value(packed, i) for i in range(len(wanted))]
            parts = [
                context.cast(builder, part, has, wants) if has != wants else part
                for part, has, wants in zip(parts, given, wanted, strict=True)
            ]
            sources: list[Any] = []
            at = 0
            for letter in inputs + "a" * n_outputs:
                if letter == "a":
                    data = context.make_array(wanted[at])(context, builder, parts[at]).data
                    sources.append(builder.gep(data, [parts[at + 1]]))
                    at += 2
                else:
                    zero = ir.Constant(kind.vector, ir.Undefined)
                    first = builder.insert_element(zero, parts[at], ir.Constant(ir.IntType(32), 0))
                    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), [0] * kind.lanes)
                    sources.append(Vector(builder, kind, builder.shuffle_vector(first, zero, zeros)))
                    at += 1
            before, loop = builder.basic_block, builder.append_basic_block("vectors")
            after = builder.append_basic_block("vectors_end")
            builder.cbranch(builder.icmp_signed(">", values[0], ir.Constant(_INDEX, 0)), loop, after)
            builder.position_at_end(loop)
            j = builder.phi(_INDEX)
            j.add_incoming(ir.Constant(_INDEX, 0), before)
            places = [
                source
                if isinstance(source, Vector)
                else builder.bitcast(builder.gep(source, [j]), kind.vector.as_pointer())
                for source in sources
            ]
            size = kind.bits // 8
            loaded = [
                place if isinstance(place, Vector) else Vector(builder, kind, builder.load(place, align=size))
                for place in places[: len(inputs)]
            ]
            found = formula(*loaded)
            results = found if isinstance(found, tuple) else (found,)
            for place, result in zip(places[len(inputs) :], results, strict=True):
                builder.store(result.value, place, align=size)
            following = builder.add(j, ir.Constant(_INDEX, kind.lanes))
            j.add_incoming(following, builder.basic_block)
            builder.cbranch(builder.icmp_signed("<", following, values[0]), loop, after)
            builder.position_at_end(after)
            return context.get_dummy_value()

        return types.void(types.int64, arguments), generate

    return instruction
