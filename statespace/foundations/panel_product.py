r"""Products of matrices of float32 or float64 of any size, on tiles that stay in registers.

    add_product  C += A W          W (K, N) packed into panels of VECTOR_BYTES wide columns
    add_packed   C += A^T D        of rows of A and D that are packed, a chunk of them at a time
                                   (add_short_rows: as they lie)

Each number of C is a sum in the order of k, whatever the number of rows and whatever their place: a row comes out the
same to the last bit alone and among others. On one core that is as fast as the machine can multiply, and faster than
the BLAS that comes with numpy from matrices of 32 x 32 on (benchmarks/README.md).

All arrays are addressed in their memory, flat, by the place of the first element and the distance from row to row.
What the places say is trusted: nothing checks them.
"""

# ruff: noqa: ARG001  # an intrinsic names all its arguments, and types some of them only

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from statespace.foundations.elementwise import VECTOR_BYTES, elementwise, lanes, padded
from statespace.foundations.kernel import bare_kernel, called_kernel, inlined_kernel, kept_apart
from statespace.protocols import Array, Ints

_FLAGS = ("contract",)
_INDEX = ir.IntType(64)
_ROW_BLOCK = 128  # rows of A that are taken together, so that they stay near
_ROWS_PACKED = 16
_SUM_BLOCK = 256  # numbers of a sum that are taken together: so much of a panel stays in the first cache

copy_step = elementwise(lambda x: x, "a", 1)


@intrinsic(prefer_literal=True)
def add_tile(_, rows, vectors, n, x, x_at, x_row, x_k, a, a_at, a_k, a_panel, out, out_at, out_row):  # type: ignore[no-untyped-def]
    """out[r, v w + c] += sum_{k < n} x[r, k] a[v, k, c] for r < rows, v < vectors, c < w numbers of a vector; n > 0.

    rows, vectors : literals. The numbers of x are x_row and x_k apart, those of a a_panel, a_k and 1, rows of out
    out_row.
    """
    n_rows, n_vectors = rows.literal_value, vectors.literal_value
    element = ir.FloatType() if x.dtype == types.float32 else ir.DoubleType()
    size = 4 if x.dtype == types.float32 else 8
    width = VECTOR_BYTES // size
    vector = ir.VectorType(element, width)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x_data, a_data, out_data = (
            context.make_array(signature.args[i])(context, builder, values[i]).data for i in (3, 7, 11)
        )

        def index(k: int) -> Any:
            return ir.Constant(_INDEX, k)

        def at(data: Any, place: Any) -> Any:
            return builder.bitcast(builder.gep(data, [place]), vector.as_pointer())

        starts = [
            builder.gep(x_data, [builder.add(values[4], builder.mul(values[5], index(r)))]) for r in range(n_rows)
        ]
        panels = [builder.add(values[8], builder.mul(values[10], index(v))) for v in range(n_vectors)]
        cells = [
            [
                at(out_data, builder.add(builder.add(values[12], builder.mul(values[13], index(r))), index(v * width)))
                for v in range(n_vectors)
            ]
            for r in range(n_rows)
        ]
        begun = [[builder.load(cell, align=size) for cell in row] for row in cells]
        before, loop = builder.basic_block, builder.append_basic_block("tile")
        after = builder.append_basic_block("tile_end")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(_INDEX)
        k.add_incoming(index(0), before)
        sums = [[builder.phi(vector) for _ in range(n_vectors)] for _ in range(n_rows)]
        along, step = builder.mul(k, values[6]), builder.mul(k, values[9])
        loaded = [builder.load(at(a_data, builder.add(panel, step)), align=size) for panel in panels]
        added = []
        for start, row in zip(starts, sums, strict=True):
            undefined = ir.Constant(vector, ir.Undefined)
            number = builder.load(builder.gep(start, [along]))
            first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
            spread = builder.shuffle_vector(first, undefined, zeros)
            added.append(
                [
                    builder.fadd(so_far, builder.fmul(spread, one, flags=_FLAGS), flags=_FLAGS)
                    for so_far, one in zip(row, loaded, strict=True)
                ]
            )
        following = builder.add(k, index(1))
        k.add_incoming(following, builder.basic_block)
        for r in range(n_rows):
            for v in range(n_vectors):
                sums[r][v].add_incoming(begun[r][v], before)
                sums[r][v].add_incoming(added[r][v], builder.basic_block)
        builder.cbranch(builder.icmp_signed("<", following, values[2]), loop, after)
        builder.position_at_end(after)
        for r in range(n_rows):
            for v in range(n_vectors):
                builder.store(added[r][v], cells[r][v], align=size)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(rows, vectors, i8, x, i8, i8, i8, a, i8, i8, i8, out, i8, i8), generate


@inlined_kernel
def add_product(
    rows: int,
    A: Array,
    a_at: int,
    a_row: int,
    K: int,
    panels: Array,
    w_at: int,
    w_panel: int,
    n_panels: int,
    width: int,
    C: Array,
    c_at: int,
    c_row: int,
) -> None:
    """C += A W of `rows` rows and n_panels * width columns.

    Panel p lies at w_at + p w_panel, its row k `width` numbers further. K may be 0.
    """
    for begin in range(0, K, _SUM_BLOCK):
        k = min(_SUM_BLOCK, K - begin)
        a_begin, w_begin = a_at + begin, w_at + begin * width
        for first in range(0, rows, _ROW_BLOCK):
            last = min(first + _ROW_BLOCK, rows)
            whole = last - (last - first) % 4
            for p in range(n_panels):
                w, c = w_begin + p * w_panel, c_at + p * width
                for i in range(first, whole, 4):
                    add_tile(4, 1, k, A, a_begin + i * a_row, a_row, 1, panels, w, width, 0, C, c + i * c_row, c_row)
            for i in range(whole, last):
                a, c = a_begin + i * a_row, c_at + i * c_row
                p = 0
                while p + 4 <= n_panels:
                    add_tile(1, 4, k, A, a, 0, 1, panels, w_begin + p * w_panel, width, w_panel, C, c + p * width, 0)
                    p += 4
                while p < n_panels:
                    add_tile(1, 1, k, A, a, 0, 1, panels, w_begin + p * w_panel, width, 0, C, c + p * width, 0)
                    p += 1


@called_kernel
def call_add_product(
    rows: int,
    A: Array,
    a_at: int,
    a_row: int,
    K: int,
    panels: Array,
    w_at: int,
    w_panel: int,
    n_panels: int,
    width: int,
    C: Array,
    c_at: int,
    c_row: int,
) -> None:
    """As `add_product`, by a call, where that is soon done beside the product: compiled once, not in every kernel."""
    kept_apart()
    add_product(rows, A, a_at, a_row, K, panels, w_at, w_panel, n_panels, width, C, c_at, c_row)


@called_kernel
def pack_rows(
    first: int, last: int, rows: Ints, B: int, D: Array, d_at: int, d_row: int, columns: int, width: int, packed: Array
) -> int:
    """Rows of D, (T, B) of them, as panels (n, width) of `columns` columns; n, the rows of the steps first..last-1.

    Of step t the first rows[t] count. packed : (n * columns,).
    """
    kept_apart()
    n = 0
    for t in range(first, last):
        n += rows[t]
    i = 0
    for t in range(first, last):
        for row in range(rows[t]):
            source, place = d_at + (t * B + row) * d_row, i * width
            for c in range(0, columns, width):
                copy_step(width, D, source + c, packed, place)
                place += n * width
            i += 1
    return n


@called_kernel
def pack_columns(
    first: int, last: int, rows: Ints, B: int, A: Array, a_at: int, a_row: int, K: int, ones: int, packed: Array
) -> None:
    """Columns of A, (T, B) rows, four beside each other, (n, 4); with `ones` a column of ones after the K of A.

    packed : (n * columns rounded up to fours,), filled up with zeros.
    """
    kept_apart()
    n = 0
    for t in range(first, last):
        n += rows[t]
    i = 0
    for t in range(first, last):
        for row in range(rows[t]):
            source, place = a_at + (t * B + row) * a_row, 4 * i
            for k in range(0, K - 3, 4):
                packed[place], packed[place + 1] = A[source + k], A[source + k + 1]
                packed[place + 2], packed[place + 3] = A[source + k + 2], A[source + k + 3]
                place += 4 * n
            for k in range(K - K % 4, K + ones, 4):
                for j in range(4):
                    packed[place + j] = 1 if ones and k + j == K else 0
                    if k + j < K:
                        packed[place + j] = A[source + k + j]
                place += 4 * n
            i += 1


@called_kernel
def add_packed(
    n: int, columns: Array, K: int, panels: Array, p_at: int, n_panels: int, width: int, C: Array, c_at: int, c_row: int
) -> None:
    """C[k, c] += sum over n rows of A[i, k] D[i, c], of what pack_columns and pack_rows have made of A and D.

    C has rows for K rounded up to fours.
    """
    kept_apart()
    if n == 0:
        return
    for p in range(n_panels):
        for k in range(0, K, 4):
            c = c_at + k * c_row + p * width
            add_tile(4, 1, n, columns, k * n, 1, 4, panels, p_at + p * n * width, width, 0, C, c, c_row)


@called_kernel
def add_short_rows(
    n: int,
    A: Array,
    a_at: int,
    a_row: int,
    K: int,
    D: Array,
    d_at: int,
    d_row: int,
    n_panels: int,
    width: int,
    C: Array,
    c_at: int,
    c_row: int,
) -> None:
    """C += A^T D of n rows as they lie, to the bit what add_packed adds; short rows are sooner read than packed.

    With an a_row of 0 all rows of A are the same one.
    """
    kept_apart()
    for p in range(n_panels):
        d, c = d_at + p * width, c_at + p * width
        for k in range(0, K - 3, 4):
            add_tile(4, 1, n, A, a_at + k, 1, a_row, D, d, d_row, 0, C, c + k * c_row, c_row)
        for k in range(K - K % 4, K):
            add_tile(1, 1, n, A, a_at + k, 0, a_row, D, d, d_row, 0, C, c + k * c_row, 0)


@bare_kernel
def pack_gates(W: Array, H: int, width: int, panels: Array) -> None:
    """W (K, n_gates * H) as panels of (K, width), gate after gate, each filled up with columns of zeros."""
    K, columns = W.shape
    blocks = -(-H // width)
    flat = W.reshape(-1)
    for begin in range(0, K, _ROWS_PACKED):
        end = min(begin + _ROWS_PACKED, K)
        for gate in range(columns // H):
            for block in range(blocks):
                first = block * width
                n = min(width, H - first)
                source = gate * H + first
                place = (gate * blocks + block) * K * width
                for k in range(begin, end):
                    if n == width:
                        copy_step(width, flat, k * columns + source, panels, place + k * width)
                        continue
                    for j in range(n):
                        panels[place + k * width + j] = W[k, source + j]
                    for j in range(n, width):
                        panels[place + k * width + j] = 0


@bare_kernel
def pack_transposed(W: Array, H: int, Hp: int, width: int, panels: Array) -> None:
    """W^T of W (K, n_gates * H) as panels of (n_gates * Hp, width), whose rows beyond H of a gate are zeros."""
    K, columns = W.shape
    gates = columns // H
    size = gates * Hp * width
    for i in range(-(-K // width) * size):
        panels[i] = 0
    for k in range(K):
        base = (k // width) * size + k % width
        for gate in range(gates):
            place = base + gate * Hp * width
            for j in range(H):
                panels[place + j * width] = W[k, gate * H + j]


def as_panels(W: Array, H: int) -> Array:
    """W (K, n_gates * H) packed by `pack_gates`."""
    K, columns = W.shape
    panels = np.empty(K * (columns // H) * padded(H, W.dtype), W.dtype)
    pack_gates(W, H, lanes(W.dtype), panels)
    return panels


def as_transposed_panels(W: Array, H: int) -> Array:
    """W^T of W (K, n_gates * H) packed by `pack_transposed`."""
    K, columns = W.shape
    Hp, width = padded(H, W.dtype), lanes(W.dtype)
    panels = np.empty(padded(K, W.dtype) * (columns // H) * Hp, W.dtype)
    pack_transposed(W, H, Hp, width, panels)
    return panels
