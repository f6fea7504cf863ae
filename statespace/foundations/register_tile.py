r"""Products of small matrices, a tile of 8 x 8 or 8 x 4 results at a time, held in registers.

    out_rc = sum_k x_rk a_kc        r = 0..7, c = 0..7 or 0..3

The loops that compilers make of this run at a fifth of what a processor can do. Here the loop over k is written down
instruction by instruction: a vector of a, and for each of the rows one number of x spread out and multiplied by it.
All arrays are addressed in their memory, by the place of the first element and the distances between neighbours, so
that x may as well be transposed, and a be a panel, the columns of a matrix copied beside each other by `pack_panels`.

What the places say is trusted: nothing checks them. There must be room for all rows and columns of the tile.
"""

# ruff: noqa: ARG001  # an intrinsic names all its arguments, and types some of them only

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba.core import types
from numba.extending import intrinsic

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats

ROWS = 8
"""Rows of a tile."""
WIDTH = 8
"""Columns of a tile; of a narrow one, 4."""

_DOUBLE, _INDEX = ir.DoubleType(), ir.IntType(64)
_FLAGS = ("contract",)
# A row of 8 numbers is one register or two; eight rows of two, and what else is needed, do not fit in sixteen
_ROWS_AT_ONCE = 8 if binding.get_host_cpu_features().get("avx512f") else 4


def _vector(width: int) -> ir.VectorType:
    return ir.VectorType(_DOUBLE, width)


def _at(builder: Any, data: Any, place: Any, width: int) -> Any:
    """Pointer to `width` neighbours."""
    return builder.bitcast(builder.gep(data, [place]), _vector(width).as_pointer())


def _load(builder: Any, data: Any, place: Any, width: int) -> Any:
    return builder.load(_at(builder, data, place, width), align=8)


def _store(builder: Any, value: Any, data: Any, place: Any) -> None:
    builder.store(value, _at(builder, data, place, value.type.count), align=8)


def _spread(builder: Any, value: Any, width: int) -> Any:
    """A vector of one number."""
    vector = _vector(width)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def _data(context: Any, builder: Any, signature: Any, values: Any, number: int) -> Any:
    return context.make_array(signature.args[number])(context, builder, values[number]).data


def _row(builder: Any, place: Any, distance: Any, row: int) -> Any:
    return builder.add(place, builder.mul(distance, ir.Constant(_INDEX, row)))


def _looked_up(builder: Any, places: Any, first: Any, row: int, beyond: Any) -> Any:
    at = builder.gep(places, [builder.add(first, ir.Constant(_INDEX, row))])
    return builder.add(builder.load(at), beyond)


def _tile(
    builder: Any, x: tuple[Any, ...], a: tuple[Any, ...], n: Any, width: int, finish: Callable[[int, Any], None]
) -> None:
    """Emit the loop over k; `finish` is called with the number of a row and its `width` results.

    x: data, place, distance between rows, distance along k. a: data, place, distance along k.
    """
    index = ir.Constant
    for first in range(0, ROWS, _ROWS_AT_ONCE):
        rows = range(first, first + _ROWS_AT_ONCE)
        starts = [_row(builder, x[1], x[2], row) for row in rows]
        before = builder.basic_block
        loop, after = builder.append_basic_block("tile"), builder.append_basic_block("tile_end")
        builder.cbranch(builder.icmp_signed(">", n, index(_INDEX, 0)), loop, after)
        zero = ir.Constant(_vector(width), [0.0] * width)
        with builder.goto_block(loop):
            k = builder.phi(_INDEX)
            sums = [builder.phi(_vector(width)) for _ in rows]
            vector = _load(builder, a[0], builder.add(a[1], builder.mul(k, a[2])), width)
            along = builder.mul(k, x[3])
            added = []
            for start, so_far in zip(starts, sums, strict=True):
                scalar = builder.load(builder.gep(x[0], [builder.add(start, along)]))
                product = builder.fmul(_spread(builder, scalar, width), vector, flags=_FLAGS)
                added.append(builder.fadd(so_far, product, flags=_FLAGS))
            following = builder.add(k, index(_INDEX, 1))
            k.add_incoming(index(_INDEX, 0), before)
            k.add_incoming(following, loop)
            for so_far, value in zip(sums, added, strict=True):
                so_far.add_incoming(zero, before)
                so_far.add_incoming(value, loop)
            builder.cbranch(builder.icmp_signed("<", following, n), loop, after)
        builder.position_at_end(after)
        results = []
        for value in added:
            result = builder.phi(_vector(width))
            result.add_incoming(zero, before)
            result.add_incoming(value, loop)
            results.append(result)
        for row, result in zip(rows, results, strict=True):
            finish(row, result)


@intrinsic(prefer_literal=True)
def add_tile(_, width, n, x, x_at, x_row, x_k, a, a_at, a_k, out, out_at, out_row):  # type: ignore[no-untyped-def]
    """out_rc += sum_{k < n} x_rk a_kc.

    width : a literal 8 or 4, the columns; x_at, a_at, out_at : places of the first elements; x_row, out_row : distances
    from row to row; x_k, a_k : distances along k; all arrays C-contiguous, of float64.
    """
    columns = width.literal_value

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, a_data, out_data = (_data(context, builder, signature, values, i) for i in (2, 6, 9))

        def finish(row: int, result: Any) -> None:
            place = _row(builder, values[10], values[11], row)
            _store(builder, builder.fadd(_load(builder, out_data, place, columns), result), out_data, place)

        _tile(builder, (x_data, *values[3:6]), (a_data, *values[7:9]), values[1], columns, finish)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(width, i8, x, i8, i8, i8, a, i8, i8, out, i8, i8), generate


@intrinsic
def set_tile(_, n, x, x_at, x_row, x_k, a, a_at, a_k, start, start_at, start_row, out, out_at, out_row):  # type: ignore[no-untyped-def]
    """out_rc = start_rc + sum_{k < n} x_rk a_kc, 8 columns; where start_row is 0 all rows begin with the same one."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, a_data, start_data, out_data = (_data(context, builder, signature, values, i) for i in (1, 5, 8, 11))

        def finish(row: int, result: Any) -> None:
            begun = _load(builder, start_data, _row(builder, values[9], values[10], row), WIDTH)
            _store(builder, builder.fadd(begun, result), out_data, _row(builder, values[12], values[13], row))

        _tile(builder, (x_data, *values[2:5]), (a_data, *values[6:8]), values[0], WIDTH, finish)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(i8, x, i8, i8, i8, a, i8, i8, start, i8, i8, out, i8, i8), generate


@intrinsic(prefer_literal=True)
def weigh_tile(_, width, n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, out_row):  # type: ignore[no-untyped-def]
    """out_rc = e[places[first + r] + e_at + c] sum_{k < n} x_rk a_kc; along k, x is contiguous and a `width` apart."""
    columns = width.literal_value

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, a_data, e_data, place_data, out_data = (
            _data(context, builder, signature, values, i) for i in (2, 5, 7, 9, 11)
        )

        def finish(row: int, result: Any) -> None:
            weights = _load(builder, e_data, _looked_up(builder, place_data, values[10], row, values[8]), columns)
            _store(builder, builder.fmul(result, weights), out_data, _row(builder, values[12], values[13], row))

        one, apart = ir.Constant(_INDEX, 1), ir.Constant(_INDEX, columns)
        _tile(builder, (x_data, *values[3:5], one), (a_data, values[6], apart), values[1], columns, finish)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(width, i8, x, i8, i8, a, i8, e, i8, places, i8, out, i8, i8), generate


@intrinsic(prefer_literal=True)
def weigh_and_pair_tile(  # type: ignore[no-untyped-def]
    _,
    width,
    summed,
    n,
    x,
    x_at,
    x_row,
    a,
    a_at,
    e,
    e_at,
    places,
    first,
    out,
    out_at,
    y,
    y_at,
    pairs,
    targets,
):
    """As weigh_tile, and beside it y_rc sum_{k < n} x_rk a_kc.

    With `summed`, a literal 1, that is added to pairs[places[first + r] + e_at + c], which is laid out as e is; with 0
    it is stored at pairs[targets[first + r] + e_at + c]. All rows are x_row apart.
    """
    columns, adds = width.literal_value, bool(summed.literal_value)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, a_data, e_data, place_data, out_data, y_data, pair_data, target_data = (
            _data(context, builder, signature, values, i) for i in (3, 6, 8, 10, 12, 14, 16, 17)
        )

        def finish(row: int, result: Any) -> None:
            place = _looked_up(builder, place_data, values[11], row, values[9])
            weights = _load(builder, e_data, place, columns)
            _store(builder, builder.fmul(result, weights), out_data, _row(builder, values[13], values[5], row))
            pair = builder.fmul(result, _load(builder, y_data, _row(builder, values[15], values[5], row), columns))
            if adds:
                pair = builder.fadd(pair, _load(builder, pair_data, place, columns))
            else:
                place = _looked_up(builder, target_data, values[11], row, values[9])
            _store(builder, pair, pair_data, place)

        one, apart = ir.Constant(_INDEX, 1), ir.Constant(_INDEX, columns)
        _tile(builder, (x_data, *values[4:6], one), (a_data, values[7], apart), values[2], columns, finish)
        return context.get_dummy_value()

    i8 = types.int64
    kinds = (width, summed, i8, x, i8, i8, a, i8, e, i8, places, i8, out, i8, y, i8, pairs, targets)
    return types.void(*kinds), generate


@intrinsic
def dot(_, n, x, x_at, y, y_at):  # type: ignore[no-untyped-def]
    """sum_{k < n} x[x_at + k] y[y_at + k]; n is a multiple of 4, and not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, y_data = (_data(context, builder, signature, values, i) for i in (1, 3))
        before, loop = builder.basic_block, builder.append_basic_block("dot")
        after = builder.append_basic_block("dot_end")
        builder.branch(loop)
        builder.position_at_end(loop)
        k, so_far = builder.phi(_INDEX), builder.phi(_vector(4))
        left = _load(builder, x_data, builder.add(values[2], k), 4)
        right = _load(builder, y_data, builder.add(values[4], k), 4)
        total = builder.fadd(so_far, builder.fmul(left, right, flags=_FLAGS), flags=_FLAGS)
        following = builder.add(k, ir.Constant(_INDEX, 4))
        k.add_incoming(ir.Constant(_INDEX, 0), before)
        k.add_incoming(following, loop)
        so_far.add_incoming(ir.Constant(_vector(4), [0.0] * 4), before)
        so_far.add_incoming(total, loop)
        builder.cbranch(builder.icmp_signed("<", following, values[0]), loop, after)
        builder.position_at_end(after)
        lanes = [builder.extract_element(total, ir.Constant(ir.IntType(32), i)) for i in range(4)]
        return builder.fadd(builder.fadd(lanes[0], lanes[2]), builder.fadd(lanes[1], lanes[3]))

    i8 = types.int64
    return types.float64(i8, x, i8, y, i8), generate


@kernel
def pack_panels(A: Floats, panels: Floats) -> None:
    """Copy the columns of A (n, m) beside each other, 8 at a time and then 4, into `panels`, with zeros up to a 4th."""
    n, m = A.shape
    place, c = 0, 0
    while c < m:
        width = 8 if m - c > 4 else 4
        for i in range(n):
            for j in range(width):
                panels[place] = A[i, c + j] if c + j < m else 0.0
                place += 1
        c += width
