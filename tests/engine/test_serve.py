"""The engine end to end over real sockets: one answer, its bytes, its ledger row."""

import asyncio

import pytest

from arno.wire import json
from tests.engine.harness import DONE, HELLO, MODEL, STOP, USAGE, Bench, answer, chat_body, chunk
from tests.transport.upstream import End, Script, ScriptedUpstream


def serve(script, body, slug="plain"):
    """One request through one upstream: (client, bench, upstream)."""

    async def main():
        async with ScriptedUpstream([script]) as up:
            bench = Bench(**{slug: up.url})
            client = await bench.serve(body)
            return client, bench, up

    return asyncio.run(main())


def test_a_contract_upstream_passes_verbatim():
    client, bench, _ = serve(
        Script.sse(*HELLO, STOP, USAGE, DONE), chat_body(stream=True), "contract"
    )
    assert client.bytes == b"".join((*HELLO, STOP, USAGE, DONE))
    assert client.status == 200
    assert client.headers["content-type"] == "text/event-stream"
    assert bench.entry.state == "success"
    assert bench.entry.upstream_id == "up-1"


def test_a_whole_answer_passes_verbatim_with_its_padding():
    body = b"\n         \n" * 3 + answer()
    client, bench, _ = serve(Script.json(body), chat_body(), "contract")
    assert client.bytes == body
    assert client.ended
    assert (bench.entry.input_tokens, bench.entry.output_tokens) == (10, 5)


def test_another_upstream_is_restamped_and_priced():
    client, bench, _ = serve(
        Script.sse(*HELLO, STOP, USAGE, DONE),
        chat_body(stream=True, stream_options={"include_usage": True}),
    )
    assert {d["id"] for d in client.documents} == {"gen-1"}
    assert {d["model"] for d in client.documents} == {MODEL}
    assert {d["provider"] for d in client.documents} == {"Plain"}
    last = client.documents[-1]
    assert last["choices"] == []
    assert last["usage"]["cost"] == json.loads("0.00002")
    assert client.is_done
    assert bench.entry.cost_nano == 20_000
    assert bench.entry.cost_basis == "priced"


def test_usage_rides_on_the_finish_chunk_when_it_was_not_asked_for():
    client, _, up = serve(Script.sse(*HELLO, STOP, USAGE, DONE), chat_body(stream=True))
    last = client.documents[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["prompt_tokens"] == 10
    sent = json.loads(up.requests[0].body)
    assert sent["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("slug", ["plain", "contract"])
def test_routing_members_reach_a_gateway_of_the_contract_only(slug):
    """R14: `usage`, `provider` and the like never reach another upstream."""
    asked = {"provider": {"order": ["x"]}, "usage": {"include": True}, "foo_bar": 1}
    _, _, up = serve(Script.json(answer()), chat_body(**asked), slug)
    sent = json.loads(up.requests[0].body)
    assert sent["foo_bar"] == 1
    assert ("provider" in sent, "usage" in sent) == ((slug == "contract",) * 2)
    assert sent["model"] == f"up/{slug}"


def test_an_unchanged_request_goes_on_byte_for_byte():
    body = b'{ "messages" : [{"role":"user","content":"hi"}],"model":"same/model" , "z":1.50}'
    _, _, up = serve(Script.json(answer()), body, "contract")
    assert up.requests[0].body == body


def test_the_key_of_the_endpoint_is_sent_and_nothing_of_the_clients():
    async def main():
        async with ScriptedUpstream([Script.json(answer())]) as up:
            bench = Bench(plain=up.url)
            bench.engine.upstream_key = {"plain": "up-secret"}.get
            await bench.serve(chat_body())
            return up.requests[0]

    request = asyncio.run(main())
    assert request.header("authorization") == "Bearer up-secret"
    assert request.path == "/chat/completions"


def test_a_stream_answered_whole_is_said_as_a_stream():
    """Row 21 of the fault matrix: the text is not lost."""
    client, bench, _ = serve(Script.json(answer("All of it")), chat_body(stream=True))
    text = "".join(d["choices"][0]["delta"].get("content") or "" for d in client.documents)
    assert text == "All of it"
    assert client.is_done
    assert bench.entry.state == "success"


def test_a_missing_end_mark_is_added():
    """R5 e, row 8: a finish and the end of the stream is a success."""
    client, bench, _ = serve(Script.sse(*HELLO, STOP), chat_body(stream=True), "contract")
    assert client.bytes == b"".join((*HELLO, STOP)) + DONE
    assert bench.entry.state == "success"


def test_an_unknown_model_is_refused_with_a_row():
    client, bench, _ = serve(Script.json(answer()), chat_body(model="no/such"))
    assert client.status == 400
    assert "no/such is not a valid model ID" in client.document["error"]["message"]
    assert (bench.entry.state, bench.entry.attempts, bench.exchanges) == ("refused", 0, ())


def test_a_finish_of_stop_with_calls_is_told_as_tool_calls():
    """R4: stream and whole alike, the raw word kept."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chunks = (chunk({"tool_calls": [call]}), STOP, DONE)
    client, bench, _ = serve(Script.sse(*chunks), chat_body(stream=True))
    last = client.documents[-1]["choices"][0]
    assert (last["finish_reason"], last["native_finish_reason"]) == ("tool_calls", "stop")
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    whole = answer(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])
    client, bench, _ = serve(Script.json(whole), chat_body())
    choice = client.document["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("tool_calls", "stop")
    assert bench.entry.native_finish_reason == "stop"


def test_the_connection_is_kept_over_streams_and_whole_answers():
    async def main():
        scripts = [Script.sse(*HELLO, STOP, DONE), Script.json(answer())] * 3
        async with ScriptedUpstream(scripts) as up:
            bench = Bench(plain=up.url)
            for number in range(6):
                await bench.serve(chat_body(stream=number % 2 == 0))
            return up.connections

    assert asyncio.run(main()) == 1


def test_frames_after_the_end_are_dropped():
    """Row 19: ghost text after [DONE] is not the answer's."""
    client, _, _ = serve(
        Script.sse(*HELLO, STOP, DONE, chunk({"content": "ghost"}), end=End.CLOSE),
        chat_body(stream=True),
        "contract",
    )
    assert b"ghost" not in client.bytes


@pytest.mark.parametrize(
    ("models", "status"), [(["no/other"], 400), (["test/model"], 404)], ids=["none", "one"]
)
def test_a_model_is_unknown_only_if_its_fallbacks_are_too(models, status):
    """Where one is known, it is the request's own wishes that leave nobody."""
    asked = {"models": models, "provider": {"only": ["nobody"]}}
    client, bench, _ = serve(Script.json(answer()), chat_body(model="no/such", **asked))
    assert client.status == status
    assert bench.entry.state == "refused"
