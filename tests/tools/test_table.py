"""Small tables: every cell once, columns aligned, nothing from the data read as HTML."""

from html import unescape
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from statespace.tools.table import html_table, text_table

words = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=9)


@st.composite
def tables(draw):
    n_columns = draw(st.integers(1, 4))
    row = st.lists(words, min_size=n_columns, max_size=n_columns)
    return draw(row), draw(st.lists(row, max_size=4)), draw(st.sampled_from(["", "a caption <of> 3 & more words"]))


class Cells(HTMLParser):
    """What a browser would show: the text of each cell, row by row, and the tags that were opened."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags, self.caption, self.inside = [], [], "", None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.inside = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside in ("td", "th"):
            self.rows[-1][-1] += data
        if self.inside == "caption":
            self.caption += data


@given(tables())
def test_text_holds_every_cell_in_its_place(table):
    head, rows, caption = table
    lines = text_table(head, rows, caption).splitlines()
    assert lines[0].split() == head
    assert [line.split() for line in lines[2 : 2 + len(rows)]] == rows
    assert lines[2 + len(rows) :] == ([caption] if caption else [])


@given(tables())
def test_text_columns_are_aligned(table):
    head, rows, _ = table
    lines = text_table(head, rows).splitlines()
    assert set(lines[1]) == {"-"}
    width = len(lines[1])
    assert len(head) == 1 or all(len(line) == width for line in [lines[0], *lines[2:]])
    assert all(line.startswith(cells[0]) for line, cells in zip([lines[0], *lines[2:]], [head, *rows], strict=True))
    if len(head) == 2:
        assert all(line.endswith(cells[1]) for line, cells in zip([lines[0], *lines[2:]], [head, *rows], strict=True))


@given(tables())
def test_html_shows_what_the_text_does(table):
    head, rows, caption = table
    page = Cells(html_table(head, rows, caption))
    assert page.rows == [head, *rows]
    assert unescape(page.caption) == caption
    assert set(page.tags) <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_html_runs_nothing_that_a_name_says():
    page = html_table(["model"], [['<script>alert("1")</script>']], "<img src=x>")
    assert "<script" not in page
    assert "<img" not in page
    assert Cells(page).rows[1] == ['<script>alert("1")</script>']
