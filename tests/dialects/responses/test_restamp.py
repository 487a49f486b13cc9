"""Documents of the same dialect passed on: what is written into them, and that nothing else is."""

from typing import Any

from arno.canon.ext import Loss
from arno.canon.failure import Failure, FailureKind
from arno.canon.response import Response
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.responses.building import (
    added,
    created,
    ended,
    item_done,
    message,
    response,
    stream,
    text_delta,
)
from tests.laws.harness import frames_of, no_price
from tests.laws.responses import RESPONSES, documents_of, streams
from tests.shared import needs_shared

STAMP = Stamp(id="gen-1", model="asked/model", provider="Host")
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


def passed(body: bytes, stamp: Stamp = STAMP, pricer: Any = no_price) -> bytes:
    """A stream as it goes on to the client."""
    decoder = RESPONSES.stream_decoder()
    restamper = RESPONSES.stream_restamper(stamp, pricer, include_usage=True)
    out = b"".join(restamper.feed(decoder.feed(frame)) for frame in frames_of(body))
    return out + restamper.feed(decoder.close())


def test_documents_with_the_answer_are_stamped_and_others_go_on_byte_for_byte():
    item = message("Hello")
    body = stream(
        created(),
        added(message()),
        text_delta("Hello"),
        item_done(item),
        ended(item, usage=USAGE),
        done=True,
    )
    before, after = frames_of(body), frames_of(passed(body, pricer=lambda usage, by: "0.5"))
    assert [frame.raw for frame in after[1:-1]] == [frame.raw for frame in before[1:-2]]
    first, last = (json.loads(frame.data or b"") for frame in (after[0], after[-1]))
    for document in (first, last):
        told = document["response"]
        assert (told["id"], told["model"], told["provider"]) == ("gen-1", "asked/model", "Host")
    assert str(last["response"]["usage"]["cost"]) == "0.5"
    assert last["response"]["output"] == [item]


def test_an_upstream_that_names_a_provider_and_a_cost_keeps_them() -> None:
    body = stream(created(), ended(provider="Other", usage={**USAGE, "cost": 1}))
    last = documents_of(passed(body, pricer=lambda usage, by: "0.5"))[-1]["response"]
    assert (last["provider"], last["usage"]["cost"]) == ("Other", 1)


def test_losses_are_told_at_the_end() -> None:
    stamp = Stamp(id="gen-1", losses=(Loss("/x", "dropped", "why"),))
    documents = documents_of(passed(stream(created(), ended()), stamp))
    assert "losses" not in (documents[0]["response"].get("usage") or {})
    assert documents[-1]["response"]["usage"]["losses"][0]["path"] == "/x"


def test_a_cut_is_told_as_a_failed_answer_under_the_next_number() -> None:
    body = stream(created(), added(message()), text_delta("Hel"))
    documents = documents_of(passed(body))
    last = documents[-1]
    assert [d["type"] for d in documents[:-1]] == [d["type"] for d in documents_of(body)]
    assert (last["type"], last["sequence_number"]) == ("response.failed", 3)
    assert last["response"]["id"] == "gen-1"
    assert last["response"]["error"]["metadata"]["reason"] == "upstream_truncated"


def test_the_upstreams_own_failure_is_told_in_our_words() -> None:
    """What it says of the operator's account is not for the client."""
    error = {"code": "insufficient_quota", "message": "org-123 owes money"}
    failed = {"type": "response.failed", "response": response("failed", error=error)}
    told = passed(stream(created(), failed))
    assert b"org-123" not in told
    last = documents_of(told)[-1]
    assert (last["type"], last["response"]["id"]) == ("response.failed", "gen-1")
    assert last["response"]["status"] == "failed"


def test_comments_go_on_and_ghosts_do_not() -> None:
    body = b": WAIT\n\n" + stream(created(), ended()) + stream(text_delta("ghost"))
    told = passed(body)
    assert told.startswith(b": WAIT")
    assert b"ghost" not in told


def test_a_whole_answer_is_stamped() -> None:
    body = json.dumps(response("completed", message("Hi"), usage=USAGE, previous_response_id="p"))
    value = RESPONSES.decode_response(body)
    assert isinstance(value, Response)
    told: Any = json.loads(RESPONSES.restamp_response(body, value, STAMP, lambda usage, by: "0.5"))
    assert (told["id"], told["model"], told["provider"]) == ("gen-1", "asked/model", "Host")
    assert told["previous_response_id"] == "p"
    assert str(told["usage"]["cost"]) == "0.5"
    assert told["output"] == [message("Hi")]


def test_a_failure_without_any_state_is_an_answer_that_has_failed() -> None:
    failure = Failure(FailureKind.TIMEOUT, "too slow")
    (document,) = documents_of(RESPONSES.stream_failure(failure, STAMP))
    assert document["type"] == "response.failed"
    assert document["error"]["message"] == "too slow"
    assert document["sequence_number"] > 10**6


@needs_shared
def test_recorded_streams_without_a_stamp_say_what_they_said() -> None:
    for row in streams():
        told = documents_of(passed(row.body, Stamp()))
        assert all(map(json.equal, told, documents_of(row.body))), row.id
        assert len(told) == len(documents_of(row.body))
