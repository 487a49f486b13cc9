"""Kept answers: read by other processes at once, within their key, for a bounded time."""

import msgspec
import pytest

from arno.ledger.ports import KeptAnswer
from arno.store.answers import StoredAnswers
from arno.store.sink import StoreSink

DAY_MS = 86_400_000
ANSWER = KeptAnswer(
    id="gen-1",
    key_id="a",
    told_id="up-1",
    created_at_ms=40 * DAY_MS,
    items=b'["\xc3\xa9"]',
    document=b"{}",
)


@pytest.fixture
def sink(tmp_path):
    with StoreSink(tmp_path / "ledger.db", tmp_path / "journal") as opened:
        yield opened


def test_another_process_reads_an_answer_as_soon_as_it_is_kept(sink, tmp_path):
    sink.answers.keep(ANSWER)
    with StoreSink(tmp_path / "ledger.db", tmp_path / "other") as other:
        assert other.answers.find("gen-1", "a") == ANSWER


def test_an_answer_is_found_within_its_key_only(sink):
    sink.answers.keep(ANSWER)
    assert sink.answers.find("gen-1", "b") is None
    assert sink.answers.drop("gen-1", "b") is False
    assert sink.answers.find("gen-1", "a") == ANSWER


def test_an_answer_that_is_dropped_is_gone(sink):
    sink.answers.keep(ANSWER)
    assert sink.answers.drop("gen-1", "a") is True
    assert sink.answers.find("gen-1", "a") is None
    assert sink.answers.drop("gen-1", "a") is False


@pytest.mark.parametrize(("days", "found"), [(29, True), (31, False)])
def test_old_answers_go_when_new_ones_come(sink, days, found):
    answers: StoredAnswers = sink.answers
    answers.keep(ANSWER)
    later = ANSWER.created_at_ms + days * DAY_MS
    answers.keep(msgspec.structs.replace(ANSWER, id="gen-2", created_at_ms=later))
    assert (answers.find("gen-1", "a") is not None) is found


def test_an_answer_is_found_under_the_id_that_was_told_too(sink):
    """Recordings repeat their ids, and so may upstreams: ours names one, theirs the newest."""
    sink.answers.keep(ANSWER)
    later = msgspec.structs.replace(ANSWER, id="gen-2", created_at_ms=ANSWER.created_at_ms + 1)
    sink.answers.keep(later)
    assert sink.answers.find("up-1", "a") == later
    assert sink.answers.find("gen-1", "a") == ANSWER
    assert sink.answers.find("up-1", "b") is None
    assert sink.answers.drop("up-1", "a") is True
    assert sink.answers.find("gen-1", "a") is None
