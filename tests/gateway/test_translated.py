"""A client before upstreams of another dialect: what is told, what is refused, who serves."""

from contextlib import suppress

import pytest

from arno.wire import json
from tests.faults.gateways import rows_of, serving
from tests.gateway.harness import post
from tests.gateway.test_live import WHOLE, delta
from tests.gateway.upstream import STREAM, Upstream

KEY = {"UPSTREAM_KEY": "sk-upstream-0123456789abcdef"}
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"}


def provider(name, upstream, dialect, more=""):
    return (
        f'[provider.{name}]\nname = "{name.title()}"\nbase_url = "{upstream.url}"\n'
        f'dialect = "{dialect}"\nkey_env = "UPSTREAM_KEY"\n{more}\n'
    )


def served(**rows):
    """A model served by these providers in order."""
    there = ", ".join(f'"{name}/there-{name}"' for name in rows)
    return f"[replay]\ncassettes = []\n[model.m]\ncandidates = [{there}]\n"


def world(tmp_path, before="", more="", **rows):
    """A gateway; rows: name to (upstream, dialect)."""
    tmp_path.mkdir(exist_ok=True)
    tables = "".join(provider(name, up, dialect, more) for name, (up, dialect) in rows.items())
    return serving(tmp_path, before + served(**rows) + tables, environ=KEY)


def answering(document, status=200):
    body = document if isinstance(document, bytes) else json.dumps(document)
    return Upstream(lambda peer: peer.answer(status, body, "Content-Type: application/json"))


def sent(upstream):
    return json.loads(upstream.requests[-1].body)


def test_a_request_is_said_in_the_upstreams_words_and_the_answer_in_the_clients(tmp_path):
    with answering(MESSAGE) as up, world(tmp_path, alpha=(up, "messages")) as (url, sink):
        reply = post(url, {**ASK, "stop": "END", "user": "ada@x"})
        [record] = rows_of(sink)
    [peer] = up.requests
    assert peer.target == "/v1/messages"
    assert peer.headers["anthropic-version"] == "2023-06-01"
    assert (sent(up)["model"], sent(up)["stop_sequences"]) == ("there-alpha", ["END"])
    assert "ada@x" not in str(sent(up))
    [choice] = reply.document["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello", "stop")
    assert (choice["native_finish_reason"], reply.document["provider"]) == ("end_turn", "Alpha")
    assert reply.document["id"] == reply.headers["x-generation-id"] == record.generation.id
    assert record.generation.upstream_id == "msg_1"
    assert "x-arno-loss" not in reply.headers
    assert record.generation.losses == ()


def test_what_is_lost_is_told_to_the_client_and_to_the_ledger(tmp_path):
    asked = {**ASK, "seed": 7, "foo_bar": 1, "top_k": 5}
    with answering(MESSAGE) as up, world(tmp_path, alpha=(up, "messages")) as (url, sink):
        reply = post(url, asked, {"openai-beta": "new"})
        [record] = rows_of(sink)
    assert sent(up)["top_k"] == 5
    assert not {"seed", "foo_bar"} & sent(up).keys()
    told = reply.headers["x-arno-loss"].split(", ")
    assert sorted(told) == ["foo_bar=dropped", "openai-beta=dropped", "seed=dropped"]
    paths = sorted(loss["path"] for loss in reply.document["usage"]["losses"])
    assert paths == ["foo_bar", "openai-beta", "seed"]
    assert sorted(record.generation.losses) == [f"{path}: dropped" for path in paths]


@pytest.mark.parametrize(("before", "headers"), [("", {"X-Arno-Strict": "1"}), ("strict", {})])
def test_strictness_turns_a_drop_into_a_refusal(tmp_path, before, headers):
    before = "[server]\nstrict = true\n" if before else ""
    with answering(MESSAGE) as up, world(tmp_path, before, alpha=(up, "messages")) as (url, _):
        reply = post(url, {**ASK, "seed": 7}, headers)
        again = post(url, ASK, headers)
    assert (reply.status, again.status, len(up.requests)) == (400, 200, 1)
    assert "seed" in reply.document["error"]["message"]


def test_a_strictness_that_cannot_be_read_is_refused(tmp_path):
    with answering(MESSAGE) as up, world(tmp_path, alpha=(up, "messages")) as (url, _):
        reply = post(url, ASK, {"X-Arno-Strict": "perhaps"})
    assert (reply.status, reply.reason, up.requests) == (400, "invalid_header", [])


def test_who_cannot_be_told_is_passed_over(tmp_path):
    """The Responses API has no stop: a contract field is never dropped."""
    with (
        answering({}) as one,
        answering(WHOLE) as two,
        world(tmp_path, one=(one, "responses"), two=(two, "chat")) as (url, sink),
    ):
        reply = post(url, {**ASK, "stop": "END"})
        [record] = rows_of(sink)
    assert (reply.status, one.requests, len(two.requests)) == (200, [], 1)
    assert reply.headers["x-provider-name"] == "Two"
    assert record.generation.attempts == 1


def test_if_nobody_can_be_told_the_field_is_named(tmp_path):
    with answering({}) as one, world(tmp_path, one=(one, "responses")) as (url, sink):
        reply = post(url, {**ASK, "stop": "END"})
        [record] = rows_of(sink)
    assert (reply.status, one.requests) == (400, [])
    assert "stop" in reply.document["error"]["message"]
    assert record.generation.state == "refused"


def test_several_answers_only_where_the_row_allows_them(tmp_path):
    asked = {**ASK, "n": 2}
    with answering(WHOLE) as up, world(tmp_path / "a", alpha=(up, "chat")) as (url, _):
        refused = post(url, asked)
    assert (refused.status, up.requests) == (400, [])
    assert refused.document["error"]["message"].startswith("n: ")
    more = "multiple_choices = true"
    with answering(WHOLE) as up, world(tmp_path / "b", "", more, alpha=(up, "chat")) as (url, _):
        assert post(url, asked).status == 200
    assert sent(up)["n"] == 2


def test_headers_of_a_dialect_go_to_it_only(tmp_path):
    beta = {"anthropic-beta": "new-2027-01-01"}
    ask = {"model": "m", "max_tokens": 5, "messages": ASK["messages"]}
    with answering(MESSAGE) as up, world(tmp_path / "a", alpha=(up, "messages")) as (url, _):
        native = post(url, ask, beta, path="/v1/messages")
    assert up.requests[0].headers["anthropic-beta"] == "new-2027-01-01"
    assert "x-arno-loss" not in native.headers
    with answering(WHOLE) as up, world(tmp_path / "b", alpha=(up, "chat")) as (url, _):
        other = post(url, ask, beta, path="/v1/messages")
    assert "anthropic-beta" not in up.requests[0].headers
    assert other.headers["x-arno-loss"] == "anthropic-beta=dropped"
    assert other.document["usage"]["losses"][0]["path"] == "anthropic-beta"


@pytest.mark.parametrize("to", ["alpha", "beta"])
def test_r18_a_signature_goes_back_to_its_endpoint_only(tmp_path, to):
    """The same dialect, two deployments: what one has signed the other one never sees."""
    answer = {**MESSAGE, "content": [THOUGHT, *MESSAGE["content"]]}
    asked = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
    with (
        answering(answer) as alpha,
        answering(MESSAGE) as beta,
        world(tmp_path, alpha=(alpha, "messages"), beta=(beta, "messages")) as (url, _),
    ):
        first = post(url, asked, path="/v1/messages").document
        assert first["content"][0] == THOUGHT
        turns = [
            *asked["messages"],
            {"role": "assistant", "content": first["content"]},
            {"role": "user", "content": "And now?"},
        ]
        again = {**asked, "messages": turns, "provider": {"only": [to]}}
        second = post(url, again, path="/v1/messages")
    there = alpha if to == "alpha" else beta
    blocks = sent(there)["messages"][1]["content"]
    assert second.status == 200
    if to == "alpha":
        assert blocks == [THOUGHT, *MESSAGE["content"]]
        assert "x-arno-loss" not in second.headers
    else:
        assert [block["type"] for block in blocks] == ["text"]
        assert "dropped" in second.headers["x-arno-loss"]


def test_failures_of_the_gateway_are_in_the_callers_dialect(tmp_path):
    """A wrong key, an unknown model, a body that is no JSON."""
    with answering(MESSAGE) as up, world(tmp_path, alpha=(up, "messages")) as (url, _):
        bad = post(url, b"{", path="/v1/messages")
        unknown = post(url, {**ASK, "model": "no/such"}, path="/v1/messages")
        gemini = post(url, b"{", path="/v1beta/models/m:generateContent")
        responses = post(url, {"model": "m"}, path="/v1/responses")
    for reply in (bad, unknown):
        assert (reply.status, reply.document["type"]) == (400, "error")
        assert reply.document["error"]["type"] == "invalid_request_error"
    assert gemini.document["error"]["status"] == "INVALID_ARGUMENT"
    assert gemini.document["error"]["code"] == gemini.status == 400
    assert responses.document["error"]["type"] == "invalid_request_error"
    assert up.requests == []


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_wishes_that_nobody_here_fulfils_are_told(tmp_path, dialect):
    """Members of the contract for a gateway: some are acted on here, others are not."""
    asked = {
        **ASK,
        "plugins": [{"id": "web"}],
        "transforms": ["middle-out"],
        "route": None,
        "preset": "",
        "provider": {"allow_fallbacks": False},
        "session_id": "s",
        "usage": {"include": True},
    }
    answer = WHOLE if dialect == "chat" else MESSAGE
    with answering(answer) as up, world(tmp_path, alpha=(up, dialect)) as (url, _):
        reply = post(url, asked)
        strict = post(url, asked, {"X-Arno-Strict": "true"})
    assert not {"plugins", "transforms", "provider", "session_id"} & sent(up).keys()
    assert reply.headers["x-arno-loss"] == "plugins=dropped, transforms=dropped"
    paths = [loss["path"] for loss in reply.document["usage"]["losses"]]
    assert paths == ["plugins", "transforms"]
    assert strict.status == 400


def test_an_operators_own_chat_host_reads_an_effort_and_not_the_contracts_object(tmp_path):
    asked = {**ASK, "reasoning": {"effort": "low", "exclude": True}}
    with answering(WHOLE) as up, world(tmp_path, alpha=(up, "chat")) as (url, _):
        reply = post(url, asked)
    assert sent(up)["reasoning_effort"] == "low"
    assert "reasoning" not in sent(up)
    assert reply.headers["x-arno-loss"] == "reasoning=approximated"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_what_only_began_still_may_be_anothers_answer(tmp_path, path):
    """An opened block that says nothing is no output: the next one is asked (R28)."""
    start = {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}}
    block = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}

    def begin(peer):
        peer.send(STREAM)
        for event in (start, block, error):
            peer.chunk(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event)))
        peer.end()

    def answer(peer):
        peer.send(STREAM)
        for piece in (delta("Hello"), delta("", "stop"), b"data: [DONE]\n\n"):
            peer.chunk(piece)
        peer.end()

    asked = {**ASK, "stream": True, "input": "Hi"}
    if path.endswith("responses"):
        asked = {"model": "m", "input": "Hi", "stream": True}
    with (
        Upstream(begin) as one,
        Upstream(answer) as two,
        world(tmp_path, one=(one, "messages"), two=(two, "chat")) as (url, sink),
    ):
        reply = post(url, asked, path=path)
        [record] = rows_of(sink)
    assert (reply.status, reply.headers["x-provider-name"]) == (200, "Two")
    assert b"Hello" in reply.body
    assert [exchange.state for exchange in record.exchanges] == ["error", "success"]


def test_a_stream_that_cannot_be_told_on_has_failed_in_the_ledger_too(tmp_path):
    """More waits behind an open call than may be kept: client and ledger are told the same."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
    head = {"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "b"}

    def chunk(piece):
        choice = {"index": 0, "delta": piece, "finish_reason": None}
        return b"data: " + json.dumps({**head, "choices": [choice]}) + b"\n\n"

    def endless(peer):
        peer.send(STREAM)
        peer.chunk(chunk({"tool_calls": [call]}))
        with suppress(ConnectionError):
            for _ in range(40):
                peer.chunk(chunk({"content": "x" * 262_144}))
            peer.end()

    asked = {**ASK, "stream": True}
    with Upstream(endless) as up, world(tmp_path, alpha=(up, "chat")) as (url, sink):
        reply = post(url, asked, path="/v1/messages")
        [record] = rows_of(sink)
    assert b"event: error" in reply.body
    assert b"message_stop" not in reply.body
    assert (record.generation.state, record.generation.error_kind) == (
        "truncated",
        "invalid_answer",
    )
