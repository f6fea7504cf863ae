"""A layer in one direction over a batch that may be read from its ends, or in interleaved chains."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.neural.chains import Chains, active_rows
from statespace.neural.layer import (
    Cell,
    LayerRun,
    Packed,
    Weights,
    back_through_layer,
    derivatives_of_states,
    run_layer,
)
from statespace.protocols import Array, Ints


def reversed_rows(x: Array, lengths: Ints) -> Array:
    """Each row of (T, B, n) from its own end; zeros beyond it. Lengths fall. It undoes itself."""
    T, B = x.shape[:2]
    if T and len(lengths) and lengths[-1] >= T:
        return np.ascontiguousarray(x[::-1])
    found = np.zeros_like(x)
    for b in range(B):
        found[: lengths[b], b] = x[: lengths[b], b][::-1]
    return found


class Ends(NamedTuple):
    """States of a layer: the last `back` of them, or what they are differentiated to."""

    h: Array
    """Shape (back, B, H)."""
    c: Array | None
    """Shape (1, B, H), or (back, B, H) for chains; None where the cell has none."""


class DirectionRun:
    """A layer in one direction, run.

    Parameters
    ----------
    cell, packed
        The layer.
    x : (T, B, n_inputs)
        Inputs, time first, zeros beyond the end of a row.
    lengths : (B,)
        Falling.
    start : Ends
        States before the first step.
    reverse : bool
        Whether each row is read from its end.
    chains : int
        1, or into how many interleaved chains it falls.
    keep : bool
        Whether the backward pass can follow.

    """

    def __init__(
        self,
        cell: Cell,
        packed: Packed,
        x: Array,
        lengths: Ints,
        start: Ends,
        reverse: bool,
        chains: int,
        keep: bool,
    ) -> None:
        T = len(x)
        self.lengths, self.reverse, self.start = lengths, reverse, start
        self.back = len(start.h)
        inputs = reversed_rows(x, lengths) if reverse else x
        self.chains = Chains(T, lengths, chains) if chains > 1 else None
        if self.chains is None:
            c = None if start.c is None else start.c[0]
            self.run: LayerRun = run_layer(cell, packed, inputs, active_rows(lengths, T), start.h, c, keep)
            self.states = self.run.states
        else:
            c = None if start.c is None else self.chains.split_start(start.c)
            h = self.chains.split_start(start.h)[None]
            keeps = keep or cell.kind == "lstm"  # the last cell states of all chains
            self.run = run_layer(cell, packed, self.chains.split(inputs), self.chains.rows, h, c, keeps)
            self.states = self.chains.join(self.run.states)

    def as_read(self, of_steps: Array) -> Array:
        """What belongs to the steps, (T, B, n), in the order of the inputs."""
        return reversed_rows(of_steps, self.lengths) if self.reverse else of_steps

    @property
    def outputs(self) -> Array:
        """States in the order of the inputs, shape (T, B, H)."""
        return self.as_read(self.states)

    def _last(self, start: Array, of_steps: Array, n: int) -> Array:
        """The last n of what was before the first step and of what belongs to the steps, of each row."""
        B = len(self.lengths)
        if len(of_steps) >= n and self.lengths[-1] == len(of_steps):
            return of_steps[len(of_steps) - n :].copy()
        whole = np.concatenate([start, of_steps])
        at = self.lengths[None, :] + len(start) - n + np.arange(n)[:, None]
        return np.asarray(whole[at, np.arange(B)[None, :]])

    @property
    def cell_states(self) -> Array | None:
        """C after each step, shape (T, B, H), where an LSTM kept them."""
        run = self.run
        if run.C is None or len(run.C) != len(run.rows) + 1:
            return None
        c = run.C[1:, :, : run.cell.size]
        return c if self.chains is None else self.chains.join(c)

    def end(self) -> Ends:
        """States after the last step of each row."""
        H = self.run.cell.size
        h = self._last(self.start.h, self.states, self.back)
        if self.run.C is None or self.start.c is None:
            return Ends(h, None)
        kept = self.cell_states
        if kept is None:
            return Ends(h, self.run.C[:1, :, :H].copy())
        return Ends(h, self._last(self.start.c, kept, len(self.start.c)))

    def gradients(
        self, weights: Weights, found: Weights, d_outputs: Array, d_end: Ends | None, inputs_too: bool
    ) -> tuple[Array | None, Ends]:
        """Derivatives by the inputs (T, B, n_inputs) and by the start; those by the weights are written to `found`.

        d_outputs : (T, B, H), by the outputs; d_end : by what `end` gives.
        """
        run, H, back, lengths = self.run, self.run.cell.size, self.back, self.lengths
        T, B = d_outputs.shape[:2]
        dtype = run.x.dtype
        read = self.as_read(d_outputs.astype(dtype, copy=False))
        if self.chains:
            d_states = np.concatenate([np.zeros((back, B, H), dtype), read])
        else:
            d_states = derivatives_of_states(back, read)
        if B and lengths[-1] < T:
            for b in np.flatnonzero(lengths < T):
                d_states[back + lengths[b] :, b] = 0.0
        d_c: Array | None = None
        if d_end is not None:
            for k in range(back):
                d_states[lengths + k, np.arange(B), :H] += d_end.h[k]
            d_c = d_end.c
        if self.chains is None:
            before = back_through_layer(run, weights, found, d_states, None if d_c is None else d_c[0], inputs_too)
            d_x, d_h, d_start_c = before.x, before.h, None if before.c is None else before.c[None]
        else:
            if d_c is not None:  # the last cell states but for their order are those of the chains
                which = (np.arange(back)[:, None] - lengths[None, :]) % back
                d_c = self.chains.split_start(d_c[which, np.arange(B)[None, :]])
            wide = derivatives_of_states(1, self.chains.split(d_states[back:]))
            before = back_through_layer(run, weights, found, wide, d_c, inputs_too)
            d_x = None if before.x is None else self.chains.join(before.x)
            d_h = self.chains.join_start(before.h[0]) + d_states[:back]
            d_start_c = None if before.c is None else self.chains.join_start(before.c)
        if d_x is not None and self.reverse:
            d_x = reversed_rows(np.ascontiguousarray(d_x), lengths)
        return d_x, Ends(d_h, d_start_c)

    def release(self) -> None:
        """Nobody looks at this run any more."""
        self.states = np.empty((0, 0, 0))
        self.run.release()


def nothing_before(back: int, n_cells: int, B: int, H: int, dtype: Any) -> Ends:
    """States of zeros; n_cells : how many cell states there are, 0 for none."""
    return Ends(np.zeros((back, B, H), dtype), np.zeros((n_cells, B, H), dtype) if n_cells else None)
