"""One file for a fitted model: arrays and a JSON header. Reading it runs no code and trusts no number in it.

    magic            16 bytes   never changes, in any format version
    format version    4 bytes   unsigned, little-endian like every number here
    checksum          4 bytes   CRC-32 of the header's size and the header
    header's size     8 bytes
    header                      JSON in ASCII: kind, package version, the model's own header, and of each array
                                its name, dtype, shape, offset (from the end of the header), size in bytes, CRC-32
    arrays                      raw, in C order, one after the other, to the last byte of the file

Every byte is covered by a size or a checksum, so damage by chance is noticed. A file that was forged can hold wrong
numbers, but no code, and it takes no more memory than it has bytes on the disk, times a small factor.
"""

import errno
import json
import math
import os
import re
import secrets
import stat
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from statespace.protocols import Array

MAGIC = b"\x93statespace\r\n\x1a\n\x00"  # a transfer that converts line ends would damage it
FORMAT_VERSION = 1

_PREAMBLE = struct.Struct("<16sIIQ")
_SIZE = struct.Struct("<Q")
_DTYPE = re.compile(r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<c(?:8|16)|<U[1-9][0-9]{0,8}|\|S[1-9][0-9]{0,8}", re.ASCII)
_MOST_DIMENSIONS = 32
_LAST_CHARACTER = 0x10FFFF


class ArchiveError(ValueError):
    """The file is not a model that this version can read; the message names the file and what to do."""


class UnknownClassError(ArchiveError):
    """What a file holds is of a class that the reader does not know."""

    def __init__(self, what: str, kind: str) -> None:
        # As a keyword it must be an identifier, and what a file says is not printed unchecked
        keyword = kind if kind.isidentifier() else "YourClass"
        super().__init__(
            f"{what} {kind!r}, a class that statespace does not have: if it is yours, load(path, {keyword}={keyword}); "
            "otherwise a newer statespace may know it"
        )


@dataclass(frozen=True)
class Archive:
    """What one file holds."""

    kind: str
    """Name of the model's class."""
    header: dict[str, Any]
    """What the model wrote beside its arrays: JSON values."""
    arrays: dict[str, Array]
    """Arrays by name, each with memory of its own: writable, C-contiguous, in the machine's byte order."""
    package_version: str
    """Version of this package that wrote the file."""
    classes: Mapping[str, type] = field(default_factory=dict)
    """Classes that whoever reads the file hands over, by the names they were saved under."""


def write_archive(path: str | os.PathLike[str], kind: str, header: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Write one file, whole or not at all: an earlier file at `path` stays until the new one is safely on the disk.

    Parameters
    ----------
    path : str or path
        The file keeps its permissions if it exists, and its place if it is a symbolic link.
    kind : str
        Name of the model's class; `statespace.load` finds the class by it.
    header : dict
        JSON values that come back as they went: dict with str keys, list, str, int, float, bool, None. JSON has no
        inf and no NaN: store those in an array, or as a string.
    arrays : dict of str to numpy.ndarray
        Of bool, int, uint, float, complex, or fixed-width str or bytes. NaN, -inf and inf come back as they are.

    Raises
    ------
    TypeError
        If the header or an array holds what the format does not; the message names the place.
    ValueError
        If a float of the header is not finite.
    ArchiveError
        If something other than a file is at `path`.
    OSError
        If the file cannot be written; nothing is left behind.

    """
    if not isinstance(kind, str) or not kind:
        raise TypeError(f"kind is {kind!r}, expected the name of a class")
    if not isinstance(header, dict):
        raise TypeError(f"header is {type(header).__name__}, expected a dict")
    _check_json(header, "header")
    contents, table, offset = [], [], 0
    for name, array in arrays.items():
        raw, dtype = _raw_bytes(name, array)
        table.append(
            {
                "name": name,
                "dtype": dtype,
                "shape": list(array.shape),
                "offset": offset,
                "size": raw.nbytes,
                "crc32": zlib.crc32(raw.data),
            }
        )
        contents.append(raw.data)
        offset += raw.nbytes
    encoded = json.dumps(
        {"kind": str(kind), "package_version": _package_version(), "header": header, "arrays": table},
        allow_nan=False,
        separators=(",", ":"),
    ).encode("ascii")
    size = _SIZE.pack(len(encoded))
    preamble = _PREAMBLE.pack(MAGIC, FORMAT_VERSION, zlib.crc32(size + encoded), len(encoded))
    write_atomically(Path(path), [preamble, encoded, *contents])


def read_archive(path: str | os.PathLike[str]) -> Archive:
    """Read a file that `write_archive` wrote.

    Every size is compared with the file's before memory is taken for it.

    Raises
    ------
    ArchiveError
        If the file is foreign, damaged, truncated, or of a newer format; the message says which and what to do.
    FileNotFoundError
        If there is no file.

    """
    place = Path(path)
    if not stat.S_ISREG(place.stat().st_mode):
        raise ArchiveError(f"{place} is not a file: pass the file that save() wrote")
    with place.open("rb") as file:
        return _Reader(place, file).archive()


class _Reader:
    """One open file and its size, which bounds everything that the file says of itself."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.size = os.fstat(file.fileno()).st_size

    def archive(self) -> Archive:
        encoded = self._header_bytes()
        start = _PREAMBLE.size + len(encoded)
        content = self._parse(encoded)
        if not isinstance(content, dict) or set(content) != {"kind", "package_version", "header", "arrays"}:
            self._damaged("its header has other fields than this format's")
        kind, package_version = content["kind"], content["package_version"]
        header, table = content["header"], content["arrays"]
        if not (isinstance(kind, str) and kind and isinstance(package_version, str)):
            self._damaged("its header names no class")
        if not (isinstance(header, dict) and isinstance(table, list)):
            self._damaged("its header is not a table of arrays and values")

        # The whole table first: sizes that disagree with the file's are found before memory is taken
        entries, names, end = [], set(), 0
        for number, entry in enumerate(table):
            name, dtype, shape, crc = self._entry(number, entry, end)
            if name in names:
                self._damaged(f"it has two arrays named {name!r}")
            names.add(name)
            end += entry["size"]
            entries.append((name, dtype, shape, crc))
        if start + end > self.size:
            self._truncated(start + end)
        if start + end < self.size:
            self._damaged(f"{self.size - start - end} bytes follow its last array")
        return Archive(kind, header, {entry[0]: self._array(*entry) for entry in entries}, package_version)

    def _header_bytes(self) -> bytes:
        preamble = self.file.read(_PREAMBLE.size)
        magic = preamble[: len(MAGIC)]
        if not preamble or magic != MAGIC[: len(magic)]:
            self._foreign(magic)
        if len(preamble) < _PREAMBLE.size:
            self._truncated(_PREAMBLE.size)
        _, version, crc, size = _PREAMBLE.unpack(preamble)
        if version > FORMAT_VERSION:
            raise ArchiveError(
                f"{self.path} has format version {version}, this statespace ({_package_version()}) reads up to "
                f"{FORMAT_VERSION}: pip install --upgrade statespace-models"
            )
        if version < 1:
            self._damaged(f"its format version is {version}")
        if _PREAMBLE.size + size > self.size:
            self._truncated(_PREAMBLE.size + size)
        encoded = self.file.read(size)
        if len(encoded) < size:
            self._truncated(_PREAMBLE.size + size)
        if zlib.crc32(_SIZE.pack(size) + encoded) != crc:
            self._damaged("its header does not match its checksum")
        return encoded

    def _parse(self, encoded: bytes) -> Any:
        try:
            return json.loads(
                encoded.decode("ascii"),
                object_pairs_hook=_distinct,
                parse_float=_finite,
                parse_constant=_finite,
            )
        except (ValueError, RecursionError) as error:
            self._damaged(f"its header is not valid JSON ({error})")

    def _entry(self, number: int, entry: Any, end: int) -> tuple[str, np.dtype[Any], tuple[int, ...], int]:
        """Name, dtype, shape and checksum of one row of the table, once they fit together and follow the last array."""
        if not isinstance(entry, dict) or set(entry) != {"name", "dtype", "shape", "offset", "size", "crc32"}:
            self._damaged(f"row {number} of its table of arrays is malformed")
        name, code, shape = entry["name"], entry["dtype"], entry["shape"]
        if not isinstance(name, str):
            self._damaged(f"array {number} has no name")
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            self._damaged(f"array {name!r} has dtype {code!r}")
        if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not all(_is_count(n) for n in shape):
            self._damaged(f"array {name!r} has an impossible shape")
        if not all(_is_count(entry[field]) for field in ("offset", "size", "crc32")):
            self._damaged(f"array {name!r} has an impossible offset, size or checksum")
        if entry["offset"] != end:
            self._damaged(f"array {name!r} does not begin where the one before it ends")
        # The width of a text counts too, so that no dtype is larger than the file even where the shape holds a 0
        width = int(code[2:]) * (4 if code[1] == "U" else 1)
        if width > max(self.size, 16):
            self._damaged(f"array {name!r} has dtype {code!r}, wider than the file")
        if entry["size"] != width * math.prod(shape):
            self._damaged(f"array {name!r} has {entry['size']} bytes, its shape and dtype have another number")
        return name, np.dtype(code), tuple(shape), entry["crc32"]

    def _array(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], crc: int) -> Array:
        raw = np.empty(dtype.itemsize * math.prod(shape), np.uint8)
        if self.file.readinto(raw.data) < raw.size:  # type: ignore[attr-defined]  # typeshed's BinaryIO lacks it
            self._truncated(self.size)
        if zlib.crc32(raw.data) != crc:
            self._damaged(f"array {name!r} does not match its checksum")
        if dtype.kind == "b" and raw.size and raw.max() > 1:
            self._damaged(f"array {name!r} holds booleans other than 0 and 1")
        if dtype.kind == "U" and raw.size and raw.view("<u4").max() > _LAST_CHARACTER:
            self._damaged(f"array {name!r} holds characters that do not exist")
        try:
            array: Array = raw.view(dtype).reshape(shape)
        except ValueError:  # (0, 2^63) and the like: no bytes, yet more elements than numpy counts
            self._damaged(f"array {name!r} has an impossible shape")
        return array.astype(dtype.newbyteorder("="), copy=False)

    def _foreign(self, magic: bytes) -> NoReturn:
        begins = f"it begins with {magic[:8]!r}" if magic else "it is empty"
        raise ArchiveError(f"{self.path} is not a saved statespace model ({begins}): pass the file that save() wrote")

    def _truncated(self, expected: int) -> NoReturn:
        raise ArchiveError(
            f"{self.path} is truncated ({self.size} of {expected} bytes): copy the file again, or save the model again"
        )

    def _damaged(self, what: str) -> NoReturn:
        raise ArchiveError(f"{self.path} is damaged ({what}): copy the file again, or save the model again")


def _package_version() -> str:
    # By name, since an import of the package would be an arrow up to all of its public names
    return str(import_module("statespace").__version__)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name occurs twice")
    return values


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # NaN and Infinity, which are no JSON, and 1e999, which would become inf
        raise ValueError(f"{text} is not a finite number")
    return value


def _check_json(value: object, place: str) -> None:
    """Refuse what JSON would not give back as it was: tuples, keys that are not str, NaN, NumPy's numbers."""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{place} has the key {key!r} ({type(key).__name__}), expected a str")
            _check_json(item, f"{place}[{key!r}]")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_json(item, f"{place}[{number}]")
    elif type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{place} is {value}, which JSON cannot hold: store it in an array, or as a string")
    elif value is not None and type(value) not in (str, int, bool):
        raise TypeError(
            f"{place} is {type(value).__name__}, expected dict, list, str, int, float, bool or None "
            "(arrays go to `arrays`)"
        )


def _raw_bytes(name: object, array: object) -> tuple[Array, str]:
    """Return an array's bytes as they go to the disk, and the dtype that reads them."""
    if type(name) is not str:
        raise TypeError(f"the array name {name!r} is {type(name).__name__}, expected a str")
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"array {name!r} is {type(array).__name__}, expected a plain numpy.ndarray")
    dtype = array.dtype.newbyteorder("<")
    if dtype.kind in "US" and dtype.itemsize == 0:  # numpy's width for "no text at all"
        dtype = np.dtype(f"<{dtype.kind}1")
    code = dtype.str
    if not _DTYPE.fullmatch(code) or dtype.names is not None or array.ndim > _MOST_DIMENSIONS:
        raise TypeError(
            f"array {name!r} has dtype {array.dtype} and {array.ndim} dimensions; a file holds bool, int, uint, float, "
            f"complex (8 bytes a number), str and bytes of a fixed width, and up to {_MOST_DIMENSIONS} dimensions"
        )
    plain = np.array(array, dtype=dtype, order="C", copy=None, subok=False)
    return plain.reshape(-1).view(np.uint8), code


def write_atomically(path: Path, blocks: list[Any]) -> None:
    """Write blocks of bytes, whole or not at all; permissions and symbolic links stay."""
    target = Path(os.path.realpath(path))  # a symbolic link stays one
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(target.parent))
    exists = target.exists()
    if exists and not target.is_file():
        raise ArchiveError(f"{path} is not a file: choose the name of a new or an existing file")
    if exists and not os.access(target, os.W_OK):  # a rename would not ask
        raise PermissionError(errno.EACCES, "the file is read-only", str(path))
    temporary = target.parent / f".statespace-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:  # "x": created with the permissions a new file gets
            if exists:
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            for block in blocks:
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name outlive a power cut too, where the system lets folders be synchronised."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
