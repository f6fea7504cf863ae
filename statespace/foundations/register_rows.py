"""Loops over rows of matrices, a vector of eight neighbours at a time, and products put together from tiles.

As in register_tile.py the loops are written down instruction by instruction, arrays are addressed in their memory (of
one with several axes by the place in all of it), and what the places say is trusted.
"""

# ruff: noqa: ARG001  # an intrinsic names all its arguments, and types some of them only

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from statespace.foundations.kernel import bare_kernel, kept_apart
from statespace.foundations.register_tile import (
    _FLAGS,
    _INDEX,
    ROWS,
    WIDTH,
    _at,
    _data,
    _load,
    _row,
    _spread,
    _store,
    _vector,
    set_tile,
)
from statespace.protocols import Floats


def _added_up(builder: Any, vector: Any, width: int) -> Any:
    """The sum of the numbers of a vector, halves onto each other."""
    undefined = ir.Constant(_vector(width), ir.Undefined)
    while width > 1:
        half = width // 2
        kinds = ir.VectorType(ir.IntType(32), half)
        halves = [
            builder.shuffle_vector(vector, undefined, ir.Constant(kinds, [start + i for i in range(half)]))
            for start in (0, half)
        ]
        vector, width = builder.fadd(*halves, flags=_FLAGS), half
        undefined = ir.Constant(_vector(width), ir.Undefined)
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


def _loop(
    builder: Any, n: Any, step: int, started: list[Any], body: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    """Emit a loop over k = 0, step, ... < n, run at least once, that carries values; they come back as they end."""
    before, loop = builder.basic_block, builder.append_basic_block("loop")
    after = builder.append_basic_block("loop_end")
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(_INDEX)
    carried = [builder.phi(value.type) for value in started]
    found = body(k, carried)
    following = builder.add(k, ir.Constant(_INDEX, step))
    end = builder.basic_block
    k.add_incoming(ir.Constant(_INDEX, 0), before)
    k.add_incoming(following, end)
    for phi, first, value in zip(carried, started, found, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(value, end)
    builder.cbranch(builder.icmp_signed("<", following, n), loop, after)
    builder.position_at_end(after)
    return found


def _multiply_add(builder: Any, x: Any, y: Any, added: Any) -> Any:
    return builder.fadd(added, builder.fmul(x, y, flags=_FLAGS), flags=_FLAGS)


@intrinsic
def combine(_, n, x, x_at, a, a_at, a_k, start, start_at, out, out_at):  # type: ignore[no-untyped-def]
    """out_c = start_c + sum_{k < n} x_k a_kc, c = 0..7: a tile of one row; n is a multiple of 4, and not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, a_data, start_data, out_data = (_data(context, builder, signature, values, i) for i in (1, 3, 6, 8))

        def body(k: Any, sums: list[Any]) -> list[Any]:
            added = []
            for i, so_far in enumerate(sums):
                at = builder.add(k, ir.Constant(_INDEX, i))
                scalar = builder.load(builder.gep(x_data, [builder.add(values[2], at)]))
                row = _load(builder, a_data, builder.add(values[4], builder.mul(at, values[5])), WIDTH)
                added.append(_multiply_add(builder, _spread(builder, scalar, WIDTH), row, so_far))
            return added

        # Four sums, which do not wait for each other
        zero = ir.Constant(_vector(WIDTH), [0.0] * WIDTH)
        begun = [_load(builder, start_data, values[7], WIDTH), zero, zero, zero]
        first, second, third, fourth = _loop(builder, values[0], 4, begun, body)
        total = builder.fadd(builder.fadd(first, second), builder.fadd(third, fourth))
        _store(builder, total, out_data, values[9])
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(i8, x, i8, a, i8, i8, start, i8, out, i8), generate


@intrinsic
def combine_chosen(_, n, x, x_at, chosen, chosen_at, a, a_at, a_row, start, start_at, out, out_at):  # type: ignore[no-untyped-def]
    """out_c = start_c + sum_{k < n} x_k a_{chosen[k] c}, c = 0..7; n is not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, chosen_data, a_data, start_data, out_data = (
            _data(context, builder, signature, values, i) for i in (1, 3, 5, 8, 10)
        )

        def body(k: Any, sums: list[Any]) -> list[Any]:
            scalar = builder.load(builder.gep(x_data, [builder.add(values[2], k)]))
            row = builder.load(builder.gep(chosen_data, [builder.add(values[4], k)]))
            vector = _load(builder, a_data, builder.add(values[6], builder.mul(row, values[7])), WIDTH)
            return [_multiply_add(builder, _spread(builder, scalar, WIDTH), vector, sums[0])]

        (total,) = _loop(builder, values[0], 1, [_load(builder, start_data, values[9], WIDTH)], body)
        _store(builder, total, out_data, values[11])
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(i8, x, i8, chosen, i8, a, i8, i8, start, i8, out, i8), generate


@intrinsic
def subtract_outer(_, n, x, x_at, y, y_at, a, a_at, out, out_at, row):  # type: ignore[no-untyped-def]
    """out_rc = a_rc - x_r y_c, r < n and c = 0..7, rows of a and of out `row` apart; n is a multiple of 4, not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, y_data, a_data, out_data = (_data(context, builder, signature, values, i) for i in (1, 3, 5, 7))
        taken = builder.fneg(_load(builder, y_data, values[4], WIDTH))

        def body(r: Any, _: list[Any]) -> list[Any]:
            for i in range(4):
                at = builder.add(r, ir.Constant(_INDEX, i))
                scalar = builder.load(builder.gep(x_data, [builder.add(values[2], at)]))
                beyond = builder.mul(at, values[9])
                vector = _load(builder, a_data, builder.add(values[6], beyond), WIDTH)
                left = _multiply_add(builder, _spread(builder, scalar, WIDTH), taken, vector)
                _store(builder, left, out_data, builder.add(values[8], beyond))
            return []

        _loop(builder, values[0], 4, [], body)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(i8, x, i8, y, i8, a, i8, out, i8, i8), generate


@intrinsic
def three_sums(_, n, x, x_at, y, y_at, z, z_at):  # type: ignore[no-untyped-def]
    """Sums over k < n of x_k y_k, of |x_k y_k| and of x_k^2 z_k; n is a multiple of 8, and not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = [_data(context, builder, signature, values, i) for i in (1, 3, 5)]
        bits = ir.VectorType(_INDEX, WIDTH)
        all_but_the_sign = ir.Constant(bits, [2**63 - 1] * WIDTH)

        def body(k: Any, sums: list[Any]) -> list[Any]:
            x, y, z = (
                _load(builder, where, builder.add(values[place], k), WIDTH)
                for where, place in zip(data, (2, 4, 6), strict=True)
            )
            product = builder.fmul(x, y)
            size = builder.bitcast(builder.and_(builder.bitcast(product, bits), all_but_the_sign), _vector(WIDTH))
            return [
                builder.fadd(sums[0], product),
                builder.fadd(sums[1], size),
                _multiply_add(builder, builder.fmul(x, x), z, sums[2]),
            ]

        zero = ir.Constant(_vector(WIDTH), [0.0] * WIDTH)
        found = _loop(builder, values[0], WIDTH, [zero] * 3, body)
        return context.make_tuple(builder, signature.return_type, [_added_up(builder, v, WIDTH) for v in found])

    i8 = types.int64
    return types.UniTuple(types.float64, 3)(i8, x, i8, y, i8, z, i8), generate


def _masked(builder: Any, kind: str, result: Any, arguments: list[Any]) -> Any:
    """One of LLVM's masked accesses of eight neighbours."""
    name = f"llvm.masked.{kind}.v{WIDTH}f64.p0"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(result, [value.type for value in arguments]), name)
    return builder.call(function, arguments)


@intrinsic
def copy_run(_, n, a, a_at, out, out_at):  # type: ignore[no-untyped-def]
    """out_k = a_k, k < n; n is not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        a_data, out_data = _data(context, builder, signature, values, 1), _data(context, builder, signature, values, 3)
        indices, vector = ir.VectorType(_INDEX, WIDTH), _vector(WIDTH)
        lanes, align = ir.Constant(indices, list(range(WIDTH))), ir.Constant(ir.IntType(32), 8)
        nowhere, zeros = (
            ir.Constant(indices, ir.Undefined),
            ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH),
        )

        def body(k: Any, _: list[Any]) -> list[Any]:
            left = builder.insert_element(nowhere, builder.sub(values[0], k), ir.Constant(ir.IntType(32), 0))
            mask = builder.icmp_signed("<", lanes, builder.shuffle_vector(left, nowhere, zeros))
            source = _at(builder, a_data, builder.add(values[2], k), WIDTH)
            value = _masked(builder, "load", vector, [source, align, mask, ir.Constant(vector, ir.Undefined)])
            target = _at(builder, out_data, builder.add(values[4], k), WIDTH)
            _masked(builder, "store", ir.VoidType(), [value, target, align, mask])
            return []

        _loop(builder, values[0], WIDTH, [], body)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(i8, a, i8, out, i8), generate


@intrinsic
def add_scaled(_, n, factor, x, x_at, start, start_at, out, out_at):  # type: ignore[no-untyped-def]
    """out_k = start_k + factor x_k, k < n; n is a multiple of 8, and not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, start_data, out_data = (_data(context, builder, signature, values, i) for i in (2, 4, 6))
        spread = _spread(builder, values[1], WIDTH)

        def body(k: Any, _: list[Any]) -> list[Any]:
            begun = _load(builder, start_data, builder.add(values[5], k), WIDTH)
            value = _multiply_add(builder, _load(builder, x_data, builder.add(values[3], k), WIDTH), spread, begun)
            _store(builder, value, out_data, builder.add(values[7], k))
            return []

        _loop(builder, values[0], WIDTH, [], body)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(i8, types.float64, x, i8, start, i8, out, i8), generate


@intrinsic
def scale_run(_, n, factor, x, x_at, out, out_at):  # type: ignore[no-untyped-def]
    """out_k = factor x_k, k < n; n is a multiple of 8, and not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, out_data = _data(context, builder, signature, values, 2), _data(context, builder, signature, values, 4)
        spread = _spread(builder, values[1], WIDTH)

        def body(k: Any, _: list[Any]) -> list[Any]:
            value = builder.fmul(_load(builder, x_data, builder.add(values[3], k), WIDTH), spread)
            _store(builder, value, out_data, builder.add(values[5], k))
            return []

        _loop(builder, values[0], WIDTH, [], body)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(i8, types.float64, x, i8, out, i8), generate


@intrinsic
def take_row(_, n, row, row_at, root, moved, mean_at, left_at, bound, bound_at, k_at, scaled_at, taken_at):  # type: ignore[no-untyped-def]
    """What one number does beside a matrix, with its row M of covariances; n is a multiple of 8, and not 0.

    scaled = root M, taken = -scaled, k = root scaled; mean += moved M; left -= scaled^2. Returns the least of
    left - bound B, where B is what lies at `bound_at`. All is in one array.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = _data(context, builder, signature, values, 1)
        root, moved, bound = (_spread(builder, values[i], WIDTH) for i in (3, 4, 7))

        def body(k: Any, least: list[Any]) -> list[Any]:
            row, mean, left, limit = (_load(builder, data, builder.add(values[i], k), WIDTH) for i in (2, 5, 6, 8))
            scaled = builder.fmul(row, root)
            remaining = _multiply_add(builder, builder.fneg(scaled), scaled, left)
            for value, place in (
                (_multiply_add(builder, row, moved, mean), 5),
                (remaining, 6),
                (builder.fmul(scaled, root), 9),
                (scaled, 10),
                (builder.fneg(scaled), 11),
            ):
                _store(builder, value, data, builder.add(values[place], k))
            over = builder.fsub(remaining, builder.fmul(bound, limit))
            return [builder.select(builder.fcmp_ordered("<", over, least[0]), over, least[0])]

        (least,) = _loop(builder, values[0], WIDTH, [ir.Constant(_vector(WIDTH), [float("inf")] * WIDTH)], body)
        lanes = [builder.extract_element(least, ir.Constant(ir.IntType(32), i)) for i in range(WIDTH)]
        while len(lanes) > 1:
            pairs = zip(lanes[::2], lanes[1::2], strict=True)
            lanes = [builder.select(builder.fcmp_ordered("<", a, b), a, b) for a, b in pairs]
        return lanes[0]

    i8, f8 = types.int64, types.float64
    return f8(i8, row, i8, f8, f8, i8, i8, f8, i8, i8, i8, i8), generate


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """The transpose of eight vectors: blocks off the diagonal change places, of one number, of two, of four."""
    kinds = ir.VectorType(ir.IntType(32), WIDTH)
    for step in (1, 2, 4):
        following = list(rows)
        for i in range(WIDTH):
            if not i & step:
                j = i + step
                upper = [WIDTH + lane - step if lane & step else lane for lane in range(WIDTH)]
                lower = [WIDTH + lane if lane & step else lane + step for lane in range(WIDTH)]
                following[i] = builder.shuffle_vector(rows[i], rows[j], ir.Constant(kinds, upper))
                following[j] = builder.shuffle_vector(rows[i], rows[j], ir.Constant(kinds, lower))
        rows = following
    return rows


@intrinsic
def turn_tile(_, a, a_at, a_row, out, out_at, out_row):  # type: ignore[no-untyped-def]
    """out_cr = a_rc, 8 x 8; the two tiles are the same or have nothing in common."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        a_data, out_data = _data(context, builder, signature, values, 0), _data(context, builder, signature, values, 3)
        rows = [_load(builder, a_data, _row(builder, values[1], values[2], r), WIDTH) for r in range(WIDTH)]
        for r, row in enumerate(_turned(builder, rows)):
            _store(builder, row, out_data, _row(builder, values[4], values[5], r))
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(a, i8, i8, out, i8, i8), generate


@intrinsic
def mirror_tile(_, a, a_at, a_row):  # type: ignore[no-untyped-def]
    """a_rc = a_cr where c > r, 8 x 8."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = _data(context, builder, signature, values, 0)
        kinds = ir.VectorType(ir.IntType(32), WIDTH)
        rows = [_load(builder, data, _row(builder, values[1], values[2], r), WIDTH) for r in range(WIDTH)]
        for r, (row, turned) in enumerate(zip(rows, _turned(builder, rows), strict=True)):
            lanes = ir.Constant(kinds, [WIDTH + c if c > r else c for c in range(WIDTH)])
            mixed = builder.shuffle_vector(row, turned, lanes)
            _store(builder, mixed, data, _row(builder, values[1], values[2], r))
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(a, i8, i8), generate


@bare_kernel
def set_product(
    rows: int,
    columns: int,
    n: int,
    x: Floats,
    x_at: int,
    x_row: int,
    x_k: int,
    a: Floats,
    a_at: int,
    a_k: int,
    start: Floats,
    start_at: int,
    start_row: int,
    out: Floats,
    out_at: int,
    out_row: int,
    lower: int,
) -> None:
    """out_rc = start_rc + sum_{k < n} x_rk a_kc by tiles of 8 x 8, of which there are whole ones.

    With `lower` where c <= r; with a `start_row` of 0 all rows begin with the same one.
    """
    kept_apart()
    for r in range(0, rows, ROWS):
        until = min(r + ROWS, columns) if lower else columns
        for c in range(0, until, WIDTH):
            set_tile(
                n,
                x,
                x_at + r * x_row,
                x_row,
                x_k,
                a,
                a_at + c,
                a_k,
                start,
                start_at + r * start_row + c,
                start_row,
                out,
                out_at + r * out_row + c,
                out_row,
            )
