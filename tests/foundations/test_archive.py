"""Files of arrays: what goes in comes out, damage of any kind is one clear error, and nothing is written by halves."""

import json
import math
import os
import pickle
import stat
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import statespace
from statespace.foundations import archive as archive_module
from statespace.foundations.archive import MAGIC, Archive, ArchiveError, read_archive, write_archive

HEADER = {"order": 2, "symbols": ["a", "\ud800", "日"], "nested": {"x": [1, 2.5, None, True, "NaN"]}}
ARRAYS = {
    "transmat": np.array([[0.25, 0.75], [1.0, 0.0]]),
    "log": np.array([-np.inf, np.nan, np.inf, -0.0]),
    "": np.array(["wet", "", "dry"]),
    "nothing": np.empty((0, 3), np.int64),
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
any_array = arrays_of.arrays(
    dtype=st.one_of(
        arrays_of.boolean_dtypes(),
        arrays_of.integer_dtypes(endianness="?"),
        arrays_of.unsigned_integer_dtypes(endianness="?"),
        arrays_of.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
        arrays_of.complex_number_dtypes(endianness="?", sizes=(64, 128)),
        arrays_of.unicode_string_dtypes(endianness="?", min_len=1, max_len=5),
        arrays_of.byte_string_dtypes(min_len=1, max_len=5),
    ),
    shape=arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
)
# One folder for all examples of a property is what is wanted here
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def bits(array):
    """Equality to the bit: NaN payloads, signs of zero and padding of texts included."""
    return array.dtype.newbyteorder("="), array.shape, array.astype(array.dtype.newbyteorder("=")).tobytes()


def forge(path, *, replace=None, table=None, data=b"", encoded=None, version=1, claimed=None):
    """A file with the right checksum around whatever a test wants its header to say."""
    content = {"kind": "Toy", "package_version": "0", "header": {}, "arrays": table or []}
    content.update(replace or {})
    encoded = json.dumps(content).encode() if encoded is None else encoded
    size = struct.pack("<Q", len(encoded) if claimed is None else claimed)
    path.write_bytes(MAGIC + struct.pack("<II", version, zlib.crc32(size + encoded)) + size + encoded + data)
    return path


def row(name="a", dtype="<f8", shape=(2,), offset=0, size=None, data=b""):
    if size is None:
        size = len(data)
    return {
        "name": name,
        "dtype": dtype,
        "shape": list(shape),
        "offset": offset,
        "size": size,
        "crc32": zlib.crc32(data),
    }


@pytest.fixture
def small_file(tmp_path):
    path = tmp_path / "small.model"
    write_archive(path, "Toy", HEADER, ARRAYS)
    return path


@in_one_folder
@given(kind=st.text(min_size=1), header=st.dictionaries(st.text(), json_values, max_size=3), values=st.data())
def test_what_goes_in_comes_out(tmp_path, kind, header, values):
    arrays = values.draw(st.dictionaries(st.text(), any_array, max_size=3))
    path = tmp_path / "any"
    write_archive(path, kind, header, arrays)
    back = read_archive(path)
    assert isinstance(back, Archive)
    assert (back.kind, back.package_version) == (kind, statespace.__version__)
    assert repr(back.header) == repr(header)  # 1, 1.0 and True are different things
    assert list(back.arrays) == list(arrays)
    for name, array in arrays.items():
        assert bits(back.arrays[name]) == bits(array)


def test_not_a_number_and_the_infinities_come_back_as_they_went(small_file):
    np.testing.assert_array_equal(read_archive(small_file).arrays["log"], [-np.inf, np.nan, np.inf, -0.0])
    assert math.copysign(1, read_archive(small_file).arrays["log"][3]) == -1


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(10)[::-2],
        np.broadcast_to(np.array([1.5]), (3, 2)),
        np.array(5),
        np.array(["", ""], dtype="U0"),
        np.array([b""], dtype="S0"),
        np.zeros((2, 0, 5)),
    ],
    ids=["Fortran order", "negative stride", "broadcast", "no dimension", "empty texts", "empty bytes", "empty"],
)
def test_the_layout_in_memory_is_no_matter(tmp_path, array):
    write_archive(tmp_path / "a", "Toy", {}, {"a": array})
    back = read_archive(tmp_path / "a").arrays["a"]
    np.testing.assert_array_equal(back, array)
    assert back.shape == array.shape
    assert back.flags.c_contiguous
    assert back.flags.writeable
    assert back.flags.aligned
    assert back.dtype.isnative


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([{}], dtype=object), "dtype object"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "datetime64"),
        (np.zeros(2, dtype=[("x", "f8")]), "array 'a' has dtype"),
        (np.zeros((1,) * 33), "33 dimensions"),
        (np.ma.masked_array([1, 2], mask=[0, 1]), "MaskedArray"),
        ([1, 2], "is list, expected a plain numpy.ndarray"),
        (np.float64(2), "is float64"),
    ],
)
def test_arrays_that_no_file_can_hold_are_refused_by_name(tmp_path, array, message):
    with pytest.raises(TypeError, match=message):
        write_archive(tmp_path / "a", "Toy", {}, {"a": array})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="this machine's long double is an ordinary one")
def test_long_doubles_are_refused_since_other_machines_have_none(tmp_path):
    with pytest.raises(TypeError, match="8 bytes a number"):
        write_archive(tmp_path / "a", "Toy", {}, {"a": np.zeros(2, np.longdouble)})


@pytest.mark.parametrize(
    ("header", "error", "message"),
    [
        ({"a": {"b": [0.0, math.nan]}}, ValueError, r"header\['a'\]\['b'\]\[1\] is nan, which JSON cannot hold"),
        ({"a": -math.inf}, ValueError, "store it in an array, or as a string"),
        ({"a": (1, 2)}, TypeError, r"header\['a'\] is tuple"),
        ({"a": np.int64(1)}, TypeError, "is int64"),
        ({"a": np.float64(1)}, TypeError, "is float64"),
        ({"a": np.zeros(2)}, TypeError, "arrays go to `arrays`"),
        ({1: "a"}, TypeError, "header has the key 1"),
        ([], TypeError, "header is list"),
    ],
)
def test_headers_that_would_not_come_back_are_refused_with_their_place(tmp_path, header, error, message):
    with pytest.raises(error, match=message):
        write_archive(tmp_path / "a", "Toy", header, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["", None, int])
def test_a_kind_is_a_name(tmp_path, kind):
    with pytest.raises(TypeError, match="expected the name of a class"):
        write_archive(tmp_path / "a", kind, {}, {})


def test_array_names_are_texts(tmp_path):
    with pytest.raises(TypeError, match="the array name 3 is int"):
        write_archive(tmp_path / "a", "Toy", {}, {3: np.zeros(1)})


# Damage


def test_every_truncation_is_noticed(small_file):
    whole = small_file.read_bytes()
    for length in range(len(whole)):
        small_file.write_bytes(whole[:length])
        with pytest.raises(ArchiveError, match=r"small\.model is (truncated|not a saved)"):
            read_archive(small_file)


def test_every_changed_byte_is_noticed(small_file):
    whole = small_file.read_bytes()
    for place in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[place] ^= flip
            small_file.write_bytes(damaged)
            with pytest.raises(ArchiveError, match=r"small\.model"):
                read_archive(small_file)


@in_one_folder
@given(data=st.data())
def test_random_damage_is_noticed(tmp_path, data):
    path = tmp_path / "damaged"
    write_archive(path, "Toy", HEADER, ARRAYS)
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=40)) + whole[stop:]
    path.write_bytes(damaged)
    if damaged == whole:
        assert read_archive(path).header == HEADER
    else:
        with pytest.raises(ArchiveError):
            read_archive(path)


@in_one_folder
@given(content=st.binary(max_size=200), with_magic=st.booleans())
def test_a_file_of_anything_is_refused(tmp_path, content, with_magic):
    path = tmp_path / "anything"
    path.write_bytes(MAGIC * with_magic + content)
    with pytest.raises(ArchiveError):
        read_archive(path)


@in_one_folder
@given(content=json_values, arrays=json_values)
def test_a_forged_header_of_anything_is_refused(tmp_path, content, arrays):
    path = tmp_path / "forged"
    forge(path, encoded=json.dumps(content).encode())
    with pytest.raises(ArchiveError):
        read_archive(path)
    forge(path, replace={"arrays": [arrays]})
    with pytest.raises(ArchiveError):
        read_archive(path)


def test_foreign_files_are_told_from_damaged_ones(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    foreign = tmp_path / "foreign"
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    contents = {
        "npz": (tmp_path / "foreign.npz").read_bytes(),
        "pickle": pickle.dumps(Bomb()),
        "text": b"date,rain\n2012-01-01,0.0\n",
        "empty": b"",
        "json": b'{"kind": "MarkovChain"}',
    }
    for content in contents.values():
        foreign.write_bytes(content)
        with pytest.raises(
            ArchiveError, match=r"foreign is not a saved statespace model .* pass the file that save\(\)"
        ):
            read_archive(foreign)
    assert not (tmp_path / "exploded").exists()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ArchiveError, match="is not a file"):
        read_archive(tmp_path)
    with pytest.raises(ArchiveError, match="is not a file"):
        write_archive(tmp_path, "Toy", {}, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are for POSIX systems")
def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArchiveError, match="is not a file"):
        read_archive(tmp_path / "pipe")
    with pytest.raises(ArchiveError, match="is not a file"):
        write_archive(tmp_path / "pipe", "Toy", {}, {})
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_archive(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_archive(tmp_path / "nowhere" / "model", "Toy", {}, {})


def test_a_newer_format_asks_for_a_newer_statespace(tmp_path):
    with pytest.raises(ArchiveError, match=r"format version 2, .* reads up to 1: pip install --upgrade"):
        read_archive(forge(tmp_path / "newer", version=2))


def test_a_line_end_conversion_is_noticed(small_file):
    small_file.write_bytes(small_file.read_bytes().replace(b"\r\n", b"\n"))
    with pytest.raises(ArchiveError, match="not a saved statespace model"):
        read_archive(small_file)


TWO = np.array([1.0, 2.0]).tobytes()


def test_a_forgery_without_a_lie_is_read(tmp_path):
    """The negative control of the next test."""
    path = forge(tmp_path / "fine", table=[row(data=TWO), row("b", offset=16, data=TWO)], data=TWO + TWO)
    np.testing.assert_array_equal(read_archive(path).arrays["b"], [1.0, 2.0])


@pytest.mark.parametrize(
    ("forged", "message"),
    [
        ({"table": [row(shape=(10**15 // 8,), size=10**15)]}, "truncated"),
        ({"table": [row(shape=(2**62, 2**62), size=2**127)]}, "impossible offset, size"),
        ({"table": [row(size=16, shape=(3,))], "data": TWO}, "its shape and dtype have another number"),
        ({"table": [row(shape=(-2,), size=-16)], "data": TWO}, "impossible shape"),
        ({"table": [row(shape=(-1, -2), data=TWO)], "data": TWO}, "impossible shape"),
        ({"table": [row(shape=(True, 2), data=TWO)], "data": TWO}, "impossible shape"),
        ({"table": [row(shape=(2.0,), data=TWO)], "data": TWO}, "impossible shape"),
        ({"table": [row(shape=(1,) * 33, size=8)], "data": TWO}, "impossible shape"),
        ({"table": [row(shape=(0, 2**62, 2**62), size=0)]}, "impossible shape"),
        ({"table": [row(offset=-16, data=TWO)], "data": TWO}, "impossible offset"),
        ({"table": [row(offset=8, data=TWO)], "data": b"." * 8 + TWO}, "does not begin where"),
        ({"table": [row(data=TWO), row("b", data=TWO)], "data": TWO}, "does not begin where"),
        ({"table": [row(data=TWO), row("b", offset=8, data=TWO)], "data": TWO + TWO}, "does not begin where"),
        ({"table": [row(data=TWO), row(offset=16, data=TWO)], "data": TWO + TWO}, "two arrays named 'a'"),
        ({"table": [row(data=TWO)], "data": TWO + b"."}, "1 bytes follow"),
        ({"table": [row(data=TWO)], "data": TWO[::-1]}, "array 'a' does not match its checksum"),
        ({"table": [row(dtype="|O8", data=TWO)], "data": TWO}, "has dtype '|O8'"),
        ({"table": [row(dtype=">f8", data=TWO)], "data": TWO}, "has dtype '>f8'"),
        ({"table": [row(dtype="<f16", shape=(1,), data=TWO)], "data": TWO}, "has dtype '<f16'"),
        ({"table": [row(dtype="<M8[s]", data=TWO)], "data": TWO}, "has dtype '<M8"),
        ({"table": [row(dtype="<f8,<f8", data=TWO)], "data": TWO}, "has dtype '<f8,<f8'"),
        ({"table": [row(dtype="<f8\n", data=TWO)], "data": TWO}, "has dtype"),
        ({"table": [row(dtype="<U0", shape=(10**15,), size=0)]}, "has dtype '<U0'"),
        ({"table": [row(dtype="<U99999999", shape=(0,), size=0)]}, "wider than the file"),
        ({"table": [row(dtype=["<f8"], data=TWO)], "data": TWO}, "has dtype"),
        (
            {"table": [row(dtype="<U1", shape=(1,), data=b"\xff" * 4)], "data": b"\xff" * 4},
            "characters that do not exist",
        ),
        ({"table": [row(dtype="|b1", shape=(1,), data=b"\x02")], "data": b"\x02"}, "booleans other than 0 and 1"),
        ({"table": [row(name=7, data=TWO)], "data": TWO}, "array 0 has no name"),
        ({"table": [{**row(data=TWO), "more": 1}], "data": TWO}, "row 0 of its table of arrays is malformed"),
        ({"replace": {"kind": 7}}, "names no class"),
        ({"replace": {"kind": ""}}, "names no class"),
        ({"replace": {"header": []}}, "is not a table"),
        ({"replace": {"arrays": {}}}, "is not a table"),
        ({"replace": {"more": 1}}, "other fields"),
        ({"encoded": b'{"kind": NaN}'}, "NaN is not a finite number"),
        ({"encoded": b'{"kind": -Infinity}'}, "-Infinity is not a finite number"),
        ({"encoded": b'{"kind": 1e999}'}, "1e999 is not a finite number"),
        ({"encoded": b'{"kind": "a", "kind": "b"}'}, "a name occurs twice"),
        ({"encoded": b'{"kind": "\xc3\xa4"}'}, "not valid JSON"),
        ({"encoded": b"[" * 200_000}, "not valid JSON"),
        ({"encoded": b"9" * 10_000}, "not valid JSON"),
        ({"encoded": b""}, "not valid JSON"),
        ({"encoded": b"null"}, "other fields"),
        ({"claimed": 10**15}, "truncated"),
        ({"claimed": 2**64 - 1}, "truncated"),
        ({"claimed": 0}, "does not match its checksum"),
        ({"version": 0}, "its format version is 0"),
    ],
)
def test_a_lie_in_a_file_whose_checksums_are_right_is_refused(tmp_path, forged, message):
    path = forge(tmp_path / "forged", **forged)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=f"forged is .*{message.replace('|', '[|]')}"):
            read_archive(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


# Atomic writing


def test_a_write_that_fails_leaves_the_earlier_file_and_nothing_else(small_file, monkeypatch):
    before = small_file.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_archive(small_file, "Toy", {}, {})
    assert small_file.read_bytes() == before
    assert list(small_file.parent.iterdir()) == [small_file]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(archive_module.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_archive(tmp_path / "model", "Toy", {}, {})
    assert list(tmp_path.iterdir()) == []


def test_the_file_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, archive_module.Path.replace

    def watched_fsync(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def watched_replace(self, target):
        assert self.stat().st_size > 0
        assert self.parent == target.parent  # a rename is atomic only within a file system
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(archive_module.os, "fsync", watched_fsync)
    monkeypatch.setattr(archive_module.Path, "replace", watched_replace)
    write_archive(tmp_path / "model", "Toy", {}, {})
    assert events[:2] == ["file", "rename"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX systems")
def test_permissions_are_those_of_a_new_file_or_of_the_file_before(tmp_path):
    new, ordinary = tmp_path / "new", tmp_path / "ordinary"
    ordinary.touch()
    write_archive(new, "Toy", {}, {})
    assert new.stat().st_mode == ordinary.stat().st_mode
    new.chmod(0o640)
    write_archive(new, "Toy", {}, {})
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


def test_a_read_only_file_is_not_replaced(small_file, monkeypatch):
    # What access() answers, since the superuser, as whom tests may run, may write everything
    monkeypatch.setattr(archive_module.os, "access", lambda path, mode: False)
    before = small_file.read_bytes()
    with pytest.raises(PermissionError, match="read-only"):
        write_archive(small_file, "Toy", {}, {})
    assert small_file.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need privileges there")
def test_a_symbolic_link_stays_one(small_file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(small_file)
    write_archive(link, "Other", {}, {})
    assert link.is_symlink()
    assert read_archive(small_file).kind == "Other"
