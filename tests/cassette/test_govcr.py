"""go-vcr files: byte identity, every layout, unknown keys, clear errors."""

import re

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.cassette.errors import CassetteError
from arno.cassette.govcr import dump, load
from arno.cassette.model import (
    Cassette,
    End,
    Interaction,
    Profile,
    RecordedRequest,
    RecordedResponse,
    Style,
    WireTiming,
)
from arno.wire import json
from tests.cassette.files import SEED, go_vcr_files, interaction, recording
from tests.cassette.test_yaml_emit import FAST, READERS, TEXTS
from tests.shared import needs_shared

# In these, tool call ids were cut out of request bodies after the length had been noted.
EDITED = "fantasy/TestGoogleCommon/vertex-gemini-2-5-flash/"

# Files that do not come back byte for byte, with the reason. There is none.
NOT_IDENTICAL: dict[str, str] = {}

# Files whose `- id` does not stand at column 0, which come back byte for byte as well.
FOLDER = "cassettes/go-vcr/ai-gateway"
INDENTED = {
    f"{FOLDER}/{name}.yaml": "written by go-vcr's own encoder: indent 4, sequences indented"
    for name in (
        "chat-audio-to-text",
        "chat-bad-request",
        "chat-basic",
        "chat-openai-agents-python",
        "chat-streaming-detailed-usage",
        "chat-streaming-web-search",
        "chat-tools",
        "chat-web-search",
    )
}

SMALL = """\
---
version: 2
interactions:
- id: 0
  request:
    proto: HTTP/1.1
    proto_major: 1
    proto_minor: 1
    content_length: 2
    host: ""
    body: '{}'
    headers:
      Accept:
      - application/json
    url: https://api.example.com/v1/chat/completions
    method: POST
  response:
    proto: HTTP/2.0
    proto_major: 2
    proto_minor: 0
    content_length: -1
    uncompressed: true
    body: |+
      data: [DONE]

    headers:
      Content-Type:
      - text/event-stream
    status: 200 OK
    code: 200
    duration: 1.5ms
"""


def edited(*changes: tuple[str, str]) -> bytes:
    """SMALL with texts replaced; a change that does not apply is a mistake in the test."""
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


@needs_shared
@pytest.mark.parametrize("name", go_vcr_files())
def test_load_and_dump_of_a_recording_is_byte_identical(name):
    data = recording(name)
    assert (dump(load(data)) == data) is (name not in NOT_IDENTICAL)


@needs_shared
def test_the_recordings_are_those_of_column_0_and_the_named_ones():
    names = [name for name in go_vcr_files() if name != SEED]
    column_0 = [name for name in names if re.search(rb"^- id: 0$", recording(name), re.M)]
    assert (len(names), len(column_0)) == (123, 115)
    assert set(names) - set(column_0) == set(INDENTED)


@needs_shared
def test_all_known_layouts_are_among_the_recordings():
    styles = {load(recording(name)).style for name in go_vcr_files()}
    assert styles == {
        Style(),
        Style(indent=4, compact=False),
        Style(profile=Profile.GOCCY),
    }


@needs_shared
def test_the_seed_as_values():
    cassette = load(recording(SEED))
    first, second = cassette.interactions
    assert (first.id, second.id) == (0, 1)
    assert first.request.method == "POST"
    assert first.request.url == "https://openrouter.ai/api/v1/chat/completions"
    assert first.request.content_length == len(first.request.body) == 544
    assert first.request.headers["User-Agent"] == ["OpenAI/Go 2.7.1"]
    assert (first.response.proto, first.response.proto_major) == ("HTTP/2.0", 2)
    assert (first.response.status, first.response.code) == ("200 OK", 200)
    assert first.response.body.endswith(b"data: [DONE]\n\n")
    assert first.response.body.count(b"\n\n") == 26
    assert second.response.duration_ns == 5_979_645_541
    assert first.wire is None


@needs_shared
@pytest.mark.parametrize("name", [name for name in go_vcr_files() if EDITED not in name])
def test_json_bodies_of_recordings_have_their_recorded_length(name):
    for item in load(recording(name)).interactions:
        if item.request.body.startswith(b"{"):
            assert isinstance(json.loads(item.request.body), dict)
            assert item.request.content_length == len(item.request.body)


def test_a_new_cassette_is_written_like_the_seed():
    item = Interaction(
        id=7,
        request=RecordedRequest(
            "POST",
            "https://api.example.com/v1/chat/completions",
            {"Accept": ["application/json"]},
            b"{}",
            content_length=2,
        ),
        response=RecordedResponse(
            "200 OK",
            200,
            {"Content-Type": ["text/event-stream"]},
            b"data: [DONE]\n\n",
            proto="HTTP/2.0",
            proto_major=2,
            proto_minor=0,
            uncompressed=True,
            duration_ns=1_500_000,
        ),
    )
    assert dump(Cassette((item,))) == SMALL.encode()


def test_an_empty_cassette():
    assert dump(Cassette()) == b"---\nversion: 2\ninteractions: []\n"
    assert load(dump(Cassette())) == Cassette()
    assert load(b"version: 2\ninteractions:\n") == Cassette()


def test_every_optional_field_has_its_place_and_order():
    data = edited(
        (
            '    host: ""\n',
            "    transfer_encoding:\n    - chunked\n    trailer:\n      X:\n      - v\n"
            "    host: api.example.com\n    remote_addr: ::1\n    request_uri: /v1\n",
        ),
        (
            "    headers:\n      Accept:",
            "    form:\n      alt:\n      - sse\n    headers:\n      Accept:",
        ),
        (
            "    content_length: -1\n",
            "    transfer_encoding:\n    - chunked\n    trailer:\n      T:\n      - u\n"
            "    content_length: -1\n",
        ),
    )
    request = load(data).interactions[0].request
    assert request.transfer_encoding == ["chunked"]
    assert (request.trailer, request.form) == ({"X": ["v"]}, {"alt": ["sse"]})
    assert (request.remote_addr, request.request_uri) == ("::1", "/v1")
    assert dump(load(data)) == data


def test_a_file_that_writes_empty_values_keeps_them():
    data = edited(
        (
            '    host: ""\n',
            '    transfer_encoding: []\n    trailer: {}\n    host: ""\n    remote_addr: ""\n'
            '    request_uri: ""\n',
        ),
        ("    headers:\n      Accept:", "    form: {}\n    headers:\n      Accept:"),
        (
            "    content_length: -1\n",
            "    transfer_encoding: []\n    trailer: {}\n    content_length: -1\n",
        ),
    )
    assert load(data).style == Style(omit_empty=False)
    assert dump(load(data)) == data


@pytest.mark.parametrize(
    "style",
    [
        Style(),
        Style(indent=2, compact=False),
        Style(indent=4, compact=True),
        Style(indent=4, compact=False),
    ],
)
def test_each_layout_is_detected_and_kept(style):
    cassette = msgspec.structs.replace(load(SMALL.encode()), style=style)
    assert load(dump(cassette)) == cassette


def test_a_layout_that_nobody_writes_is_saved_in_ours():
    odd = b'{"version": 2, "interactions": [{"request": {"method": "GET", "url": "/"},' + (
        b' "response": {"status": "200 OK", "code": 200}}]}'
    )
    assert load(odd).style == Style()
    assert dump(load(odd)).startswith(
        b"---\nversion: 2\ninteractions:\n- id: 0\n  request:\n    proto"
    )


def test_the_goccy_profile_is_detected_by_its_quoting():
    data = edited(("'{}'", '"{}"'), ("|+\n      data: [DONE]\n\n", '"data: [DONE]\\n\\n"\n'))
    cassette = load(data)
    assert cassette.style.profile is Profile.GOCCY
    assert dump(cassette) == data


def test_keys_we_do_not_know_survive_with_their_types():
    data = edited(
        ("    method: POST\n", '    method: POST\n    x_num: 5\n    x_text: "5"\n'),
        ("    duration: 1.5ms\n", "    duration: 1.5ms\n    x_null: ~\n"),
    )
    data += b"  x_note:\n    a:\n    - true\n    - {}\nx_recorder:\n  name: arno\n  count: 3\n"
    cassette = load(data)
    assert cassette.extra == {"x_recorder": {"name": "arno", "count": "3"}}
    assert cassette.interactions[0].extra == {"x_note": {"a": ["true", {}]}}
    assert dump(cassette) == data


def test_the_order_of_keys_in_the_file_does_not_matter_for_reading():
    root = yaml.load(SMALL, Loader=yaml.BaseLoader)
    shuffled = yaml.dump(root, sort_keys=True, default_style='"').encode()
    assert load(shuffled).interactions == load(SMALL.encode()).interactions


def test_a_folded_body_is_read():
    data = edited(("'{}'", '"{\\"a\\":\n      \\"b c\\"}"'))
    assert load(data).interactions[0].request.body == b'{"a": "b c"}'


def test_null_values_are_empty_as_in_go():
    data = edited(
        ("    body: '{}'\n", "    body:\n"),
        ("    headers:\n      Accept:\n      - application/json\n", "    headers: null\n"),
        ('    host: ""\n', "    host: ~\n    form:\n    transfer_encoding: null\n"),
    )
    request = load(data).interactions[0].request
    assert (request.body, request.headers, request.host) == (b"", {}, "")
    assert (request.form, request.transfer_encoding) == ({}, [])


def test_ids_are_renumbered_by_position_on_save():
    item = load(SMALL.encode()).interactions[0]
    again = load(dump(Cassette((item, msgspec.structs.replace(item, id=9)))))
    assert [one.id for one in again.interactions] == [0, 1]


BAD = [
    pytest.param(
        [("version: 2", "version: 1")], 2, "expected cassette version 2, this is version 1"
    ),
    pytest.param([("version: 2", "version: 3")], 2, "expected version: 2"),
    pytest.param([("version: 2\n", "")], 2, "expected version: 2"),
    pytest.param([("interactions:", "recordings:")], 2, "expected the key interactions"),
    pytest.param([("- id: 0", "- id: x")], 4, "expected an integer in id"),
    pytest.param([("  response:", "  reply:")], 4, "expected the key response in the interaction"),
    pytest.param([("    method: POST\n", "")], 6, "expected the key method in request"),
    pytest.param([("    code: 200\n", "")], 18, "expected the key code in response"),
    pytest.param([("code: 200", "code: two")], 30, "expected an integer in response.code"),
    pytest.param(
        [("_major: 1", "_major: 99999999999999999999")], 7, "integer in request.proto_major"
    ),
    pytest.param([("uncompressed: true", "uncompressed: maybe")], 22, "expected true or false"),
    pytest.param([("1.5ms", "soon")], 31, "expected a duration such as 1.5s in response.duration"),
    pytest.param([('host: ""', "host: []")], 10, "expected text in request.host"),
    pytest.param(
        [("      - text/event-stream", "        x: y")], 28, "expected a list in response.headers"
    ),
    pytest.param(
        [("    headers:\n      Accept:\n", "    headers:\n")], 13, "a mapping in request.headers"
    ),
    pytest.param([("'{}'", "!!python/object:os.x {}")], 11, "no tag"),
]


@pytest.mark.parametrize(("changes", "line", "expected"), BAD)
def test_a_bad_file_is_refused_with_line_and_expectation(changes, line, expected):
    with pytest.raises(CassetteError, match=expected) as caught:
        load(edited(*changes))
    assert caught.value.line == line


@pytest.mark.parametrize("data", [b"[]", b"x", b"version: 2\ninteractions: 5\n", b"- 1\n"])
def test_another_shape_is_refused(data):
    with pytest.raises(CassetteError, match=r"expected a (mapping|list)"):
        load(data)


def test_wire_timing_stands_after_the_response_and_comes_back():
    wire = WireTiming(
        ((1_000_000, 5), (15_250_000, 9)), "2025-01-02T03:04:05Z", End.RESET, {"enc": "gzip"}
    )
    item = interaction(answer=b"data: [DONE]\n\n", wire=wire)
    data = dump(Cassette((item,)))
    assert data.endswith(
        b"    duration: 1.5ms\n"
        b"  x_wire:\n"
        b"    chunks: 1:5 15.25:9\n"
        b'    sent: "2025-01-02T03:04:05Z"\n'
        b"    end: reset\n"
        b"    enc: gzip\n"
    )
    assert load(data).interactions == (item,)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("chunks: '1:'", "pairs of ms:length"),
        ("end: lost", "expected x_wire.end to be one of eof, reset, client-closed"),
        ("chunks: [1]", "expected text in x_wire.chunks"),
    ],
)
def test_bad_wire_timing_is_refused_with_its_line(key, expected):
    with pytest.raises(CassetteError, match=expected) as caught:
        load(edited() + f"  x_wire:\n    {key}\n".encode())
    assert caught.value.line == 33


NAMES = TEXTS | st.from_regex(r"[A-Z][a-z]{1,8}(-[A-Z0-9][a-z0-9]{0,6}){0,2}", fullmatch=True)
HEADERS = st.dictionaries(NAMES, st.lists(TEXTS, max_size=3), max_size=3)
BODIES = TEXTS.map(str.encode) | st.binary(max_size=80)
CASSETTES = st.builds(
    Cassette,
    st.lists(
        st.builds(
            Interaction,
            id=st.just(0),
            request=st.builds(
                RecordedRequest,
                method=TEXTS,
                url=TEXTS,
                headers=HEADERS,
                body=BODIES,
                trailer=HEADERS,
                form=HEADERS,
                host=TEXTS,
                transfer_encoding=st.lists(TEXTS, max_size=2),
            ),
            response=st.builds(
                RecordedResponse,
                status=TEXTS,
                code=st.integers(0, 999),
                headers=HEADERS,
                body=BODIES,
                duration_ns=st.integers(0, 1 << 62),
                uncompressed=st.booleans(),
            ),
        ),
        max_size=2,
    ).map(lambda items: tuple(msgspec.structs.replace(one, id=n) for n, one in enumerate(items))),
)


@settings(deadline=None, max_examples=60)
@given(CASSETTES)
def test_any_cassette_comes_back_equal_from_us_and_from_pyyaml(cassette):
    data = dump(cassette)
    assert load(data).interactions == cassette.interactions
    for reader in FAST or READERS:
        _same_bodies_and_headers(yaml.load(data, Loader=reader), cassette)


def _same_bodies_and_headers(root: dict, cassette: Cassette) -> None:
    for tree, item in zip(root["interactions"], cassette.interactions, strict=True):
        for side in ("request", "response"):
            value = getattr(item, side)
            assert tree[side].get("headers", {}) == value.headers
            if _is_text(value.body):
                assert tree[side].get("body", "") == value.body.decode()


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
