"""No credential reaches a cassette: canaries in every place, and the scan that refuses."""

import msgspec
import pytest

from arno.cassette.errors import SecretFound
from arno.cassette.govcr import dump, load
from arno.cassette.model import Cassette, RecordedRequest, RecordedResponse, WireTiming
from arno.cassette.redact import check, dump_redacted, redact, redact_body, redact_url
from arno.cassette.rules import Redaction
from arno.cassette.secrets import find_secret
from arno.cassette.timing import chunks_of
from tests.cassette.files import go_vcr_files, interaction, recording
from tests.shared import needs_shared

CANARY = "canary-4711-secret-value"

KEYS = [
    "sk-0123456789abcdef",
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "sk-ant-api03-abcdefghijklmnop",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
    "Bearer 0123456789abcdef",
    "bearer abc.def-ghi_123",
]

HARMLESS = [
    "task-0123456789abcdef",
    "disk-usage-of-the-server",
    "sk-learn",
    "Bearer authentication",
    "the bearer of good news in 1999",
    "AKIA",
    "AIza",
    "eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxMjM0NTY3ODkwIn0",
    '{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdGFydCJ9","p":"abc"}',
]


def loaded_with(secret: str) -> Cassette:
    """A cassette with the secret in every place that redaction promises to clean."""
    item = interaction()
    headers = {
        "Authorization": [f"Bearer {secret}"],
        "X-Api-Key": [secret],
        "Cookie": [secret],
        "X-Custom": [secret],
        "Content-Type": ["application/json"],
        "accept": ["*/*"],
    }
    request = RecordedRequest(
        "POST",
        f"https://user:{secret}@api.example.com/v1?alt=sse&key={secret}&Api_Key={secret}",
        headers,
        f'{{"api_key": "{secret}", "deep": [{{"client_secret":"{secret}"}}], "n": 1}}'.encode(),
        trailer={"X-Token": [secret]},
        form={"key": [secret], "alt": ["sse"]},
        request_uri=f"/v1?access_token={secret}",
        remote_addr=secret,
    )
    response = RecordedResponse(
        "200 OK",
        200,
        headers | {"Set-Cookie": [secret], "Retry-After": ["2"], "X-Generation-Id": ["gen-1"]},
        f'data: {{"access_token":"{secret}"}}\n\ndata: [DONE]\n\n'.encode(),
        trailer={"Authorization": [secret]},
    )
    wire = WireTiming(((0, 5),), extra={"headers": secret, "enc": secret, "note": "kept"})
    changed = msgspec.structs.replace(item, request=request, response=response, wire=wire)
    return Cassette((changed,))


def test_a_canary_in_every_place_is_gone_from_the_file():
    data = dump_redacted(loaded_with(CANARY))
    assert CANARY.encode() not in data
    kept = load(data).interactions[0]
    assert kept.request.url == "https://api.example.com/v1?alt=sse"
    assert kept.request.headers == {"Content-Type": ["application/json"], "accept": ["*/*"]}
    assert kept.request.body == (
        b'{"api_key": "[redacted]", "deep": [{"client_secret":"[redacted]"}], "n": 1}'
    )
    assert kept.request.form == {"alt": ["sse"]}
    assert set(kept.response.headers) == {
        "Content-Type",
        "accept",
        "Retry-After",
        "X-Generation-Id",
    }
    assert kept.response.body == b'data: {"access_token":"[redacted]"}\n\ndata: [DONE]\n\n'
    assert kept.wire == WireTiming(((0, 5),), extra={"note": "kept"})


def test_timing_follows_a_body_that_changed_in_length():
    item = interaction(
        answer=b'data: {"password":"abc"}\n\ndata: x\n\n',
        content_type="text/event-stream",
        wire=WireTiming(((1, 20), (2, 15))),
    )
    (clean,) = redact(Cassette((item,))).interactions
    assert [(chunk.at_ns, chunk.data) for chunk in chunks_of(clean)] == [
        (1, b'data: {"password":"[redacted]"'),
        (2, b"}\n\ndata: x\n\n"),
    ]


def test_stale_timing_stays_stale():
    wire = WireTiming(((1, 5), (2, 5)))
    item = interaction(answer=b'{"password":"abc"}', wire=wire)
    (clean,) = redact(Cassette((item,))).interactions
    assert clean.wire == wire


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/p", "https://h/p"),
        ("https://h/p?a=%20b&c", "https://h/p?a=%20b&c"),
        ("https://h/p?key=1", "https://h/p"),
        ("https://h/p?key=1#f", "https://h/p#f"),
        ("https://h/p?a=1&%6Bey=2&b=3", "https://h/p?a=1&b=3"),
        ("https://h/p?X-Amz-Signature=1&X-Amz-Date=2", "https://h/p?X-Amz-Date=2"),
        ("https://u:p@h/p@q", "https://h/p@q"),
        ("/p?token=1&monkey=2", "/p?monkey=2"),
        ("", ""),
    ],
)
def test_urls(url, expected):
    assert redact_url(url) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"password":"a\\"b","x":"y"}', b'{"password":"[redacted]","x":"y"}'),
        (b'{"password" :\n "a"}', b'{"password" :\n "[redacted]"}'),
        (b'{"password":""}', b'{"password":"[redacted]"}'),
        (b'{"password":null}', b'{"password":null}'),
        (b'{"passwords":"a","my_password":"b"}', b'{"passwords":"a","my_password":"[redacted]"}'),
        (b'{"valid_token":"a","spassword":"b"}',) * 2,
        (b'{"password":12345678}', b'{"password":"[redacted]"}'),
        (b'{"properties":{"password":{"type":"string"}}}',) * 2,
        (b'\xff{"password":"a"}',) * 2,
        (b"",) * 2,
    ],
)
def test_bodies(body, expected):
    assert redact_body(body) == expected


def test_form_bodies():
    body = b"grant_type=x&client_secret=abc&refresh_token=d&a=b"
    form = "application/x-www-form-urlencoded; charset=utf-8"
    expected = b"grant_type=x&client_secret=[redacted]&refresh_token=[redacted]&a=b"
    assert redact_body(body, form) == expected
    assert redact_body(body) == body


@pytest.mark.parametrize("key", KEYS)
def test_the_scan_knows_keys(key):
    assert find_secret(f'x "{key}" y'.encode()) is not None


@pytest.mark.parametrize("text", HARMLESS)
def test_the_scan_lets_harmless_text_pass(text):
    assert find_secret(text.encode()) is None


@pytest.mark.parametrize("piece", [b"eyJ", b"Bearer+", b"AIzaSy!", b"eyJaaaa.", b"bearer a"])
def test_the_scan_is_linear(piece):
    # A search that scanned on from every start would need hours for this much text.
    assert find_secret(piece * 200_000) is None


def place_in(where: str, text: str) -> Cassette:
    """A cassette that has `text` in one place that redaction does not clean."""
    item = interaction()
    request, response = item.request, item.response
    replace = msgspec.structs.replace
    changed = {
        "request.url": replace(item, request=replace(request, url=f"https://h/{text}")),
        "request.body": replace(item, request=replace(request, body=f'"{text}"'.encode())),
        "request.headers": replace(item, request=replace(request, headers={"Accept": [text]})),
        "request (a key)": replace(item, request=replace(request, extra={text: "x"})),
        "response.body": replace(item, response=replace(response, body=text.encode() + b"\xff")),
        "response.status": replace(item, response=replace(response, status=f"200 {text}")),
        "response.extra": replace(item, response=replace(response, extra={"a": [{"b": text}]})),
        "x_wire": replace(item, wire=WireTiming(sent=text)),
        "x_note": replace(item, extra={"x_note": text}),
    }
    if where == "x_recorder":
        return Cassette((item,), {"x_recorder": {"by": text}})
    return Cassette((changed[where],))


PLACES = [
    *["request.url", "request.body", "request.headers", "request (a key)", "response.body"],
    *["response.status", "response.extra", "x_wire", "x_note", "x_recorder"],
]


@pytest.mark.parametrize("place", PLACES)
def test_a_key_anywhere_refuses_the_write_without_naming_it(place):
    with pytest.raises(SecretFound) as caught:
        dump_redacted(place_in(place, "sk-0123456789abcdef"))
    assert place.split(" ")[0] in caught.value.where
    assert "0123456789" not in str(caught.value)
    assert "sk-" in caught.value.kind


@pytest.mark.parametrize("place", PLACES)
def test_a_configured_secret_of_any_shape_is_replaced_wherever_it_stands(place):
    rules = Redaction(known=("", CANARY))
    written = dump_redacted(place_in(place, f"a {CANARY} b"), rules)
    assert CANARY.encode() not in written
    assert written == dump_redacted(place_in(place, "a [redacted] b"))


@pytest.mark.parametrize(
    "spelled", ["canary-4711%2Dsecret-value", "canary-4711\\u002dsecret-value"]
)
def test_a_configured_secret_in_an_odd_spelling_refuses_the_write(spelled):
    with pytest.raises(SecretFound, match="a configured secret"):
        dump_redacted(place_in("response.body", spelled), Redaction(known=(CANARY,)))


def test_a_known_secret_is_found_in_the_spelling_of_urls_and_of_json():
    rules = Redaction(known=('p@ss"w/rd',))
    assert redact_url("https://h/p?a=p%40ss%22w%2Frd", rules) == "https://h/p?a=[redacted]"
    assert redact_body(b'{"a":"p@ss\\"w/rd"}', rules=rules) == b'{"a":"[redacted]"}'


def test_the_lists_are_the_callers_to_change():
    rules = Redaction(
        request_headers=frozenset({"x-trace"}), fields=frozenset({"pin"}), parameters=frozenset()
    )
    item = interaction(b'{"pin":"1","password":"2"}', url="https://h/p?key=1")
    item.request.headers["X-Trace"] = ["t"]
    (clean,) = redact(Cassette((item,)), rules).interactions
    assert clean.request.headers == {"X-Trace": ["t"]}
    assert clean.request.body == b'{"pin":"[redacted]","password":"2"}'
    assert clean.request.url == "https://h/p?key=1"


def test_redaction_is_idempotent():
    once = redact(loaded_with(CANARY))
    assert redact(once) == once


@needs_shared
@pytest.mark.parametrize("name", go_vcr_files())
def test_recordings_hold_nothing_that_the_scan_refuses(name):
    cassette = load(recording(name))
    check(cassette)
    if "/ai-gateway/" not in name:
        # Those keep all response headers; the others follow the same allow-list as ours.
        assert dump(redact(cassette)) == recording(name)
