"""Records the conversation that is shipped with the package (`arno/cassette/recordings`).

    python scripts/record_harbour.py [FILE]

Our agent talks to a scripted upstream on a loopback port over the live transport; our recorder
listens. The upstream has a real one's habits: a pause before the head, uneven gaps between tokens,
events that share a chunk, an event and even a character split over two. Costs are computed from the
catalogue's price rows, in integers. The file is checked against the script before it is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Final

import msgspec

from arno import Agent
from arno.canon.ext import Json
from arno.cassette.govcr import load
from arno.cassette.timing import chunks_of
from arno.cli.scenario import INSTRUCTIONS, MAX_TOKENS, MODEL, PROMPT, departures
from arno.ledger.money import TOKENS_PER_RATE, divide_half_even, format_usd, parse_rate
from arno.providers import load_catalogue
from arno.transport.live import LivePool
from arno.transport.record import RecordTransport
from arno.transport.recorder import Recorder
from arno.version import VERSION
from arno.wire import json

TARGET: Final = Path(__file__).parents[1] / "src/arno/cassette/recordings/harbour.yaml"
PUBLIC_URL: Final = "https://gateway.example"
HEAD_S: Final = 0.4
GAPS_MS: Final = (30, 70, 16, 95, 38, 50, 22, 63)


class Answer(msgspec.Struct, frozen=True):
    """One step as the upstream gives it. Tokens: input with `cached` among them, and output.

    `text` and `arguments` are pieces, one event each. `shared`: numbers of events that travel with
    the one before; `split`: the event whose first half is a chunk of its own, cut behind `after`.
    """

    id: str
    created: int
    provider: str
    tokens: tuple[int, int, int]
    text: tuple[str, ...]
    shared: tuple[int, ...]
    split: int
    after: bytes
    fingerprint: str | None = None
    call_id: str | None = None
    arguments: tuple[str, ...] = ()


ANSWERS: Final = (
    Answer(
        id="gen-1773273600-q7LmT2xVb9RkZc4WnY8s",
        created=1773273600,
        provider="Northpier",
        fingerprint="fp_4c1e88d0a2",
        tokens=(96, 64, 34),
        text=tuple("I'll| look| up| today|'s| departures| from| Port| Amber| for you|.".split("|")),
        call_id="departures:0",
        arguments=tuple('{|"|har|bour|"|:| "|Port| Am|ber|"|}'.split("|")),
        shared=(4, 15, 21),
        split=8,
        after=b'"delta":{"con',
    ),
    Answer(
        id="gen-1773273602-D5hJw3PfKv6XeGt1QaUz",
        created=1773273602,
        provider="Southpier",
        tokens=(158, 96, 41),
        text=tuple(
            "Two| boats| leave| Port| Amber| today|:|\n|- 08|:40| to| Île| d'|Avel|,| quay| 2|\n"
            "|- 11|:15| to| Sk|är|sund|,| quay| 5|\n|Bon| voyage| —| take| a| coat|!".split("|")
        ),
        shared=(8, 14, 15, 27),
        split=11,
        after='content":" Î'.encode()[:-1],
    ),
)


def events(answer: Answer) -> Iterator[bytes]:
    """The answer's events as they stand on the wire."""
    for piece in answer.text:
        yield event(answer, delta={"content": piece, "role": "assistant"})
    if answer.call_id is not None:
        opening = {"name": "departures", "arguments": ""}
        yield call_event(answer, {"id": answer.call_id, "type": "function", "function": opening})
        for piece in answer.arguments:
            yield call_event(answer, {"function": {"arguments": piece}})
    reason = "stop" if answer.call_id is None else "tool_calls"
    yield event(answer, delta={"content": "", "role": "assistant"}, reason=reason)
    yield line({**head(answer), "choices": [], "usage": usage(answer)})
    yield b"data: [DONE]\n\n"


def call_event(answer: Answer, call: dict[str, Json]) -> bytes:
    """An event that carries a piece of a tool call."""
    calls = [{"index": 0, **call}]
    return event(answer, delta={"content": None, "role": "assistant", "tool_calls": calls})


def event(answer: Answer, delta: dict[str, Json], reason: str | None = None) -> bytes:
    """An event with one choice."""
    choice = {
        "index": 0,
        "delta": delta,
        "finish_reason": reason,
        "native_finish_reason": reason,
    }
    return line({**head(answer), "choices": [choice]})


def head(answer: Answer) -> dict[str, Json]:
    """What every event of an answer begins with."""
    document: dict[str, Json] = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": MODEL,
        "provider": answer.provider,
    }
    if answer.fingerprint is not None:
        document["system_fingerprint"] = answer.fingerprint
    return document


def line(document: dict[str, Json]) -> bytes:
    """One event."""
    return b"data: %b\n\n" % json.dumps(document)


def usage(answer: Answer) -> dict[str, Json]:
    """Tokens and cost in the contract's layout; the cost is exact."""
    total_input, cached, output = answer.tokens
    [row] = [row for row in load_catalogue().prices if row.served_by == answer.provider]
    rates = [parse_rate(text or "") for text in (row.input, row.cache_read, row.output)]
    counts = (total_input - cached, cached, output)
    fresh, read, written = (count * rate for count, rate in zip(counts, rates, strict=True))
    return {
        "prompt_tokens": total_input,
        "completion_tokens": output,
        "total_tokens": total_input + output,
        "cost": usd(fresh + read + written),
        "is_byok": False,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": 0,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": usd(fresh + read + written),
            "upstream_inference_prompt_cost": usd(fresh + read),
            "upstream_inference_completions_cost": usd(written),
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "image_tokens": 0,
            "audio_tokens": 0,
        },
    }


def usd(tokens_times_rate: int) -> Decimal:
    """The amount in USD of tokens times nano-USD per million."""
    return Decimal(format_usd(divide_half_even(tokens_times_rate, TOKENS_PER_RATE)))


def chunks(answer: Answer) -> list[bytes]:
    """The answer's events as the upstream writes them."""
    written: list[bytes] = []
    for number, data in enumerate(events(answer)):
        if number in answer.shared:
            written[-1] += data
        elif number == answer.split:
            place = data.index(answer.after) + len(answer.after)
            written += [data[:place], data[place:]]
        else:
            written.append(data)
    return written


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection: each begins with its place in the conversation."""
    try:
        while True:
            request_head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(request_head.partition(b"content-length:")[2].split(b"\r\n")[0])
            document = json.loads(await reader.readexactly(length))
            assert isinstance(document, dict)
            await speak(writer, ANSWERS[document["messages"][-1]["role"] == "tool"])
    except asyncio.IncompleteReadError:
        writer.close()


async def speak(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """One answer at its pace."""
    await asyncio.sleep(HEAD_S)
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    for data, gap in zip(chunks(answer), cycle(GAPS_MS), strict=False):
        await asyncio.sleep(gap / 1000)
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def record(path: Path) -> None:
    """Hold the conversation and write it to `path`."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    recorder = Recorder(
        path,
        timing=True,
        rename_urls={url: PUBLIC_URL},
        extra={"x_recorder": {"name": "arno", "version": VERSION}},
    )
    transport = RecordTransport(LivePool(), recorder)
    agent = Agent(
        MODEL,
        tools=[departures],
        instructions=INSTRUCTIONS,
        base_url=f"{url}/api/v1",
        transport=transport,
        tool_choice="auto",
        max_output_tokens=MAX_TOKENS,
        extra={"usage": {"include": True}},
    )
    try:
        result = await agent.run(PROMPT)
    finally:
        await transport.aclose()
        server.close()
        await server.wait_closed()
    recorder.close()
    print(f"{result.text}\n{len(result.steps)} steps, {result.cost_usd} USD")


def check(path: Path) -> None:
    """Stop unless the file holds what the upstream wrote, chunk by chunk."""
    recorded = load(path.read_bytes()).interactions
    for interaction, answer in zip(recorded, ANSWERS, strict=True):
        got = [chunk.data for chunk in chunks_of(interaction)]
        if got != chunks(answer):
            sys.exit(f"{path}: chunks of request {interaction.id} ran together; record again")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=TARGET, help="where to write it")
    target = parser.parse_args().file
    asyncio.run(record(target))
    check(target)
