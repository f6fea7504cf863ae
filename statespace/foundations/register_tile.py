r"""The one micro-kernel for small products: sums held in registers while a loop runs over what is summed.

A compiler keeps the sums of `y_j += x_i M_ij` in memory and loads and stores them for every i. Here a tile of them, one
or four rows by up to eight vectors of four numbers, stays in registers. Everything is a flat float64 array with the
place where the operand begins, and its rows follow each other; `size`, the length of a row, is a multiple of `LANES`,
and callers fill up with zeros.

| function | what it computes |
|---|---|
| row_times_matrix | (x M) * e, one row |
| row_times_matrix_and_add | the same, and s += (x M) * y |
| rows_times_matrix | (x M) * e, four rows, each with an e of its own |
| rows_times_matrix_and_add | the same, and s += (x M) * y |
| add_products | C += X^T Y |

The functions are written in LLVM's language. Where that cannot be done their twins in plain loops, `plain_row_times_matrix`
and so on, take their places, and everything is slower and equally right.

Goto and van de Geijn (2008), Anatomy of high-performance matrix multiplication, ACM TOMS 34.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats, Ints

LANES = 4
ROWS = 4

_INT, _FLOAT = ir.IntType(64), ir.DoubleType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ONE_ROW = ((8, 1), (4, 2), (2, 4), (1, 4))
"""Vectors a tile, widest first, and terms of the sum a turn: narrow tiles need more sums that do not wait for others."""
_FOUR_ROWS = ((2, 1), (1, 2))


def _number(value: int) -> Any:
    return ir.Constant(_INT, value)


def _load(b: Any, base: Any, place: Any) -> Any:
    return b.load(b.bitcast(b.gep(base, [place]), _VECTOR.as_pointer()), align=8)


def _store(b: Any, value: Any, base: Any, place: Any) -> None:
    b.store(value, b.bitcast(b.gep(base, [place]), _VECTOR.as_pointer()), align=8)


def _everywhere(b: Any, value: Any) -> Any:
    """A vector of one number."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = b.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return b.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _multiply_add(b: Any, x: Any, y: Any, z: Any) -> Any:
    return b.fadd(z, b.fmul(x, y, flags=["contract"]), flags=["contract"])


@contextmanager
def _loop(b: Any, begin: Any, end: Any, step: int) -> Iterator[Any]:
    """`for i in range(begin, end - step + 1, step)`, holding i in memory, which LLVM turns into a register."""
    with b.goto_entry_block():
        place = b.alloca(_INT)
    b.store(begin, place)
    head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
    b.branch(head)
    b.position_at_end(head)
    i = b.load(place)
    b.cbranch(b.icmp_signed("<=", b.add(i, _number(step)), end), body, after)
    b.position_at_end(body)
    yield i
    b.store(b.add(i, _number(step)), place)
    b.branch(head)
    b.position_at_end(after)


def _sums(b: Any, n: Any, n_sums: int, terms: Callable[[Any], Sequence[tuple[Any, Any]]], unroll: int) -> list[Any]:
    """Sums over k < n of the products terms(k), a pair for each sum, n a multiple of `unroll`; n is 1 or more."""
    entry = b.block
    loop, after = b.append_basic_block("terms"), b.append_basic_block("summed")
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(_INT)
    k.add_incoming(_number(0), entry)
    sums = [b.phi(_VECTOR) for _ in range(n_sums * unroll)]
    added = []
    for u in range(unroll):
        for (x, y), z in zip(terms(b.add(k, _number(u))), sums[u * n_sums : (u + 1) * n_sums], strict=True):
            added.append(_multiply_add(b, x, y, z))
    following = b.add(k, _number(unroll))
    k.add_incoming(following, b.block)
    for phi, value in zip(sums, added, strict=True):
        phi.add_incoming(ir.Constant(_VECTOR, [0.0] * LANES), entry)
        phi.add_incoming(value, b.block)
    b.cbranch(b.icmp_signed("<", following, n), loop, after)
    b.position_at_end(after)
    while len(added) > n_sums:
        half = len(added) // 2
        added = [b.fadd(x, y) for x, y in zip(added[:half], added[half:], strict=True)]
    return added


def _product(b: Any, n_rows: int, x: Any, M: Any, size: Any, finish: Callable[[int, Any, Any], None]) -> None:
    """Each vector of each row of x M is handed to finish(row, column, vector)."""
    j = _number(0)
    for width, unroll in _ONE_ROW if n_rows == 1 else _FOUR_ROWS:
        with _loop(b, j, size, width * LANES) as column:
            columns = [b.add(column, _number(v * LANES)) for v in range(width)]

            def terms(k: Any, columns: list[Any] = columns) -> list[tuple[Any, Any]]:
                row = b.mul(k, size)
                m = [_load(b, M, b.add(row, c)) for c in columns]
                made = []
                for r in range(n_rows):
                    value = _everywhere(b, b.load(b.gep(x, [b.add(b.mul(size, _number(r)), k)])))
                    made += [(value, vector) for vector in m]
                return made

            for i, value in enumerate(_sums(b, size, n_rows * width, terms, unroll)):
                finish(i // width, columns[i % width], value)
        tile = _number(width * LANES)
        j = b.sub(size, b.srem(b.sub(size, j), tile))


def _build_product(b: Any, n_rows: int, add: bool, a: Any) -> None:
    """Instructions of the first four functions on pointers and numbers."""
    rows = [b.mul(a.size, _number(r)) for r in range(n_rows)]

    def finish(r: int, column: Any, value: Any) -> None:
        place = b.add(rows[r], column)
        _store(b, b.fmul(value, _load(b, a.e[r], column)), a.out, place)
        if add:
            _store(b, _multiply_add(b, value, _load(b, a.y, place), _load(b, a.s[r], column)), a.s[r], column)

    _product(b, n_rows, a.x, a.M, a.size, finish)


def _build_add_products(b: Any, X: Any, x_step: Any, Y: Any, y_step: Any, n: Any, C: Any, size: Any) -> None:
    begin = _number(0)
    for width, unroll in _FOUR_ROWS:
        with _loop(b, begin, size, width * LANES) as column, _loop(b, _number(0), size, ROWS) as row:
            columns = [b.add(column, _number(v * LANES)) for v in range(width)]

            def terms(k: Any, columns: list[Any] = columns, row: Any = row) -> list[tuple[Any, Any]]:
                below, beside = b.mul(k, x_step), b.mul(k, y_step)
                y = [_load(b, Y, b.add(beside, c)) for c in columns]
                made = []
                for r in range(ROWS):
                    value = _everywhere(b, b.load(b.gep(X, [b.add(below, b.add(row, _number(r)))])))
                    made += [(value, vector) for vector in y]
                return made

            for i, value in enumerate(_sums(b, n, ROWS * width, terms, 1)):
                place = b.add(b.mul(b.add(row, _number(i // width)), size), columns[i % width])
                _store(b, b.fadd(value, _load(b, C, place)), C, place)
        begin = b.sub(size, b.srem(size, _number(width * LANES)))


def _pointer(context: Any, b: Any, kind: Any, array: Any, place: Any) -> Any:
    """Where element `place` of a numba array lies."""
    data = context.make_array(kind)(context, b, array).data
    return b.gep(b.bitcast(data, (_INT if kind.dtype == types.int64 else _FLOAT).as_pointer()), [place])


@intrinsic
def _row_times_matrix(typing, x, x0, M, M0, e, e0, out, out0, size):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        at = [_pointer(context, b, signature.args[i], args[i], args[i + 1]) for i in (0, 2, 4, 6)]
        _build_product(b, 1, False, SimpleNamespace(x=at[0], M=at[1], e=[at[2]], out=at[3], size=args[8]))
        return context.get_dummy_value()

    i = types.intp
    return types.void(x, i, M, i, e, i, out, i, i), generate


@intrinsic
def _row_times_matrix_and_add(typing, x, x0, M, M0, e, e0, out, out0, size, y, y0, s, s0):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        at = [_pointer(context, b, signature.args[i], args[i], args[i + 1]) for i in (0, 2, 4, 6, 9, 11)]
        a = SimpleNamespace(x=at[0], M=at[1], e=[at[2]], out=at[3], size=args[8], y=at[4], s=[at[5]])
        _build_product(b, 1, True, a)
        return context.get_dummy_value()

    i = types.intp
    return types.void(x, i, M, i, e, i, out, i, i, y, i, s, i), generate


def _four(context: Any, b: Any, kind: Any, array: Any, places_kind: Any, places: Any, first: Any) -> list[Any]:
    """Where the four rows of `array` lie that begin at places[first], places[first + 1] ..."""
    at = _pointer(context, b, places_kind, places, first)
    return [_pointer(context, b, kind, array, b.load(b.gep(at, [_number(r)]))) for r in range(ROWS)]


@intrinsic
def _rows_times_matrix(typing, x, x0, M, M0, e, e_at, e0, out, out0, size):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        at = [_pointer(context, b, signature.args[i], args[i], args[i + 1]) for i in (0, 2, 7)]
        e = _four(context, b, signature.args[4], args[4], signature.args[5], args[5], args[6])
        _build_product(b, ROWS, False, SimpleNamespace(x=at[0], M=at[1], e=e, out=at[2], size=args[9]))
        return context.get_dummy_value()

    i = types.intp
    return types.void(x, i, M, i, e, e_at, i, out, i, i), generate


@intrinsic
def _rows_times_matrix_and_add(typing, x, x0, M, M0, e, e_at, e0, out, out0, size, y, y0, s, s_at, s0):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        at = [_pointer(context, b, kinds[i], args[i], args[i + 1]) for i in (0, 2, 7, 10)]
        e = _four(context, b, kinds[4], args[4], kinds[5], args[5], args[6])
        sums = _four(context, b, kinds[12], args[12], kinds[13], args[13], args[14])
        _build_product(b, ROWS, True, SimpleNamespace(x=at[0], M=at[1], e=e, out=at[2], size=args[9], y=at[3], s=sums))
        return context.get_dummy_value()

    i = types.intp
    return types.void(x, i, M, i, e, e_at, i, out, i, i, y, i, s, s_at, i), generate


@intrinsic
def _add_products(typing, X, X0, x_step, Y, Y0, y_step, n, C, C0, size):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        at = [_pointer(context, b, signature.args[i], args[i], args[i + 1]) for i in (0, 3, 7)]
        _build_add_products(b, at[0], args[2], at[1], args[5], args[6], at[2], args[9])
        return context.get_dummy_value()

    i = types.intp
    return types.void(X, i, i, Y, i, i, i, C, i, i), generate


@kernel
def plain_row_times_matrix(
    x: Floats, x0: int, M: Floats, M0: int, e: Floats, e0: int, out: Floats, out0: int, size: int
) -> None:
    """Out = (x M) * e, from where each begins; M is (size, size), and out must not overlap x."""
    for j in range(size):
        out[out0 + j] = 0.0
    for i in range(size):
        value = x[x0 + i]
        for j in range(size):
            out[out0 + j] += value * M[M0 + i * size + j]
    for j in range(size):
        out[out0 + j] *= e[e0 + j]


@kernel
def plain_row_times_matrix_and_add(
    x: Floats,
    x0: int,
    M: Floats,
    M0: int,
    e: Floats,
    e0: int,
    out: Floats,
    out0: int,
    size: int,
    y: Floats,
    y0: int,
    s: Floats,
    s0: int,
) -> None:
    """As row_times_matrix, and s += (x M) * y."""
    for j in range(size):
        value = 0.0
        for i in range(size):
            value += x[x0 + i] * M[M0 + i * size + j]
        out[out0 + j] = value * e[e0 + j]
        s[s0 + j] += value * y[y0 + j]


@kernel
def plain_rows_times_matrix(
    x: Floats, x0: int, M: Floats, M0: int, e: Floats, e_at: Ints, e0: int, out: Floats, out0: int, size: int
) -> None:
    """row_times_matrix of the four rows from x0 on to those from out0 on; the e of row r begins at e_at[e0 + r]."""
    for r in range(ROWS):
        plain_row_times_matrix(x, x0 + r * size, M, M0, e, e_at[e0 + r], out, out0 + r * size, size)


@kernel
def plain_rows_times_matrix_and_add(
    x: Floats,
    x0: int,
    M: Floats,
    M0: int,
    e: Floats,
    e_at: Ints,
    e0: int,
    out: Floats,
    out0: int,
    size: int,
    y: Floats,
    y0: int,
    s: Floats,
    s_at: Ints,
    s0: int,
) -> None:
    """As rows_times_matrix, and s += (x M) * y; the s of row r begins at s_at[s0 + r], and rows may share theirs."""
    for r in range(ROWS):
        at = r * size
        plain_row_times_matrix_and_add(
            x, x0 + at, M, M0, e, e_at[e0 + r], out, out0 + at, size, y, y0 + at, s, s_at[s0 + r]
        )


@kernel
def plain_add_products(
    X: Floats, X0: int, x_step: int, Y: Floats, Y0: int, y_step: int, n: int, C: Floats, C0: int, size: int
) -> None:
    """C_ij += sum_k X[X0 + k x_step + i] Y[Y0 + k y_step + j] over k < n, with n of 1 or more."""
    for k in range(n):
        for i in range(size):
            value = X[X0 + k * x_step + i]
            for j in range(size):
                C[C0 + i * size + j] += value * Y[Y0 + k * y_step + j]


def can_be_built() -> bool:
    """Whether this version of llvmlite makes of the instructions above what LLVM accepts; some milliseconds."""
    if struct.calcsize("P") != 8:
        return False
    try:
        module = ir.Module()
        pointer = _FLOAT.as_pointer()
        f = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer] * 6 + [_INT]), "tile")
        b = ir.IRBuilder(f.append_basic_block("entry"))
        x, M, e, out, y, s, size = f.args
        for n_rows in (1, ROWS):
            each = SimpleNamespace(x=x, M=M, e=[e] * n_rows, out=out, size=size, y=y, s=[s] * n_rows)
            _build_product(b, n_rows, True, each)
        _build_add_products(b, x, size, y, size, size, out, size)
        b.ret_void()
        llvmlite.binding.parse_assembly(str(module)).verify()
    except Exception:  # whatever went wrong, there is a twin
        return False
    return True


BUILT = can_be_built()
row_times_matrix = _row_times_matrix if BUILT else plain_row_times_matrix
row_times_matrix_and_add = _row_times_matrix_and_add if BUILT else plain_row_times_matrix_and_add
rows_times_matrix = _rows_times_matrix if BUILT else plain_rows_times_matrix
rows_times_matrix_and_add = _rows_times_matrix_and_add if BUILT else plain_rows_times_matrix_and_add
add_products = _add_products if BUILT else plain_add_products
