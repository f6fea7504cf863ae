"""Stretches of eight numbers of eight sequences, turned so that those of one time lie side by side, in registers.

What the places say is trusted: nothing checks them. There must be eight numbers from each.
"""

# ruff: noqa: ARG001  # an intrinsic names all its arguments

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

SIDE = 8
"""Sequences, and numbers of each, that are turned at once."""

_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(ir.DoubleType(), SIDE)


def _choice(places: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(ir.IntType(32), SIDE), places)


@intrinsic
def transpose_stretches(_, x, starts, first, beyond, out, place, apart):  # type: ignore[no-untyped-def]
    """out[place + apart j + s] = x[starts[first + s] + beyond + j], s, j = 0..7; all arrays C-contiguous.

    In three rounds, in each of which blocks on both sides of the diagonal change places: single numbers, two by two,
    four by four.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, start_data, out_data = (
            context.make_array(signature.args[i])(context, builder, values[i]).data for i in (0, 1, 4)
        )

        def vector_at(data: Any, at: Any) -> Any:
            return builder.bitcast(builder.gep(data, [at]), _VECTOR.as_pointer())

        rows = []
        for s in range(SIDE):
            start = builder.load(builder.gep(start_data, [builder.add(values[2], ir.Constant(_INDEX, s))]))
            rows.append(builder.load(vector_at(x_data, builder.add(start, values[3])), align=8))
        for size in (1, 2, 4):
            columns = range(SIDE)
            upper = _choice([SIDE + c - size if c & size else c for c in columns])
            lower = _choice([SIDE + c if c & size else c + size for c in columns])
            pairs = [(r, r + size) for r in range(SIDE) if not r & size]
            for r, other in pairs:
                rows[r], rows[other] = (
                    builder.shuffle_vector(rows[r], rows[other], upper),
                    builder.shuffle_vector(rows[r], rows[other], lower),
                )
        for j in range(SIDE):
            at = builder.add(values[5], builder.mul(values[6], ir.Constant(_INDEX, j)))
            builder.store(rows[j], vector_at(out_data, at), align=8)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(x, starts, i8, i8, out, i8, i8), generate
