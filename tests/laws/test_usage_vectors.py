"""R23 and R25: the classes of tokens, from each provider's words into each client's and back.

The vectors name counts and money. Whatever dialect a client speaks, whole or streamed, it reads the
same classes, and they cost the same; a count that the upstream did not give is not there.
"""

from typing import Any

import msgspec
import pytest

from arno.canon.fold import fold
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects import DIALECTS
from arno.dialects.base import Stamp
from arno.ledger.money import parse_rate, parse_usd
from arno.ledger.price import PriceRow, price
from arno.wire import encode_sse, json
from tests.laws.corpus import events_of
from tests.laws.harness import no_price

CLIENTS = ("chat", "responses", "messages", "gemini")
STAMP = Stamp(id="gen-1", model="m", provider="p", created=1)


class Vector(msgspec.Struct, frozen=True):
    """One answer's usage. wire: as the provider says it; rates: dollars per million tokens."""

    provider: str
    wire: dict[str, Any]
    counts: dict[str, int]
    rates: dict[str, str]
    dollars: str


VECTORS = {
    "fresh, written and generated": Vector(
        "messages",
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 12_304,
            "cache_read_input_tokens": 0,
            "output_tokens": 550,
        },
        {"input": 12_307, "output": 550, "cache_read": 0, "cache_write_5m": 12_304},
        {"input": "3", "cache_write_5m": "3.75", "output": "15"},
        "0.054399",
    ),
    "fresh, written and generated, of Converse": Vector(
        "converse",
        {
            "inputTokens": 3,
            "cacheWriteInputTokens": 12_304,
            "cacheReadInputTokens": 0,
            "outputTokens": 550,
            "totalTokens": 12_857,
        },
        {"input": 12_307, "output": 550, "cache_read": 0, "cache_write_5m": 12_304},
        {"input": "3", "cache_write_5m": "3.75", "output": "15"},
        "0.054399",
    ),
    "a cached prompt is not paid twice": Vector(
        "gemini",
        {
            "promptTokenCount": 262_960,
            "cachedContentTokenCount": 257_955,
            "candidatesTokenCount": 1_744,
            "totalTokenCount": 264_704,
        },
        {"input": 262_960, "output": 1_744, "cache_read": 257_955},
        {"input": "1.25", "cache_read": "0.625", "output": "10"},
        "0.184918125",
    ),
    "tool-use prompt and thoughts are parts": Vector(
        "gemini",
        {
            "promptTokenCount": 151,
            "toolUsePromptTokenCount": 18_329,
            "candidatesTokenCount": 1_089,
            "thoughtsTokenCount": 1_120,
            "totalTokenCount": 20_689,
        },
        {"input": 18_480, "output": 2_209, "tool_input": 18_329, "reasoning": 1_120},
        {"input": "1.25", "output": "10"},
        "0.04519",
    ),
    "fresh, read and written": Vector(
        "messages",
        {
            "input_tokens": 40,
            "cache_read_input_tokens": 1_000,
            "cache_creation_input_tokens": 100,
            "output_tokens": 1,
        },
        {"input": 1_140, "output": 1, "cache_read": 1_000, "cache_write_5m": 100},
        {"input": "3", "cache_read": "0.3", "cache_write_5m": "3.75", "output": "0"},
        "0.000795",
    ),
    "writes by lifetime": Vector(
        "messages",
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            "output_tokens": 2,
        },
        {"input": 31, "output": 2, "cache_write_5m": 10, "cache_write_1h": 20},
        {"input": "3", "cache_write_5m": "1", "cache_write_1h": "2", "output": "0"},
        "0.000053",
    ),
    "the seed's first step": Vector(
        "chat",
        {
            "prompt_tokens": 68,
            "completion_tokens": 31,
            "total_tokens": 99,
            "prompt_tokens_details": {"cached_tokens": 68},
        },
        {"input": 68, "output": 31, "cache_read": 68},
        {"cache_read": "0.15", "output": "8"},
        "0.0002582",
    ),
    "reasoning is a part of the output": Vector(
        "responses",
        {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 30},
            "total_tokens": 150,
        },
        {"input": 100, "output": 50, "cache_read": 40, "reasoning": 30},
        {"input": "1", "cache_read": "0.1", "output": "10"},
        "0.000564",
    ),
    "totals alone": Vector(
        "chat",
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
        {"input": 10, "output": 2},
        {"input": "1", "output": "10"},
        "0.00003",
    ),
}


def answer_of(provider: str, usage: Any) -> dict[str, Any]:
    """A whole answer of a provider's dialect."""
    text = {"type": "text", "text": "Hi"}
    said = {"type": "output_text", "text": "Hi", "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": [said]}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}}
    candidate = {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}
    spoken = {"role": "assistant", "content": [{"text": "Hi"}]}
    documents: dict[str, dict[str, Any]] = {
        "chat": {
            "id": "c",
            "model": "m",
            "choices": [{**choice, "finish_reason": "stop"}],
            "usage": usage,
        },
        "messages": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [text],
            "stop_reason": "end_turn",
            "usage": usage,
        },
        "responses": {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "model": "m",
            "output": [item],
            "usage": usage,
        },
        "gemini": {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"},
        "converse": {"output": {"message": spoken}, "stopReason": "end_turn", "usage": usage},
    }
    return documents[provider]


def decoded(dialect: str, document: Any) -> Response:
    """A whole answer, which is one."""
    answer = DIALECTS[dialect].decode_response(json.dumps(document))
    assert isinstance(answer, Response)
    return answer


def priced(usage: Usage | None, rates: dict[str, str]) -> int | None:
    """What a usage costs, in nano-dollars."""
    assert usage is not None
    members: dict[str, Any] = {name: parse_rate(rate) for name, rate in rates.items()}
    row = PriceRow(endpoint="e", model="m", valid_from="2026-01-01", source="a test", **members)
    return price(usage, row).nano


def classes(usage: Usage | None) -> Any:
    """The counts alone; what is not known is not there."""
    assert usage is not None
    counts = {name: getattr(usage, name) for name in Usage.__struct_fields__ if name != "raw"}
    return {name: count for name, count in counts.items() if count is not None}


def streamed(client: str, answer: Response) -> Usage | None:
    """What a client reads of the answer as a stream."""
    encoder = DIALECTS[client].stream_encoder(STAMP, no_price, include_usage=True)
    body = b"".join(encoder.feed([event]) for event in unfold(answer))
    return fold(events_of(body, DIALECTS[client])).response.usage


def told(client: str, answer: Response) -> Response:
    """What a client reads of the whole answer."""
    return decoded(client, DIALECTS[client].encode_response(answer)[0])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", VECTORS)
def test_r25_every_client_reads_the_same_classes(name: str, client: str) -> None:
    vector = VECTORS[name]
    answer = decoded(vector.provider, answer_of(vector.provider, vector.wire))
    assert classes(answer.usage) == vector.counts
    nano = parse_usd(vector.dollars)
    for usage in (answer.usage, told(client, answer).usage, streamed(client, answer)):
        assert classes(usage) == vector.counts
        assert priced(usage, vector.rates) == nano


@pytest.mark.parametrize("name", VECTORS)
def test_r25_a_chain_of_dialects_keeps_the_classes(name: str) -> None:
    """Chat to messages to chat, and through all of them."""
    vector = VECTORS[name]
    answer = decoded(vector.provider, answer_of(vector.provider, vector.wire))
    for chain in (("chat", "messages", "chat"), (*CLIENTS, *reversed(CLIENTS))):
        passed = answer
        for dialect in chain:
            passed = told(dialect, passed)
        assert classes(passed.usage) == vector.counts


def test_r25_totals_on_the_chat_face() -> None:
    vector = VECTORS["fresh, read and written"]
    answer = decoded(vector.provider, answer_of(vector.provider, vector.wire))
    document: Any = DIALECTS["chat"].encode_response(answer)[0]
    usage = document["usage"]
    assert (usage["prompt_tokens"], usage["total_tokens"]) == (1_140, 1_141)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 1_000


NEVER = ("cost", "cache_write_5m", "cache_write_1h", "tool_input", "reasoning", "audio_input")


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_upstream_did_not_count_is_not_told(client: str) -> None:
    vector = VECTORS["totals alone"]
    answer = decoded("chat", answer_of("chat", vector.wire))
    for usage in (told(client, answer).usage, streamed(client, answer)):
        assert usage is not None
        assert [name for name in NEVER if getattr(usage, name) is not None] == []
    without = decoded("chat", answer_of("chat", None))
    assert told(client, without).usage is None
    assert streamed(client, without) is None


def event(document: Any) -> bytes:
    """An event of the messages wire."""
    return encode_sse(json.dumps(document), document["type"])


def messages_stream(start: Any, end: Any) -> bytes:
    """A stream with usage in its start, in its end, in both or nowhere."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        **({} if start is None else {"usage": start}),
    }
    delta: dict[str, Any] = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    return b"".join(
        event(document)
        for document in (
            {"type": "message_start", "message": message},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "Hi"},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", **delta, **({} if end is None else {"usage": end})},
            {"type": "message_stop"},
        )
    )


FULL = VECTORS["fresh, read and written"]
PLACES: dict[str, tuple[Any, Any]] = {
    "in the start": (FULL.wire, None),
    "in the end": (None, FULL.wire),
    "in both": ({**FULL.wire, "output_tokens": 1}, FULL.wire),
    "the output in the end": ({**FULL.wire, "output_tokens": 3}, {"output_tokens": 1}),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("place", PLACES)
def test_r23_usage_is_found_wherever_a_stream_tells_it(place: str, client: str) -> None:
    events = events_of(messages_stream(*PLACES[place]), DIALECTS["messages"])
    encoder = DIALECTS[client].stream_encoder(STAMP, no_price, include_usage=True)
    body = b"".join(encoder.feed([each]) for each in events)
    usage = fold(events_of(body, DIALECTS[client])).response.usage
    assert classes(usage) == FULL.counts
    assert priced(usage, FULL.rates) == parse_usd(FULL.dollars)


CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
SAID = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}
STOP = {"index": 0, "delta": {}, "finish_reason": "stop"}
SEED = VECTORS["the seed's first step"]
LAST: dict[str, list[dict[str, Any]]] = {
    "beside the finish": [{**CHUNK, "choices": [STOP], "usage": SEED.wire}],
    "in a chunk of its own": [
        {**CHUNK, "choices": [STOP], "usage": None},
        {**CHUNK, "choices": [], "usage": SEED.wire},
    ],
    "twice": [
        {**CHUNK, "choices": [STOP], "usage": SEED.wire},
        {**CHUNK, "choices": [], "usage": SEED.wire},
    ],
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("place", LAST)
def test_r23_usage_of_chat_streams(place: str, client: str) -> None:
    chunks = [{**CHUNK, "choices": [SAID]}, *LAST[place]]
    body = b"".join(encode_sse(json.dumps(each)) for each in chunks) + b"data: [DONE]\n\n"
    events = events_of(body, DIALECTS["chat"])
    encoder = DIALECTS[client].stream_encoder(STAMP, no_price, include_usage=True)
    told_body = b"".join(encoder.feed([each]) for each in events)
    assert classes(fold(events_of(told_body, DIALECTS[client])).response.usage) == SEED.counts


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("name", VECTORS)
def test_r23_a_chat_client_gets_the_usage_chunk_only_if_it_asked(name: str, asked: bool) -> None:
    vector = VECTORS[name]
    answer = decoded(vector.provider, answer_of(vector.provider, vector.wire))
    encoder = DIALECTS["chat"].stream_encoder(STAMP, no_price, include_usage=asked)
    body = b"".join(encoder.feed([each]) for each in unfold(answer))
    datas = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
    documents: list[Any] = [json.loads(data) for data in datas]
    alone = [each for each in documents if not each["choices"]]
    assert len(alone) == asked
    assert len([each for each in documents if each.get("usage")]) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_a_class_that_is_lost_is_noticed(client: str) -> None:
    """A mutant answer without its cache counts costs something else."""
    vector = FULL
    answer = decoded(vector.provider, answer_of(vector.provider, vector.wire))
    assert answer.usage is not None
    usage = msgspec.structs.replace(answer.usage, cache_read=None, cache_write_5m=None, raw={})
    read = told(client, msgspec.structs.replace(answer, usage=usage)).usage
    assert classes(read) != vector.counts
    assert priced(read, vector.rates) != parse_usd(vector.dollars)
