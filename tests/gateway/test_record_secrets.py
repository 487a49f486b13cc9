"""R34 for the recorder: keys pass, and stand neither in the file nor in the log.

The canaries are of no known shape, so nothing but the knowledge of where a key stands removes them;
each is put where its kind travels, and the upstream repeats all of them. `unredacted` is the
mutant: the same conversation with the redaction taken out of the code is noticed.
"""

import pytest

from arno.cassette.govcr import dump
from arno.transport import record, recorder
from arno.wire import json
from tests.gateway.harness import request
from tests.gateway.recording import recording
from tests.transport.upstream import Script

BEARER = "canary-of-the-bearer-4711"
KEY = "canary.of.x_api_key.4712"
GOOGLE = "canary~of~x~goog~4713"
QUERY = "canary-of-the-query-4714"
COOKIE = "canary-of-the-cookie-4715"
BODY = "canary-of-the-body-4716"
BASIC = "canaryOfBasic4717=="
CANARIES = (BEARER, KEY, GOOGLE, QUERY, COOKIE, BODY, BASIC)

FIELDS = {
    "authorization": f"Bearer {BEARER}",
    "x-api-key": KEY,
    "x-goog-api-key": GOOGLE,
    "cookie": f"a=1; session={COOKIE}",
    "proxy-authorization": f"Basic {BASIC}",
    "content-type": "application/json",
    "user-agent": f"client/1 ({KEY})",
}
ASKED = {"model": "a/b", "api_key": BODY, "messages": [{"role": "user", "content": "hello"}]}


def echoing(seen):
    """An upstream that repeats every key it was given: headers, body, error, event stream."""
    words = " ".join(value for _, value in seen.headers)
    told = json.dumps({"error": {"message": f"wrong key: {words} {seen.path}", "api_key": BODY}})
    headers = [
        ("content-type", "text/event-stream"),
        ("set-cookie", f"session={COOKIE}"),
        ("x-generation-id", BEARER),
        ("x-request-id", KEY),
        ("retry-after", GOOGLE),
        ("location", f"https://up.example/?key={QUERY}"),
    ]
    return Script([b"data: ", told, b"\n\n", KEY[:9].encode(), KEY[9:].encode()], 401, headers)


def converse(folder):
    """What the client got, the file and the log."""
    with recording(folder, echoing) as tape:
        reply = request(
            tape.url, "POST", f"/v1beta/x?key={QUERY}&alt=sse", json.dumps(ASKED), FIELDS
        )
        seen = tape.upstream.requests[0]
    return reply, seen, tape


def hits(data):
    """The canaries in some bytes, as they are or escaped."""
    text = data.decode() if isinstance(data, bytes) else data
    return {canary for canary in CANARIES if canary in text or canary[:-5] in text}


def test_keys_pass_and_are_neither_in_the_file_nor_in_the_log(tmp_path):
    reply, seen, tape = converse(tmp_path)
    # The control: every key was there, on its way to and from the upstream, but for the proxy's.
    assert hits(reply.body) >= {BEARER, KEY, GOOGLE, QUERY, COOKIE, BODY}
    assert seen.header("authorization") == f"Bearer {BEARER}"
    assert QUERY in seen.path
    assert tape.recorder.problems == ()
    assert len(tape.interactions) == 1
    assert hits(tape.file) == set()
    assert tape.lines.getvalue()
    assert hits(tape.lines.getvalue()) == set()


def test_the_rest_of_the_conversation_is_there(tmp_path):
    _, _, tape = converse(tmp_path)
    [item] = tape.interactions
    assert item.request.url.endswith("/v1beta/x?alt=sse")
    assert json.loads(item.request.body) == {**ASKED, "api_key": "[redacted]"}
    assert item.response.code == 401
    assert b"wrong key: " in item.response.body
    assert item.response.headers["Content-Type"] == ["text/event-stream"]


@pytest.fixture
def unredacted(monkeypatch):
    """The recorder without its redaction, and without the scan of the writer."""
    monkeypatch.setattr(record, "redact_interaction", lambda interaction, _rules: interaction)
    monkeypatch.setattr(recorder, "dump_redacted", lambda cassette, *_rules: dump(cassette))


def test_without_redaction_the_canaries_are_found(tmp_path, unredacted):
    _, _, tape = converse(tmp_path)
    assert hits(tape.file) >= {BEARER, KEY, GOOGLE, QUERY, COOKIE, BODY}


def test_the_writer_is_a_net_of_its_own(tmp_path, monkeypatch):
    """What the redaction misses and looks like a key (here: a bearer token) is not written."""
    monkeypatch.setattr(record, "redact_interaction", lambda interaction, _rules: interaction)
    _, _, tape = converse(tmp_path)
    assert (tape.recorder.count, hits(tape.file)) == (0, set())
    assert ["a bearer token" in problem for problem in tape.recorder.problems] == [True]


def test_a_key_of_a_known_shape_anywhere_refuses_the_write_and_is_told_without_it(tmp_path):
    """In a place that no rule knows: the client's own words."""
    key = "sk-" + "a1B2c3D4e5F6g7H8"
    with recording(tmp_path, [Script.json(b"{}")] * 2) as tape:
        body = json.dumps({"messages": [{"role": "user", "content": f"my key is {key}"}]})
        assert request(tape.url, "POST", f"/v1/{key}", body, {}).status == 200
        assert request(tape.url, "POST", "/v1/fine", b"{}", {}).status == 200
    assert tape.recorder.count == 1
    assert key.encode() not in tape.file
    assert key not in tape.lines.getvalue()
    assert ["request 0" in text and key not in text for text in tape.recorder.problems] == [True]
