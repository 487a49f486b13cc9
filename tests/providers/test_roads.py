"""Roads: what is sent where, and what must not be."""

import msgspec
import pytest

from arno.canon.failure import RequestError
from arno.dialects import DIALECTS
from arno.providers import Endpoint
from arno.providers.roads import ROADS, Ask, carry
from arno.wire import json
from arno.wire.frame import Framing
from tests.dialects.test_paths import BAD_IDS
from tests.providers.asking import MESSAGES, OURS, Spoken

BASE = "https://h.example"


def row(road=None, dialect="messages", **more):
    return Endpoint(slug="a", name="a", dialect=dialect, base_url=BASE, road=road, **more)


def carried(road, body, model, *, stream=False, forward=(), **more):
    dialect = "messages" if road is None else ROADS[road].dialect
    spoken = OURS[dialect]
    asked = json.dumps(body)
    return carry(
        row(road, dialect, **more), spoken, asked, model=model, stream=stream, forward=forward
    )


ASKED = {"model": "m", "messages": [], "max_tokens": 1}
CLAUDE = "us.anthropic.claude-v1:0"
BEDROCK = {"messages": [], "max_tokens": 1, "anthropic_version": "bedrock-2023-05-31"}
VERTEX = {"messages": [], "max_tokens": 1, "anthropic_version": "vertex-2023-10-16"}

WAYS = [
    # road, asked for, model, streamed: path, body, framing
    (
        "bedrock_invoke",
        ASKED,
        CLAUDE,
        False,
        "/model/us.anthropic.claude-v1%3A0/invoke",
        BEDROCK,
        Framing.SSE,
    ),
    (
        "bedrock_invoke",
        {**ASKED, "stream": True},
        CLAUDE,
        True,
        "/model/us.anthropic.claude-v1%3A0/invoke-with-response-stream",
        BEDROCK,
        Framing.EVENT_STREAM_BYTES,
    ),
    (
        "vertex_anthropic",
        ASKED,
        "claude-1@20250219",
        False,
        "/publishers/anthropic/models/claude-1@20250219:rawPredict",
        VERTEX,
        Framing.SSE,
    ),
    (
        "vertex_anthropic",
        {**ASKED, "stream": True},
        "claude-1@20250219",
        True,
        "/publishers/anthropic/models/claude-1@20250219:streamRawPredict",
        {**VERTEX, "stream": True},
        Framing.SSE,
    ),
    (
        "vertex_gemini",
        {"contents": []},
        "gemini-1",
        False,
        "/publishers/google/models/gemini-1:generateContent",
        {"contents": []},
        Framing.SSE,
    ),
    (
        "vertex_gemini",
        {"contents": []},
        "gemini-1",
        True,
        "/publishers/google/models/gemini-1:streamGenerateContent?alt=sse",
        {"contents": []},
        Framing.SSE,
    ),
    (
        "azure_deployments",
        {"model": "d", "messages": []},
        "d",
        True,
        "/openai/deployments/d/chat/completions",
        {"model": "d", "messages": []},
        Framing.SSE,
    ),
    (None, ASKED, "m", False, "/messages", ASKED, Framing.SSE),
]


@pytest.mark.parametrize(("road", "asked", "model", "stream", "path", "sent", "framing"), WAYS)
def test_the_way_there(road, asked, model, stream, path, sent, framing):
    found = carried(road, asked, model, stream=stream)
    assert found.url == BASE + path
    assert json.loads(found.body) == sent
    assert found.framing is framing


def test_every_road_is_tested():
    assert {way[0] for way in WAYS} - {None} == set(ROADS)


def test_values_are_not_looked_into():
    """Digits, escapes and order of what a member holds stay as they are."""
    body = b'{"model":"m","a":1.50,"b":"\\u00e9","c":{"z":1, "a":2},"temperature":1e-7}'
    found = carry(row("bedrock_invoke"), MESSAGES, body, model="m", stream=False)
    for piece in (b'"a":1.50', b'"b":"\\u00e9"', b'"c":{"z":1, "a":2}', b'"temperature":1e-7'):
        assert piece in found.body
    same = carry(row("vertex_gemini", "gemini"), OURS["gemini"], body, model="m", stream=False)
    assert same.body is body


BETAS = [
    # forwarded, in the body: what is sent
    ((), None, None),
    (("a",), None, ["a"]),
    (("a, b", "c"), None, ["a", "b", "c"]),
    (("a",), ["b"], ["b", "a"]),
    (("a",), ["a"], ["a"]),
    ((" ,",), None, None),
    ((), ["b"], ["b"]),
    (("a",), "odd", "odd"),
]


@pytest.mark.parametrize(("forwarded", "own", "sent"), BETAS)
def test_betas_go_into_the_body_where_headers_are_not_read(forwarded, own, sent):
    body = ASKED if own is None else {**ASKED, "anthropic_beta": own}
    forward = tuple(("anthropic-beta", value) for value in forwarded)
    found = carried("bedrock_invoke", body, "m", forward=forward)
    assert json.loads(found.body).get("anthropic_beta") == sent
    assert not [name for name, _ in found.headers if name.startswith("anthropic-")]


def test_betas_of_the_row_count_too():
    found = carried(
        "bedrock_invoke",
        ASKED,
        "m",
        headers={"anthropic-beta": "r"},
        forward=(("anthropic-beta", "c"),),
    )
    assert json.loads(found.body)["anthropic_beta"] == ["r", "c"]


def test_the_headers_that_travel():
    forward = (("anthropic-beta", "x"),)
    plain = carried(None, ASKED, "m", stream=True, forward=forward, headers={"x-team": "t"})
    assert plain.headers == (
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("anthropic-version", "2023-06-01"),
        ("x-team", "t"),
        ("anthropic-beta", "x"),
    )
    vertex = carried("vertex_anthropic", ASKED, "m", forward=forward)
    assert vertex.headers[1:] == (("accept", "application/json"), ("anthropic-beta", "x"))
    bedrock = carried("bedrock_invoke", ASKED, "m", stream=True)
    assert ("accept", "application/vnd.amazon.eventstream") in bedrock.headers


def test_a_row_may_replace_a_header_of_the_dialect():
    found = carried(None, ASKED, "m", headers={"anthropic-version": "2099-01-01"})
    assert [v for n, v in found.headers if n == "anthropic-version"] == ["2099-01-01"]


def test_a_version_that_the_client_names_itself_stays_on_bedrock_and_vertex():
    body = {**ASKED, "anthropic_version": "other"}
    for road in ("bedrock_invoke", "vertex_anthropic"):
        assert json.loads(carried(road, body, "m").body)["anthropic_version"] == "other"


def test_a_query_of_the_row_stands_behind_every_path():
    query = {"query": "api-version=2024-10-21"}
    found = carried("azure_deployments", {}, "d", **query)
    assert found.url.endswith("/chat/completions?api-version=2024-10-21")
    found = carried("vertex_gemini", {}, "g", stream=True, **query)
    assert found.url.endswith("?alt=sse&api-version=2024-10-21")


def test_other_operations_at_a_deployment_keep_their_own_path():
    embeddings = Spoken(Framing.SSE, (), "/embeddings", "/embeddings")
    found = carry(row("azure_deployments", "chat"), embeddings, b"{}", model="d", stream=False)
    assert found.url == f"{BASE}/openai/deployments/d/embeddings"


@pytest.mark.parametrize("model", BAD_IDS)
def test_an_id_that_could_lead_elsewhere_is_refused(model):
    for road in ROADS.values():
        with pytest.raises(RequestError) as refused:
            road.path(Ask(model, stream=False, own="/x"))
        assert refused.value.path == "model"


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'{"a":', b"\xff"])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(RequestError, match="JSON object"):
        carry(row("bedrock_invoke"), MESSAGES, body, model="m", stream=False)


@pytest.mark.parametrize("name", OURS)
def test_the_paths_that_tests_take_are_the_dialects_own(name):
    """Each dialect that is there, against what stands for it where it is not."""
    real, ours = DIALECTS.get(name, OURS[name]), OURS[name]
    assert real.framing is ours.framing
    assert tuple(real.headers) == ours.headers
    for stream in (False, True):
        assert real.path("m-1", stream=stream) == ours.path("m-1", stream=stream)


def test_a_road_is_a_value():
    with pytest.raises(AttributeError):
        ROADS["vertex_gemini"].dialect = "chat"
    assert msgspec.structs.fields(type(ROADS["vertex_gemini"]))
