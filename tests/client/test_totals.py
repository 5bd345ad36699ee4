"""Folding: bucket-identical to the raw values, indifferent to chunks and order, and complete."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.books import accounts, outcome
from client.books.buckets import Histogram, indices_of
from client.books.records import Log, key_of, kinds_of, unpack
from client.books.totals import Totals, Window
from client.config import Config
from harness import histogram

S = 1_000_000_000
WINDOW = Window(10 * S, 12 * S, S)
Row = tuple[int, int, int, int]


def fold(rows: list[Row], slots: int = 4, chunk: int | None = None) -> Totals:
    totals = Totals(WINDOW, slots)
    size = chunk or max(len(rows), 1)
    for i in range(0, len(rows), size):
        totals.fold(np.array(rows[i : i + size], np.int64))
    return totals


def row(
    intended_s: float, sent_s: float, ended_s: float, slot: int = 0, ending: int = outcome.OK, size: int = 100
) -> Row:
    return round(intended_s * S), round(sent_s * S), round(ended_s * S), key_of(slot, ending) + size


@given(st.lists(st.integers(-5, 2**53 - 1)))
def test_the_bucket_of_every_value_is_the_one_the_harness_reads(values: list[int]) -> None:
    assert indices_of(np.array(values, np.int64)).tolist() == [histogram.index_of(value) for value in values]


def test_bucket_edges_fall_where_the_harness_has_them() -> None:
    values = [edge + off for power in range(53) for edge in [1 << power] for off in (-1, 0, 1) if edge + off < 2**53]
    assert indices_of(np.array(values, np.int64)).tolist() == [histogram.index_of(value) for value in values]


@given(st.lists(st.lists(st.integers(0, 10**10), max_size=50), max_size=5))
def test_a_histogram_filled_in_chunks_equals_that_of_the_concatenated_values(chunks: list[list[int]]) -> None:
    filled = Histogram()
    for chunk in chunks:
        filled.add(np.array(chunk, np.int64))
    raw = histogram.merge({histogram.index_of(value): 1} for chunk in chunks for value in chunk)
    assert filled.sparse() == raw


rows_of_any_kind = st.lists(
    st.builds(
        lambda intended, wait, service, slot, ending, never: (
            intended,
            0 if never else intended + wait,
            intended + wait + service,
            key_of(slot, outcome.UNSENT if never else ending) + 100,
        ),
        st.integers(8 * S, 13 * S),
        st.integers(0, S),
        st.integers(0, 2 * S),
        st.integers(0, 3),
        st.sampled_from([ending for ending in range(len(outcome.NAMES)) if ending != outcome.UNSENT]),
        st.booleans(),
    ),
    max_size=60,
)


@given(rows_of_any_kind, st.integers(1, 20), st.randoms())
def test_chunks_and_order_change_nothing(rows: list[Row], chunk: int, chance: random.Random) -> None:
    shuffled = rows[:]
    chance.shuffle(shuffled)
    one, other = fold(rows), fold(shuffled, chunk=chunk)
    assert (one.whole.intended, one.whole.sent) == (other.whole.intended, other.whole.sent)
    for name in (
        "completed_in_window",
        "in_flight_integral_ns",
        "in_flight_starved_integral_ns",
        "residence_ns",
        "life_ok",
        "life_unknown",
    ):
        assert getattr(one, name) == getattr(other, name), name
    assert one.whole.endings.tolist() == other.whole.endings.tolist()
    assert one.whole.response.sparse() == other.whole.response.sparse()
    assert (one.served, one.starved) == (other.served, other.starved)


@given(rows_of_any_kind)
def test_every_request_intended_in_the_window_ends_in_exactly_one_way(rows: list[Row]) -> None:
    totals = fold(rows)
    inside = sum(WINDOW.start_ns <= row[0] < WINDOW.end_ns for row in rows)
    assert totals.whole.intended == inside == totals.whole.endings.sum()
    assert totals.life_ok + totals.life_unknown == sum(row[1] > 0 for row in rows)


@given(rows_of_any_kind)
def test_the_in_flight_integral_is_that_of_adding_up_overlaps_one_by_one(rows: list[Row]) -> None:
    overlaps = (min(ended, WINDOW.end_ns) - max(sent, WINDOW.start_ns) for _, sent, ended, _ in rows if sent)
    totals = fold(rows)
    both_ns = totals.in_flight_integral_ns + totals.in_flight_starved_integral_ns
    assert both_ns == sum(max(overlap, 0) for overlap in overlaps)


@given(rows_of_any_kind)
def test_slices_hold_what_became_known_in_the_window_right_and_wrong(rows: list[Row]) -> None:
    totals = fold(rows)
    _, endings, _ = unpack(np.array([key for *_, key in rows], np.int64))
    known = [
        (intended, ended, ending == outcome.OK)
        for (intended, _, ended, _), ending in zip(rows, endings.tolist(), strict=True)
        if WINDOW.start_ns <= ended < WINDOW.end_ns
    ]
    right = [ended - intended <= WINDOW.timeout_ns and ok for intended, ended, ok in known]
    assert (totals.per_slice.sum(), totals.errors_per_slice.sum()) == (sum(right), len(right) - sum(right))
    assert len(totals.errors_per_slice) == len(totals.per_slice) == 20


def test_an_error_is_in_the_slice_in_which_it_became_known() -> None:
    """Whenever it was intended; an answer that came too late is one."""
    totals = fold(
        [
            row(9.0, 9.0, 10.05, ending=outcome.RESET),
            row(10.2, 10.2, 10.3, ending=outcome.CLOSED),
            row(10.6, 10.6, 11.99),
            row(11.9, 11.9, 12.0, ending=outcome.REFUSED),
        ]
    )
    assert {i: n for i, n in enumerate(totals.errors_per_slice.tolist()) if n} == {0: 1, 3: 1, 19: 1}


def test_the_in_flight_integral_is_over_the_connections_that_were_served() -> None:
    """Slot 0 is served and later times out, slot 1 waits all through the window."""
    totals = fold(
        [
            row(9.5, 9.5, 10.3, slot=0),
            row(10.4, 10.5, 11.4, slot=0, ending=outcome.TIMEOUT),
            row(9.9, 9.9, 12.5, slot=1, ending=outcome.TIMEOUT),
        ],
        chunk=1,
    )
    assert (totals.served, totals.starved) == (1, 1)
    assert totals.in_flight_integral_ns == round(1.2 * S)
    assert totals.in_flight_starved_integral_ns == 2 * S


def test_response_counts_from_the_intended_time_and_service_from_the_send() -> None:
    totals = fold([row(10.5, 10.6, 10.9)])
    assert totals.whole.response.sparse() == {histogram.index_of(round(0.4 * S)): 1}
    assert totals.whole.service.sparse() == {histogram.index_of(round(0.3 * S)): 1}


@pytest.mark.parametrize(
    ("request_row", "intended", "completed"),
    [
        (row(9.9, 9.9, 10.1), 0, 1),
        (row(10.0, 10.0, 10.1), 1, 1),
        (row(11.9, 11.9, 12.0), 1, 0),
        (row(12.0, 12.0, 12.1), 0, 0),
    ],
    ids=["intended before, answered in", "at the very start", "answered at the very end", "intended at the very end"],
)
def test_the_window_is_half_open_over_intended_times_and_over_answers(
    request_row: Row, intended: int, completed: int
) -> None:
    totals = fold([request_row])
    assert (totals.whole.intended, totals.completed_in_window) == (intended, completed)


def test_a_right_answer_after_its_deadline_is_a_timeout() -> None:
    totals = fold([row(10.5, 10.5, 11.500000001), row(10.5, 10.5, 11.5)])
    assert totals.whole.endings[outcome.TIMEOUT] == 1
    assert totals.whole.endings[outcome.OK] == 1
    assert (totals.life_ok, totals.life_unknown) == (1, 1)


def test_right_answers_are_counted_in_slices_of_100_ms() -> None:
    totals = fold(
        [
            row(10, 10, 10.05),
            row(10, 10, 10.15),
            row(10, 10, 10.199),
            row(11, 11, 11.95),
            row(10, 10, 10.25, ending=outcome.STATUS),
        ]
    )
    assert totals.per_slice.tolist() == [1, 2, *[0] * 17, 1]


@pytest.mark.parametrize(
    ("rows", "served", "starved"),
    [
        ([row(10.1, 10.1, 10.2, slot=0), row(10.1, 10.1, 11.1, slot=1, ending=outcome.TIMEOUT)], 1, 1),
        ([row(10.1, 10.1, 10.2, slot=0, ending=outcome.STATUS)], 1, 0),
        ([row(10.1, 10.1, 10.2, slot=0, ending=outcome.WRONG)], 1, 0),
        ([row(9.5, 9.5, 9.9, slot=0)], 0, 0),
        ([row(9.5, 9.5, 10.1, slot=0)], 1, 0),
        ([row(11.9, 11.9, 12.3, slot=0)], 1, 0),
        ([row(9.9, 9.9, 12.3, slot=0, ending=outcome.TIMEOUT)], 0, 1),
        ([row(10.1, 0, 11.1, slot=4, ending=outcome.UNSENT)], 0, 0),
        ([row(10.1, 0, 10.2, slot=2, ending=outcome.REFUSED)], 0, 1),
    ],
    ids=[
        "answered and timed out",
        "an answer of a wrong status is an answer",
        "an answer of a wrong length is an answer",
        "not asked in the window",
        "asked before, answered in",
        "asked in, answered in time while draining",
        "waiting through the whole window",
        "no connection, no slot",
        "refused",
    ],
)
def test_served_and_starved(rows: list[Row], served: int, starved: int) -> None:
    totals = fold(rows)
    assert (totals.served, totals.starved) == (served, starved)


@given(st.integers(0, 2**20 - 1), st.integers(0, len(outcome.NAMES) - 1), st.integers(0, 2**34 - 1), st.integers(0, 31))
def test_a_key_gives_back_what_was_packed_into_it(slot: int, ending: int, size: int, kind: int) -> None:
    key = np.array([key_of(slot, ending, kind) + size], np.int64)
    slots, endings, sizes = unpack(key)
    assert (slots[0], endings[0], sizes[0], kinds_of(key)[0]) == (slot, ending, size, kind)


def test_a_log_gives_back_every_row_in_order_by_whole_blocks() -> None:
    log = Log(columns=2)
    for i in range(100):
        log.push(i)
        log.push(-i)
        if i % 7 == 0:
            log.set_aside()
    log.set_aside()
    taken = []
    while log.pending_bytes:
        taken.append(log.take(20))
    assert log.rows == 100
    assert np.concatenate(taken).tolist() == [[i, -i] for i in range(100)]
    assert log.take(20).shape == (0, 2)


def test_folding_while_the_load_runs_gives_the_report_that_folding_at_the_end_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = Config(url="", connections=4, kind="open", rate_per_s=1000)
    reports = []
    for limit in (0, 1 << 30):
        monkeypatch.setattr(accounts, "_PENDING_LIMIT_BYTES", limit)
        books = accounts.Accounts(config)
        books.over(9 * S, WINDOW)
        for i in range(5_000):
            intended = 9 * S + i * 1_000_000
            for number in (intended, intended + 7, intended + 1_000 * i, key_of(i % 4) + 100):
                books.requests.push(number)
            books.lags.push(intended, i)
            books.connects.push(intended, i)
            if i % 3 == 0:
                books.first_bytes.miss(intended)
            if i % 100 == 0:
                books.keep()
        assert (books.requests.pending_bytes == 0) == (limit == 0)
        reports.append(books.close())
    assert reports[0] == reports[1]
    assert reports[0]["intended"] == reports[0]["schedule"] == 2_000
    assert reports[0]["connect_missing"] == 0
    assert reports[0]["first_byte_missing"] == sum(i % 3 == 0 for i in range(3_000))  # every one opened before the end
