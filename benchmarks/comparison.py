"""One case beside its peers: a row of a table for each of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.report import Table, duration, verdict
from benchmarks.timing import Timing, median_ratio, median_seconds, take_turns, timed

Call = Callable[[], Any]

_TURN = 0.02  # seconds: a turn has as many calls as take so long
COMPARED = ("case", "ours", "peer", "peer's", "peer / ours", "bar", "holds")


class Peer(NamedTuple):
    """One contender of a case."""

    name: str
    prepare: Callable[[], Call]
    """Imports what it needs and returns what is timed."""
    bar: float | None = None
    """The least ratio of the peer's time to ours."""
    bar_text: str = ""
    """How the bar is written."""
    scale: float = 1.0
    """What its time is multiplied by, where it was given less to do."""


def compare(table: Table, case: str, ours: Call, peers: list[Peer], n_rounds: int) -> list[Timing]:
    """Time a case beside its peers, add a row a peer, and return our own timings."""
    calls: dict[str, Call] = {"ours": ours}
    absent = {}
    for peer in peers:
        try:
            calls[peer.name] = peer.prepare()
        except ImportError as error:
            absent[peer.name] = f"skipped: {(error.name or 'a package').partition('.')[0]} is not installed"
    timings = take_turns({name: lambda call=call: timed(call, _TURN) for name, call in calls.items()}, n_rounds)
    took = duration(median_seconds(timings["ours"]))
    for peer in peers:
        if peer.name in absent:
            table.add(case, took, peer.name, absent[peer.name], "", peer.bar_text, "")
            continue
        ratio = median_ratio(timings[peer.name], timings["ours"]) * peer.scale
        holds = "" if peer.bar is None else verdict(ratio >= peer.bar)
        seconds = duration(median_seconds(timings[peer.name]) * peer.scale)
        table.add(case, took, peer.name, seconds, f"{ratio:.3g}", peer.bar_text, holds)
    return timings["ours"]
