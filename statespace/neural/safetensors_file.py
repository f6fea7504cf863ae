"""Arrays in a safetensors file: 8 bytes that say how long its header is, the header in JSON, and then raw numbers.

Reading runs no code and takes no more memory than the file has bytes, times a small factor.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from statespace.foundations.archive import write_atomically
from statespace.protocols import Array

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"} | {
    f"{letter.upper()}{8 * size}": f"<{letter}{size}" for letter in "iu" for size in (1, 2, 4, 8)
}
_NAMES = {"<f8": "F64", "<f4": "F32"}
_LONGEST_HEADER = 100_000_000  # bytes: the limit of the library itself


def write_safetensors(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays of float32 or float64 by name, and strings that say what they are, whole or not at all."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    blocks, end = [], 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        begin, end = end, end + raw.nbytes
        header[name] = {"dtype": _NAMES[raw.dtype.str], "shape": list(array.shape), "data_offsets": [begin, end]}
        blocks.append(raw.tobytes())
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # numbers begin at a multiple of their size
    write_atomically(Path(path), [len(encoded).to_bytes(8, "little"), encoded, *blocks])


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays by name, and the metadata; half-precision numbers as float32.

    Raises
    ------
    ValueError
        If the file is not a safetensors file, or is damaged or truncated.
    FileNotFoundError
        If there is no file.

    """
    place = Path(path)

    def refuse(why: str) -> NoReturn:
        raise ValueError(f"{place} is not a safetensors file that can be read, or is damaged: {why}")

    with place.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            refuse(f"it says that its header has {length} bytes, and has {size} itself")
        try:
            header = json.loads(file.read(length))
            metadata = header.pop("__metadata__", {})
            strings = all(isinstance(part, str) for part in [*metadata.keys(), *metadata.values()])
            entries = sorted(((tuple(one["data_offsets"]), name, one) for name, one in header.items()))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            refuse("its header is not a table of arrays in JSON")
        if not strings:
            refuse("its metadata are not strings")
        arrays: dict[str, Array] = {}
        at = 0
        for offsets, name, one in entries:
            dtype, shape = _DTYPES.get(str(one.get("dtype"))), one.get("shape")
            if dtype is None:
                refuse(f"{name!r} is of the type {one.get('dtype')!r}, expected one of {', '.join(_DTYPES)}")
            if not (isinstance(shape, list) and len(shape) <= 32 and all(type(n) is int and n >= 0 for n in shape)):
                refuse(f"{name!r} has the shape {shape!r:.80}")
            n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
            if offsets != (at, at + n_bytes) or 8 + length + at + n_bytes > size:
                refuse(f"{name!r} lies at {list(offsets)!r:.80}, expected {n_bytes} bytes from {at} on")
            found = np.frombuffer(file.read(n_bytes), dtype).reshape(shape)
            at += n_bytes
            if one["dtype"] == "BF16":
                found = (found.astype(np.uint32) << 16).view(np.float32)
            arrays[name] = found.astype(np.float32 if one["dtype"] == "F16" else found.dtype.newbyteorder("="))
        if 8 + length + at != size:
            refuse(f"{size - 8 - length - at} bytes follow its last array")
    return arrays, metadata
