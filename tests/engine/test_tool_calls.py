"""R3 end to end: however an upstream cuts its tool calls up, a client reads two calls, dense."""

import asyncio

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from arno.canon.fold import fold
from arno.canon.parts import TextPart, ToolCallPart
from arno.wire import json
from tests.engine.harness import DONE, Bench, chat_body, chunk
from tests.exchange.attempt import events, exchange, feed
from tests.transport.upstream import Script, ScriptedUpstream


def piece(arguments=None, *, index=None, call_id=None, name=None):
    """One entry of `tool_calls`; what is None is left out."""
    function = {"name": name, "arguments": arguments}
    entry = {"index": index, "id": call_id}
    entry["type"] = "function" if call_id else None
    entry["function"] = {key: value for key, value in function.items() if value is not None}
    return {key: value for key, value in entry.items() if value is not None}


def calls(*pieces, **delta):
    return chunk({"tool_calls": list(pieces), **delta})


F, G = '{"x":1}', '{"y":2}'
STREAMS = {
    "a: no index": (
        calls(piece("", call_id="a", name="f")),
        calls(piece('{"x":')),
        calls(piece("1}")),
        calls(piece("", call_id="b", name="g")),
        calls(piece('{"y":2}')),
    ),
    "b: a second id on index 0, its arguments on index 1": (
        calls(piece(F, index=0, call_id="a", name="f")),
        calls(piece("", index=0, call_id="b", name="g")),
        calls(piece('{"y":', index=1)),
        calls(piece("2}", index=1)),
    ),
    "c: index from 1": (
        calls(piece("", index=1, call_id="a", name="f")),
        calls(piece(F, index=1)),
        calls(piece("", index=2, call_id="b", name="g")),
        calls(piece(G, index=2)),
    ),
    "d: in turns": (
        calls(piece("", index=0, call_id="a", name="f")),
        calls(piece("", index=1, call_id="b", name="g")),
        calls(piece('{"x":', index=0)),
        calls(piece('{"y":', index=1)),
        calls(piece("1}", index=0)),
        calls(piece("2}", index=1)),
    ),
    "e: the id on every delta": (
        calls(piece("", index=0, call_id="a", name="f")),
        calls(piece('{"x":', index=0, call_id="a", name="f")),
        calls(piece("1}", index=0, call_id="a", name="f")),
        calls(piece('{"y":', index=1, call_id="b", name="g")),
        calls(piece("2}", index=1, call_id="b")),
    ),
    "f: empty pieces": (
        calls(piece("", index=0, call_id="a", name="f")),
        calls(piece("", index=0)),
        calls(piece(F, index=0)),
        calls(piece(index=0)),
        calls(piece("", index=1, call_id="b", name="g"), piece("", index=0)),
        calls(piece(G, index=1)),
        calls(piece("", index=1)),
    ),
    "g: text and call in one delta": (
        calls(piece(F, index=0, call_id="a", name="f"), content="So"),
        calls(piece(G, index=1, call_id="b", name="g"), content="!"),
    ),
    "h: whole calls": (
        calls(
            piece(F, index=0, call_id="a", name="f"),
            piece(G, index=1, call_id="b", name="g"),
        ),
    ),
    "h: whole calls without an index": (
        calls(piece(F, call_id="a", name="f"), piece(G, call_id="b", name="g")),
    ),
}
FINISH = chunk({}, "tool_calls")


def serve(chunks, **members):
    async def main():
        async with ScriptedUpstream([Script.sse(*chunks)]) as up:
            bench = Bench(plain=up.url)
            return await bench.serve(chat_body(stream=True, **members)), bench

    return asyncio.run(main())


def decoded_again(client):
    """The parts that a client's own decoder reads."""
    (choice,) = fold(events(feed(exchange(), client.writes))).response.choices
    return choice.parts


def by_the_sdk(client):
    """The message that the official SDK puts together."""
    state = ChatCompletionStreamState()
    for document in client.documents:
        state.handle_chunk(ChatCompletionChunk.model_validate(document))
    return state.get_final_completion().choices[0].message


@pytest.mark.parametrize("members", [{}, {"stream_options": {"include_usage": True}}])
@pytest.mark.parametrize("stream", STREAMS)
def test_two_calls_are_read_as_two_calls(stream, members):
    """R3 a to h: by a decoder of ours, and by the official SDK."""
    client, bench = serve((*STREAMS[stream], FINISH, DONE), **members)
    assert bench.entry.state == "success"
    parts = decoded_again(client)
    read = [
        (part.call_id, part.name, part.arguments)
        for part in parts
        if isinstance(part, ToolCallPart)
    ]
    assert read == [("a", "f", F), ("b", "g", G)]
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    assert text == ("So!" if stream.startswith("g") else "")
    message = by_the_sdk(client)
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls] == read
    assert (message.content or "") == text


@pytest.mark.parametrize("stream", STREAMS)
def test_indexes_are_dense_and_every_call_is_named_once(stream):
    """R3: the layout that every client reads."""
    client, _ = serve((*STREAMS[stream], FINISH, DONE))
    entries = [
        entry
        for document in client.documents
        for choice in document["choices"]
        for entry in choice["delta"].get("tool_calls") or ()
    ]
    assert list(dict.fromkeys(entry["index"] for entry in entries)) == [0, 1]
    assert [(entry["index"], entry["id"]) for entry in entries if entry.get("id")] == [
        (0, "a"),
        (1, "b"),
    ]
    names = [e["function"]["name"] for e in entries if e["function"].get("name")]
    assert names == ["f", "g"]


NO_ARGUMENTS = {
    "no member": (calls(piece(index=0, call_id="a", name="f")),),
    "an empty text": (calls(piece("", index=0, call_id="a", name="f")),),
    "empty pieces": (
        calls(piece("", index=0, call_id="a", name="f")),
        calls(piece("", index=0)),
    ),
    "an empty object": (calls(piece("{}", index=0, call_id="a", name="f")),),
}


@pytest.mark.parametrize("stream", NO_ARGUMENTS)
def test_a_call_without_arguments_has_an_empty_object(stream):
    """R3 i: streamed."""
    client, _ = serve((*NO_ARGUMENTS[stream], FINISH, DONE))
    (part,) = decoded_again(client)
    assert (part.call_id, part.name, part.arguments) == ("a", "f", "{}")
    (call,) = by_the_sdk(client).tool_calls
    assert call.function.arguments == "{}"


def test_a_call_without_arguments_has_an_empty_object_in_a_whole_answer():
    """R3 i: not streamed."""

    async def main():
        message = {"role": "assistant", "content": None}
        message["tool_calls"] = [piece("", call_id="a", name="f")]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        script = Script.json(json.dumps({"id": "u", "choices": [choice]}))
        async with ScriptedUpstream([script]) as up:
            return await Bench(plain=up.url).serve(chat_body())

    (call,) = asyncio.run(main()).document["choices"][0]["message"]["tool_calls"]
    assert (call["id"], call["function"]) == ("a", {"name": "f", "arguments": "{}"})


NOBODYS = {
    "arguments before any call": (calls(piece(F)),),
    "another tool begins inside a call": (
        calls(piece('{"x":', index=0, call_id="a", name="f")),
        calls(piece("1}", index=0, name="g")),
    ),
    "arguments of a call that is never named": (
        calls(piece("", index=0, call_id="a", name="f")),
        calls(piece(G, index=1)),
    ),
    "no object": (calls("f"),),
}


@pytest.mark.parametrize("stream", NOBODYS)
def test_a_fragment_of_nobody_is_an_error_and_never_merged(stream):
    """R3, row 41: before a client can have run anything."""
    client, bench = serve((chunk({"content": "So"}), *NOBODYS[stream], FINISH, DONE))
    last = client.documents[-1]
    assert last["choices"][0]["finish_reason"] == "error"
    assert "tool call" in last["error"]["message"]
    assert not client.is_done
    assert bench.entry.state == "truncated"
    assert F + G not in client.bytes.decode().replace('\\"', '"')


def test_arguments_that_are_no_json_are_delivered():
    """R3: not dropped and not mended."""
    client, bench = serve((calls(piece('{"x":', index=0, call_id="a", name="f")), FINISH, DONE))
    (part,) = decoded_again(client)
    assert part.arguments == '{"x":'
    assert bench.entry.state == "success"
