"""CSV files in, wet and dry days or symbols out: every way of writing, and every way of being wrong."""

import contextlib
import csv
import io
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from statespace.cli.csv_series import read_column, read_rain
from statespace.cli.csv_table import read_table
from statespace.cli.errors import CommandError

WRITERS = {
    "ISO": lambda d: d.isoformat(),
    "compact": lambda d: f"{d.year}{d.month:02}{d.day:02}",
    "points": lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    "day first": lambda d: f"{d.day}/{d.month}/{d.year}",
    "month first": lambda d: f"{d.month:02}/{d.day:02}/{d.year}",
    "long name, month first": lambda d: d.strftime("%B %d, %Y"),
}
TIMES = ["", " 00:00", "T12:00:00Z"]
DIALECTS = [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", "."), (",", ",")]
BLANKS = ["", "NA", "NaN", "n/a", "null", "M", "-", "-9999"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1252"]

amounts = st.one_of(st.none(), st.just(0.0), st.integers(1, 5000).map(lambda tenths: tenths / 10))
days_and_amounts = st.lists(st.tuples(st.booleans(), amounts), min_size=1, max_size=25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("csv")


@pytest.fixture
def write(tmp_path):
    def write(content, name="rain.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def dated(values, first="2012-01-01"):
    """A file with one row a day."""
    start = date.fromisoformat(first)
    rows = [f"{start + timedelta(days=day)},{value}" for day, value in enumerate(values)]
    return "\n".join(["date,rain", *rows]) + "\n"


@given(
    record=days_and_amounts,
    first=st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    way=st.sampled_from(sorted(WRITERS)),
    time=st.sampled_from(TIMES),
    dialect=st.sampled_from(DIALECTS),
    encoding=st.sampled_from(ENCODINGS),
    header=st.sampled_from([("date", "rain"), ("Jour", "Précipitation (mm)"), None]),
    swapped=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    missing=st.sampled_from(BLANKS),
    shuffle=st.randoms(use_true_random=False),
)
@example(
    record=[(True, 0.1), (True, None), (False, 1.0), (True, 0.0)],
    first=date(2012, 1, 31),
    way="day first",
    time="",
    dialect=(";", ","),
    encoding="utf-8-sig",
    header=None,
    swapped=True,
    newline="\r\n",
    quoting=csv.QUOTE_ALL,
    missing="-9999",
    shuffle=None,
)
def test_any_record_is_read_back_as_it_was_written(
    folder, record, first, way, time, dialect, encoding, header, swapped, newline, quoting, missing, shuffle
):
    delimiter, point = dialect
    days = [first + timedelta(days=offset) for offset in range(len(record))]
    rows = [(day, value) for day, (there, value) in zip(days, record, strict=True) if there]
    assume(any(value is not None for _, value in rows))
    assume(any(day.day > 12 for day, _ in rows))  # or nothing tells day from month
    kept = [day for day, _ in rows]
    assume(len(kept) == 1 or any(b - a == timedelta(days=1) for a, b in pairwise(kept)))
    expected = {day: np.nan if value is None else float(value > 0) for day, value in rows}
    if shuffle is not None:
        shuffle.shuffle(rows)
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=newline)
    table = [] if header is None else [header]
    table += [
        (WRITERS[way](day) + time, missing if value is None else str(value).replace(".", point)) for day, value in rows
    ]
    writer.writerows([row[::-1] if swapped else row for row in table])
    path = folder / "any.csv"
    path.write_bytes(stream.getvalue().encode(encoding))

    column, date_column = ("1", "2") if swapped else ("2", "1")
    found = read_rain(
        str(path), column=column, date_column=date_column, missing=["-9999"], header=False if header is None else None
    )

    calendar = [min(kept) + timedelta(days=offset) for offset in range((max(kept) - min(kept)).days + 1)]
    assert found.dates.astype(object).tolist() == calendar
    np.testing.assert_array_equal(found.wet, [expected.get(day, np.nan) for day in calendar])


def test_the_plain_choice_of_columns_needs_no_options(write):
    text = "station;Datum;tmax;Niederschlag;tmin\nX1;31.01.2012;1,5;0,0;-2,0\nX1;01.02.2012;2,5;0,3;-1,0\n"
    record = read_rain(write(text))
    assert (record.column, record.wet.tolist()) == ("Niederschlag", [0, 1])
    assert str(record.dates[0]) == "2012-01-31"


def test_a_single_column_of_numbers_is_the_rain_whatever_its_name(write):
    assert read_rain(write("date,x\n2012-01-01,1\n2012-01-02,0\n")).column == "x"


def test_columns_are_found_by_any_case_and_by_number(write):
    path = write("Date,A,B\n2012-01-01,1,0\n2012-01-02,1,0\n")
    assert read_rain(path, column="b").wet.tolist() == [0, 0]
    assert read_rain(path, column="2", date_column="DATE").wet.tolist() == [1, 1]


def test_without_dates_rows_are_days_and_a_blank_line_of_a_lone_column_is_a_gap(write):
    record = read_rain(write("rain\n1.0\n\n0\nNA\n2\n\n\n"))
    np.testing.assert_array_equal(record.wet, [1, np.nan, 0, np.nan, 1])
    assert record.dates is None
    assert "consecutive days" in record.notes[0]


def test_missing_days_and_values_are_gaps(write):
    record = read_rain(write("date,rain\n2012-01-01,1\n2012-01-02,\n2012-01-05,0\n2012-01-06,NA\n"))
    np.testing.assert_array_equal(record.wet, [1, np.nan, np.nan, np.nan, 0, np.nan])


def test_unsorted_dates_are_sorted_with_a_note(write):
    record = read_rain(write("date,rain\n2012-01-02,1\n2012-01-01,0\n"))
    assert record.wet.tolist() == [0, 1]
    assert "2012-01-01 follows 2012-01-02" in record.notes[0]


@pytest.mark.parametrize(("threshold", "wet"), [(None, [0, 1, 1, 1]), (1.0, [0, 0, 1, 1]), (1.1, [0, 0, 0, 1])])
def test_wet_is_above_zero_or_from_the_threshold_on(write, threshold, wet):
    assert read_rain(write(dated([0, 0.1, 1.0, 1.5])), threshold=threshold).wet.tolist() == wet


@pytest.mark.parametrize(("trace", "value"), [("wet", 1), ("dry", 0), ("missing", np.nan)])
@pytest.mark.parametrize("mark", ["T", "t", "Trace"])
def test_a_trace_counts_as_asked(write, mark, trace, value):
    np.testing.assert_array_equal(read_rain(write(dated([0, mark, 2])), trace=trace).wet, [0, value, 1])


@pytest.mark.parametrize("mark", ["-9999", "-9999.0", "-99.9", "9999", "x"])
def test_marks_of_missing_values_make_gaps_however_the_number_is_written(write, mark):
    marks = ["-9999", "-99.90", "9999.", "X"]
    np.testing.assert_array_equal(read_rain(write(dated([0, mark, 2])), missing=marks).wet, [0, np.nan, 1])


def test_an_amount_beyond_all_records_is_noted(write):
    record = read_rain(write(dated([0, 1, 9999])))
    assert "line 4: 9999 is more millimetres than ever fell" in record.notes[0]
    assert "--missing=9999" in record.notes[0]


def test_trailing_delimiters_short_rows_comments_and_blank_lines_do_no_harm(write):
    text = "# made by hand\ndate,rain,note,\n2012-01-01,1,x,\n\n2012-01-02\n2012-01-03,0,,,,\n,,,\n"
    np.testing.assert_array_equal(read_rain(write(text)).wet, [1, np.nan, 0])


BAD_FILES = {
    "no rows": ("date,rain\n", r"has a header \(date and rain\) but no rows"),
    "empty": ("", "is empty"),
    "blank": ("\n \n\n", "is empty"),
    "only comments": ("# nothing\n", "is empty"),
    "image": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)), "is not text: save it as CSV in UTF-8"),
    "zip": (b"PK\x03\x04\x14\x00\x06\x00", "is not text"),
    "undecodable": (b"date,rain\n2012-01-01,\x81\x8d\n", "is not text"),
    "ragged": ("date,rain\n2012-01-01,1\n2012-01-02,1,5\n", "line 3: 3 fields, but the first line has 2"),
    "title above": ("Rain at home\ndate,rain\n2012-01-01,1\n", "no column of numbers|fields, but the first line has 1"),
    "endless cell": ('date,rain\n2012-01-01,"' + "1" * 200_000 + '"\n', "is not a CSV file"),
    "two candidates": ("date,a,b\n2012-01-01,1,2\n2012-01-02,1,2\n", "which column is the rain.*--column a or b"),
    "two rains": ("date,rain,snow_rain\n2012-01-01,1,2\n2012-01-02,1,2\n", "--column rain or snow_rain"),
    "no numbers": ("date,word\n2012-01-01,x\n2012-01-02,y\n", r"no column of numbers \(columns: date and word\)"),
    "two dates": ("a,b,rain\n2012-01-01,2012-01-01,1\n", "several columns of dates: choose with --date-column a or b"),
    "odd date": ("date,rain\n01.02.12,1\n", r"line 2: '01.02.12' is not a date in a common form.*--date-format"),
    "one bad date": ("date,rain\n2012-01-01,1\n2012-01-32,1\n2012-01-03,0\n", "line 3: '2012-01-32' is not a day"),
    "no date": ("date,rain\n2012-01-01,1\n,1\n2012-01-03,0\n", "line 3: a value without a date"),
    "twice": (
        "date,rain\n2012-01-01,1\n2012-01-02,1\n2012-01-01,2\n",
        r"line 4: 2012-01-01 stands twice \(first: .*line 2\)",
    ),
    "hours": ("time,rain\n2012-01-01 00:00,1\n2012-01-01 01:00,1\n", "line 3: 2012-01-01 stands twice.*summing"),
    "weeks": ("date,rain\n2012-01-01,1\n2012-01-08,1\n2012-01-15,1\n", "the dates are 7 days apart or more"),
    "sentinel": (
        dated([0, 1, -9999]),
        "line 4: amount -9999 is negative: add --missing=-9999 if it marks a missing day",
    ),
    "other sentinel": (dated([0, -99.9]), "line 3: amount -99.9 is negative: add --missing=-99.9"),
    "trace": (dated([0, "T", 1]), "line 3: 'T' is a trace of rain: count it with --trace wet, dry or missing"),
    "flagged": (dated([0, "0.5s", 1]), "line 3: '0.5s' is not an amount"),
    "infinite": (dated([0, "inf", 1]), "line 3: 'inf' is not an amount"),
    "thousands": ("date;rain\n2012-01-01;1.234,5\n2012-01-02;1\n", "line 2: '1.234,5' is not an amount"),
    "both points": ("date;rain\n2012-01-01;1.5\n2012-01-02;1,5\n", r"'1.5' \(.*line 2\) and '1,5' \(.*line 3\) mix"),
}


@pytest.mark.parametrize("kind", sorted(BAD_FILES))
def test_a_bad_file_is_answered_with_what_is_wrong_and_where(write, kind):
    content, message = BAD_FILES[kind]
    path = write(content)
    with pytest.raises(CommandError, match=message) as refused:
        read_rain(path)
    assert "rain.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("option", "value"), [("column", "wind"), ("date_column", "when"), ("column", "9")])
def test_a_column_that_is_not_there_is_answered_with_those_that_are(write, option, value):
    with pytest.raises(
        CommandError, match=rf"no column '{value}': choose with --{option.replace('_', '-')} among date and rain"
    ):
        read_rain(write(dated([0, 1])), **{option: value})


def test_a_name_that_two_columns_have_asks_for_the_number(write):
    path = write("date,rain,rain\n2012-01-01,1,0\n2012-01-02,1,0\n")
    with pytest.raises(CommandError, match="2 columns 'rain': choose with --column 2 or 3"):
        read_rain(path, column="rain")
    assert read_rain(path, column="3").wet.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.csv", "does not exist"),
        (".", "is a folder"),
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_a_path_that_is_no_file_is_answered(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=message):
        read_table(path)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(folder, raw):
    path = folder / "bytes.csv"
    path.write_bytes(raw)
    for read in (read_rain, read_column):
        with contextlib.suppress(CommandError):  # whatever else is raised would be a traceback
            read(str(path))


labels = st.text(st.characters(categories=("L", "N"), include_characters=" ,;\"'-"), min_size=1, max_size=6)


@given(
    st.lists(st.one_of(st.none(), labels.map(str.strip)), min_size=1, max_size=20),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(ENCODINGS[:3]),
)
def test_labels_are_read_back_as_they_were_written(folder, symbols, delimiter, encoding):
    assume(any(symbol is not None for symbol in symbols))
    assume(all(symbol is None or symbol.casefold() not in {"", "na", "nan", "null", "n/a"} for symbol in symbols))
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(
        [("step", "state"), *((f"s{row}", symbol or "") for row, symbol in enumerate(symbols))]
    )
    path = folder / "labels.csv"
    path.write_bytes(stream.getvalue().encode(encoding))
    found = read_column(str(path), column="state").values
    if all(symbol is None or (symbol.isascii() and symbol.lstrip("-").isdigit()) for symbol in symbols):
        symbols = [None if symbol is None else int(symbol) for symbol in symbols]
    elif any(not isinstance(symbol, str | None) for symbol in found):
        assume(False)  # numbers written with a comma
    assert found == symbols


def test_whole_numbers_of_any_length_stay_exact(write):
    assert read_column(write("id\n12345678901234567890\n12345678901234567891\n3.0\n")).values == [
        12345678901234567890,
        12345678901234567891,
        3,
    ]


def test_symbols_with_a_date_column_stand_on_the_calendar(write):
    path = write("day,sky\n2012-01-03,sun\n2012-01-01,fog\n2012-01-04,\n2012-01-06,rain\n")
    record = read_column(path, date_column="day")
    assert record.values == ["fog", None, "sun", None, None, "rain"]
    assert "sorted" in record.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n1,2\n1,2\n", "which column holds the sequence.*--column x or y"),
        ("x\nNA\n\nnan\n", "column 'x' holds only missing values"),
    ],
)
def test_a_column_that_is_no_sequence_of_symbols_is_answered(write, content, message):
    with pytest.raises(CommandError, match=message):
        read_column(write(content))


def test_a_column_is_read_as_what_it_holds_or_is_said_to_hold(write):
    whole, fractions = write("x\n3\n\n12\n0.0\n"), write("y\n1.5\nNA\n-2e1\n", "fractions.csv")
    assert (read_column(whole).kind, read_column(whole).values) == ("symbols", [3, None, 12, 0])
    for kind in ("counts", "numbers"):
        record = read_column(whole, kind=kind)
        assert record.kind == kind
        np.testing.assert_array_equal(record.values, [3.0, np.nan, 12.0, 0.0])
    assert read_column(fractions).kind == "numbers"
    np.testing.assert_array_equal(read_column(fractions).values, [1.5, np.nan, -20.0])
    assert read_column(write("x\na\n1\n", "labels.csv")).values == ["a", "1"]


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ("x\n1.5\n2\n", "symbols", "column 'x' holds numbers with fractions, such as 1.5.*statespace rain"),
        ("x\n1.5\n2\n", "counts", "column 'x' holds 1.5: counts are whole numbers of at least 0; give --as numbers"),
        ("x\n1\n-2\n", "counts", "column 'x' holds -2: counts"),
        ("x\n1\nwet\n", "counts", "column 'x' holds 'wet', which is no number: leave --as counts out"),
        ("x\n1\nwet\n", "numbers", "column 'x' holds 'wet', which is no number: leave --as numbers out"),
        ("x\n1\n1e999\n", "numbers", "beyond what a computer can hold"),
        ("x\nNA\n\n", "numbers", "only missing values"),
    ],
)
def test_a_column_that_holds_something_else_is_answered(write, content, kind, message):
    with pytest.raises(CommandError, match=message):
        read_column(write(content), kind=kind)


def test_many_whole_numbers_are_labels_only_with_a_note(write):
    record = read_column(write("x\n" + "".join(f"{n}\n" for n in range(40))))
    assert record.kind == "symbols"
    assert "40 different whole numbers, and they are taken as labels: --as counts or --as numbers" in record.notes[0]
    assert not read_column(write("x\n" + "".join(f"{n % 9}\n" for n in range(40)))).notes


# ----------------------------------------------------------------------------------------------------------- holes


@pytest.mark.parametrize("read", [read_rain, lambda path: read_column(path, date_column="date")])
def test_a_mistyped_year_is_answered_with_the_hole_that_it_makes(write, read):
    text = dated([0, 1] * 400).replace("2013-03-01", "1013-03-01")
    n_days = (date(2014, 3, 10) - date(1013, 3, 1)).days  # the last of the 800 days is 2014-03-10
    n_days += 1
    assert text.endswith("2014-03-10,1\n")
    with pytest.raises(CommandError) as refusal:
        read(write(text))
    assert f"{n_days - 800:,} of the {n_days:,} days from 1013-03-01 to 2014-03-10 have no row" in str(refusal.value)
    line = (date(2013, 3, 1) - date(2012, 1, 1)).days + 2
    assert f"between 1013-03-01 (line {line}) and 2012-01-01 (line 2): mend the date" in str(refusal.value)


@pytest.mark.parametrize(
    ("n_rows", "hole", "refused"), [(100, 366, False), (100, 367, True), (800, 799, False), (800, 801, True)]
)
def test_a_hole_is_refused_beyond_a_year_and_half_of_the_days(write, n_rows, hole, refused):
    half = n_rows // 2
    first = date(2001, 1, 1) + timedelta(days=half + hole)
    text = dated([0, 1] * (half // 2), "2001-01-01") + dated([0, 1] * (half // 2), str(first)).partition("\n")[2]
    with pytest.raises(CommandError, match="largest hole") if refused else contextlib.nullcontext():
        assert int(np.isnan(read_rain(write(text)).wet).sum()) == hole


def test_two_columns_of_one_name_are_told_apart_by_number(write):
    path = write("date,rain,rain\n2012-01-01,1,0\n2012-01-02,1,0\n")
    with pytest.raises(CommandError, match="the header names columns 2 and 3 the same, 'rain'") as refusal:
        read_rain(path)
    assert "choose by number with --column 2 or 3, or rename one" in str(refusal.value)
    assert read_rain(path, column="3").wet.tolist() == [0, 0]
    path = write("day,day,rain\n2012-01-01,2013-01-01,0\n2012-01-02,2013-01-02,0\n")
    with pytest.raises(
        CommandError, match="columns 1 and 2 the same, 'day': choose by number with --date-column 1 or 2"
    ):
        read_rain(path)
