"""Embeddings: passed through, accounted, their vectors never touched."""

from decimal import Decimal

import pytest

from arno.dialects import CLIENTS
from arno.dialects.bodies import private_id
from arno.store.memory import MemorySink
from arno.wire import json
from tests.gateway.harness import post
from tests.gateway.test_live import record_of
from tests.gateway.upstream import Upstream, live

PATH = "/v1/embeddings"
ASK = {"model": "a/b", "input": ["one", "two"], "dimensions": 2, "foo_bar": 1}
VECTORS = b'[{"object":"embedding","index":0,"embedding":[0.10,-2e-3]}]'
ANSWER = (
    b'{"object":"list","data":' + VECTORS + b',"model":"b-upstream",'
    b'"usage":{"prompt_tokens":7,"total_tokens":7}}'
)


def answering(body, status=200):
    return lambda peer: peer.answer(status, body, "Content-Type: application/json")


def test_request_and_vectors_go_through_and_the_ledger_knows():
    sink = MemorySink()
    with Upstream(answering(ANSWER)) as upstream, live(upstream, sink=sink) as url:
        reply = post(url, {**ASK, "provider": {"sort": "price"}}, path=PATH)
    [peer] = upstream.requests
    sent = json.loads(peer.body)
    assert peer.target == "/v1/embeddings"
    assert sent == {**ASK, "model": "b-upstream"}
    assert VECTORS in reply.body
    assert (reply.document["model"], reply.document["provider"]) == ("a/b", "Alpha")
    assert reply.document["id"] == reply.headers["x-generation-id"]
    entry = record_of(sink).generation
    assert (entry.dialect, entry.state) == ("embeddings", "success")
    assert (entry.input_tokens, entry.output_tokens) == (7, 0)


def test_the_end_users_id_goes_on_as_a_hash_only():
    with Upstream(answering(ANSWER)) as upstream, live(upstream) as url:
        post(url, {**ASK, "user": "ann@example.org"}, path=PATH)
    [peer] = upstream.requests
    assert json.loads(peer.body)["user"] == private_id("ann@example.org")
    body = json.dumps({**ASK, "user": "ann@example.org"})
    edit = CLIENTS["embeddings"].edit_request
    assert edit(body, model=None, contract=True, ask_usage=False) is body
    hidden = json.loads(edit(body, model=None, contract=False, ask_usage=False))
    assert hidden == {**ASK, "user": private_id("ann@example.org")}


def test_a_reported_cost_is_kept():
    body = ANSWER.replace(b'"total_tokens":7', b'"total_tokens":7,"cost":0.0000014')
    sink = MemorySink()
    with Upstream(answering(body)) as upstream, live(upstream, sink=sink) as url:
        reply = post(url, ASK, path=PATH)
    assert reply.document["usage"]["cost"] == Decimal("0.0000014")
    assert record_of(sink).generation.cost_nano == 1400


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"stream": True}, "stream"),
    ],
)
def test_a_bad_request_is_told_its_member(changed, field):
    with Upstream(answering(ANSWER)) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, **changed}, path=PATH)
    assert (reply.status, upstream.requests) == (400, [])
    assert field in reply.document["error"]["message"]


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (429, b'{"error":{"message":"slow","code":"rate_limit"}}', 429),
        (200, b'{"object":"list","data":[]}', 502),
        (200, b"{}", 502),
        (200, b"", 502),
        (200, b'{"error":{"message":"no","code":400}}', 400),
    ],
)
def test_a_failure_is_never_a_success(status, body, told):
    sink = MemorySink()
    with Upstream(answering(body, status)) as upstream, live(upstream, sink=sink) as url:
        reply = post(url, ASK, path=PATH)
    assert reply.status == told
    assert record_of(sink).generation.state == "error"
