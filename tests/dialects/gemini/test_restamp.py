"""Documents of the same dialect with the stamp: what changes, and that nothing else does."""

from arno.canon.ext import Loss
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.gemini.building import answered, body_of, chunks_of, read
from tests.laws.gemini import GEMINI, decode, failure_of
from tests.laws.harness import frames_of, no_price

USAGE = {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}
STAMP = Stamp(id="ours", model="alias", losses=(Loss("/user", "dropped", "why"),))


def price(usage: object, host: str | None) -> str | None:
    return "0.25"


def passed(body: bytes, stamp: Stamp = STAMP, price_of=price) -> bytes:
    decoder = GEMINI.stream_decoder()
    restamper = GEMINI.stream_restamper(stamp, price_of, include_usage=True)
    out = b"".join(restamper.feed(decoder.feed(frame)) for frame in frames_of(body))
    return out + restamper.feed(decoder.close())


def test_a_stream_keeps_all_but_the_stamped_members():
    odd = b'{"candidates": [{"content": {"parts": [{"text": "\\u00e9"}]}, "novelty": 1.50}]'
    body = b"data: " + odd + b', "responseId": "up", "other": [ 1 ]}\r\n\r\n'
    body += body_of({**answered({"text": "b"}, finish=None), "usageMetadata": USAGE})
    body += body_of({**answered({"text": "c"}), "usageMetadata": USAGE})
    out = passed(body)
    first, second, last = chunks_of(out)
    assert (first["responseId"], first["modelVersion"]) == ("ours", "alias")
    assert odd[15:] + b',"responseId":"ours","other":[ 1 ]' in out
    assert second["usageMetadata"] == USAGE
    assert last["usageMetadata"] == {
        **USAGE,
        "cost": last["usageMetadata"]["cost"],
        "losses": [{"path": "/user", "action": "dropped", "why": "why"}],
    }
    assert str(last["usageMetadata"]["cost"]) == "0.25"


def test_nothing_to_stamp_is_nothing_changed():
    body = body_of(answered({"text": "a"}, finish=None), answered({"text": "b"}))
    assert passed(body, Stamp(), no_price) == body
    assert passed(b": x\r\n\r\n" + body, Stamp(), no_price) == GEMINI.heartbeat() + body


def test_a_cut_and_an_error_end_in_our_own_words():
    begun = body_of(answered({"text": "a"}, finish=None))
    error = {"error": {"code": 401, "message": "key 7", "status": "UNAUTHENTICATED"}}
    for body, code in ((begun, 502), (begun + body_of(error), 502)):
        first, last = chunks_of(passed(body))
        assert first["candidates"][0]["content"]["parts"] == [{"text": "a"}]
        assert last["error"]["code"] == code
        assert "key 7" not in last["error"]["message"]
        assert failure_of(decode(passed(body)))


def test_what_stands_beside_an_error_is_still_told():
    error = {"error": {"code": 503, "status": "UNAVAILABLE"}}
    first, last = chunks_of(passed(body_of({**answered({"text": "a"}), **error})))
    assert first["candidates"] == [
        {"content": {"parts": [{"text": "a"}], "role": "model"}, "index": 0}
    ]
    assert last["error"]["status"] == "UNAVAILABLE"


def test_whole_answers():
    document = {**answered({"text": "a"}), "usageMetadata": USAGE}
    body = json.dumps(document)
    told = json.loads(GEMINI.restamp_response(body, read(document), STAMP, price))
    assert (told["responseId"], told["modelVersion"]) == ("ours", "alias")
    assert told["candidates"] == document["candidates"]
    assert told["usageMetadata"]["losses"][0]["path"] == "/user"
    assert GEMINI.restamp_response(body, read(document), Stamp(), no_price) is body
    assert GEMINI.glance(body) is None
    unmeasured = answered({"text": "a"})
    told = json.loads(
        GEMINI.restamp_response(json.dumps(unmeasured), read(unmeasured), STAMP, price)
    )
    assert told["usageMetadata"] == {
        "losses": [{"path": "/user", "action": "dropped", "why": "why"}]
    }
