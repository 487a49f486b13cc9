"""Documents of the same dialect on their way through a gateway."""

from decimal import Decimal
from typing import Any

from arno.canon.ext import Loss
from arno.canon.response import Response
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.converse.building import (
    METADATA,
    START,
    USAGE,
    begin,
    delta,
    documents_of,
    end,
    message,
    raised,
    stop,
    whole,
)
from tests.laws.converse_harness import CONVERSE, batches_of, frames_of, restamped
from tests.laws.harness import no_price

STAMP = Stamp(id="gen-1", model="m", provider="Host")
TEXT = delta(text="a") + end()
CALL = begin(toolUse={"toolUseId": "t", "name": "f"}) + end()


def test_who_answers_and_what_it_cost_are_written_in() -> None:
    restamper = CONVERSE.stream_restamper(
        Stamp(id="gen-1", provider="Host", losses=(Loss("/a", "dropped", "b"),)),
        lambda usage, host: "0.5",
        include_usage=True,
    )
    body = START + TEXT + stop() + METADATA
    out = b"".join(restamper.feed(batch) for batch in batches_of(frames_of(body)))
    found = documents_of(out)
    assert found[0][1] == {"role": "assistant", "id": "gen-1", "provider": "Host"}
    assert out.find(TEXT) > 0
    assert found[-1][1] == {
        "usage": {
            **USAGE,
            "cost": Decimal("0.5"),
            "losses": [{"path": "/a", "action": "dropped", "why": "b"}],
        },
        "metrics": {"latencyMs": 7},
    }


def test_a_name_that_stands_there_is_not_overwritten() -> None:
    start = message("messageStart", {"role": "assistant", "provider": "Other"})
    assert documents_of(restamped(start + TEXT + stop(), STAMP))[0][1]["provider"] == "Other"


def test_a_reason_that_hides_calls_is_rewritten() -> None:
    """R4."""
    found = documents_of(restamped(START + CALL + stop("end_turn")))
    assert found[-1] == ("messageStop", {"stopReason": "tool_use"})
    assert documents_of(restamped(START + TEXT + stop("stop_sequence")))[-1][1] == {
        "stopReason": "stop_sequence"
    }


def test_what_is_not_known_and_signs_of_life_go_on() -> None:
    odd = message("somethingNew", {"a": 1})
    body = START + odd + CONVERSE.heartbeat() + TEXT + stop() + METADATA
    assert restamped(body).find(odd + CONVERSE.heartbeat() + TEXT) > 0


def test_a_cut_ends_as_an_exception_and_half_a_message_goes_nowhere() -> None:
    found = documents_of(restamped(START + TEXT[:-1], STAMP))
    assert [name for name, _ in found] == [
        "messageStart",
        "contentBlockDelta",
        "!modelStreamErrorException",
    ]
    assert found[-1][1]["provider"] == "Host"


def test_exceptions_go_on_unless_they_tell_of_the_operator() -> None:
    slow = raised("throttlingException", {"message": "slow"})
    assert restamped(START + slow).endswith(slow)
    secret = raised("accessDeniedException", {"message": "arn:aws:iam::1:user/x"})
    assert b"arn" not in restamped(START + secret)


def test_losses_are_told_without_usage() -> None:
    stamp = Stamp(losses=(Loss("/a", "dropped", "b"),))
    name, document = documents_of(restamped(START + TEXT + stop(), stamp))[-1]
    assert name == "metadata"
    assert list(document) == ["usage"]


def test_whole_answers() -> None:
    call = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}
    body = whole(call, usage=USAGE, metrics={"latencyMs": 1}, odd=2)
    response = CONVERSE.decode_response(body)
    assert isinstance(response, Response)
    found = json.loads(CONVERSE.restamp_response(body, response, STAMP, lambda usage, host: "0.5"))
    assert isinstance(found, dict)
    before: Any = json.loads(body)
    assert found == {
        **before,
        "stopReason": "tool_use",
        "usage": {**USAGE, "cost": Decimal("0.5")},
        "id": "gen-1",
        "model": "m",
        "provider": "Host",
    }
    assert CONVERSE.glance(body) is None
    same: Any = json.loads(
        CONVERSE.restamp_response(whole(call, word=None), response, Stamp(), no_price)
    )
    assert same["stopReason"] == "tool_use"
