"""What makes two requests the same, and what each ignore set lets differ."""

import pytest

from arno.cassette.canonical import Base, Ignore, Matching, canonical_url, request_key
from arno.cassette.rules import Redaction

URL = "https://api.example.com/v1/chat"


def same(one: bytes, other: bytes, *ignore: Ignore) -> bool:
    """Whether two bodies make the same request."""
    how = Matching(ignore=ignore)
    return request_key("POST", URL, one, how) == request_key("POST", URL, other, how)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":[1,2]}', b'{ "b": [1, 2],\n "a": 1.0 }'),
        (b'{"a":"\\u00e9"}', '{"a":"\u00e9"}'.encode()),
        (b'{"a":{"c":1,"b":2}}', b'{"a":{"b":2,"c":1}}'),
        (b"not json", b"not json"),
        (b"", b""),
    ],
)
def test_bodies_that_are_the_same(one, other):
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":[1,2]}', b'{"a":[2,1]}'),
        (b'{"a":1}', b'{"a":true}'),
        (b'{"a":1}', b'{"a":"1"}'),
        (b'{"a":null}', b"{}"),
        (b'{"a":0.1}', b'{"a":0.10000000000000001}'),
        (b"not json", b"not json "),
        (b"", b"{}"),
        (b'"x"', b"x"),
        (b'{"max_tokens":1}', b'{"max_tokens":2}'),
        (b'{"user":"a"}', b'{"user":"b"}'),
    ],
)
def test_bodies_that_are_not(one, other):
    assert not same(one, other)


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        (URL, Base.URL, URL),
        (f"{URL}?key=abc", Base.URL, URL),
        (f"{URL}?Key=abc&alt=sse", Base.URL, f"{URL}?alt=sse"),
        (f"{URL}?api-version=2024-10-01&b=2&a=1", Base.URL, f"{URL}?a=1&b=2"),
        (f"{URL}?access_token=x", Base.URL, URL),
        (f"{URL}?a=&a=1#part", Base.URL, f"{URL}?a=&a=1"),
        ("HTTPS://API.Example.COM:443/v1/chat", Base.URL, URL),
        ("https://user:pw@api.example.com/v1/chat", Base.URL, URL),
        ("http://api.example.com:8080/V1", Base.URL, "http://api.example.com:8080/V1"),
        ("https://api.example.com", Base.URL, "https://api.example.com/"),
        (f"{URL}?alt=sse&key=1", Base.PATH, "/v1/chat?alt=sse"),
        ("/v1/chat?alt=sse", Base.PATH, "/v1/chat?alt=sse"),
        ("https://h/model/a%3A0/invoke", Base.PATH, "/model/a%3A0/invoke"),
        ("http://[::1", Base.URL, "http://[::1"),
        ("http://h:notaport/x", Base.URL, "http://h:notaport/x"),
    ],
)
def test_canonical_url(url, base, expected):
    assert canonical_url(url, Matching(base)) == expected


def test_the_method_counts_in_upper_case():
    assert request_key("post", URL, b"") == request_key("POST", URL, b"")
    assert request_key("GET", URL, b"") != request_key("POST", URL, b"")


CALL = b"""{"messages":[
 {"role":"assistant","tool_calls":[{"id":"%b","type":"function","function":{"name":"f","arguments":"{}"}},
                                   {"id":"%b","type":"function","function":{"name":"g","arguments":"{}"}}]},
 {"role":"tool","tool_call_id":"%b","content":"1"},
 {"role":"tool","tool_call_id":"%b","content":"2"}]}"""


def test_ids_may_differ_while_links_are_checked():
    recorded = CALL % (b"a", b"b", b"a", b"b")
    assert same(recorded, CALL % (b"x", b"y", b"x", b"y"), Ignore.IDS)
    assert not same(recorded, CALL % (b"x", b"y", b"x", b"y"))
    assert not same(recorded, CALL % (b"x", b"y", b"y", b"x"), Ignore.IDS)
    assert not same(recorded, CALL % (b"x", b"x", b"x", b"x"), Ignore.IDS)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"type":"tool_use","id":"%b","input":{}},{"type":"tool_result","tool_use_id":"%b"}]',
        b'[{"type":"function_call","id":"%b","call_id":"%b"}]',
        b'[{"functionCall":{"id":"%b"}},{"functionResponse":{"id":"%b"}}]',
        b'[{"toolUse":{"toolUseId":"%b"}},{"toolResult":{"toolUseId":"%b"}}]',
    ],
)
def test_ids_of_every_dialect(body):
    assert same(body % (b"a", b"a"), body % (b"b", b"b"), Ignore.IDS)
    assert not same(body % (b"a", b"a"), body % (b"b", b"c"), Ignore.IDS)


def test_other_ids_still_count():
    assert not same(b'{"file":{"id":"a"}}', b'{"file":{"id":"b"}}', Ignore.IDS)


@pytest.mark.parametrize(
    ("ignore", "one", "other"),
    [
        (Ignore.LIMITS, b'{"max_tokens":1}', b"{}"),
        (Ignore.LIMITS, b'{"max_completion_tokens":1}', b'{"max_completion_tokens":2}'),
        (Ignore.LIMITS, b'{"max_output_tokens":1}', b'{"max_output_tokens":2}'),
        (
            Ignore.LIMITS,
            b'{"generationConfig":{"maxOutputTokens":1,"topP":1}}',
            b'{"generationConfig":{"maxOutputTokens":2,"topP":1}}',
        ),
        (
            Ignore.LIMITS,
            b'{"inferenceConfig":{"maxTokens":1}}',
            b'{"inferenceConfig":{"maxTokens":2}}',
        ),
        (Ignore.USER_META, b'{"user":"a","metadata":{"x":1},"session_id":"s"}', b"{}"),
        (Ignore.USER_META, b'{"safety_identifier":"a","prompt_cache_key":"b"}', b"{}"),
    ],
)
def test_named_sets(ignore, one, other):
    assert same(one, other, ignore)
    assert not same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"tools":[{"max_tokens":1}]}', b'{"tools":[{"max_tokens":2}]}'),
        (b'{"generationConfig":{"topP":1}}', b'{"generationConfig":{"topP":2}}'),
        (b'{"generationConfig":5}', b'{"generationConfig":6}'),
        (b'{"messages":[{"user":"a"}]}', b'{"messages":[{"user":"b"}]}'),
        (b"[1]", b"[2]"),
    ],
)
def test_named_sets_reach_only_their_own_places(one, other):
    assert not same(one, other, Ignore.LIMITS, Ignore.USER_META)


def test_a_redacted_recording_matches_the_live_request():
    live = request_key("POST", f"{URL}?key=live", b'{"api_key":"sk-live-key","a":1}')
    kept = request_key("POST", URL, b'{"api_key":"[redacted]","a":1}')
    assert live == kept


def test_own_redaction_rules_apply_on_both_sides():
    how = Matching(redaction=Redaction(fields=frozenset({"pin"})))
    live = request_key("POST", URL, b'{"pin":"1234"}', how)
    assert live == request_key("POST", URL, b'{"pin":"[redacted]"}', how)
    assert live != request_key("POST", URL, b'{"api_key":"1234"}', how)
