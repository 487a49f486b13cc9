"""What the vendor's own SDK for Python reads of our answers, streams and errors, and sends back."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google import genai
from google.genai import errors

from arno.canon.events import PartDelta, PartStart, ResponseStart, Slot, StreamError
from arno.canon.failure import Failure, FailureKind
from arno.canon.parts import (
    MediaKind,
    MediaPart,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.gemini.building import LINE
from tests.laws.gemini import GEMINI
from tests.laws.harness import bare, no_price

CITED = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 5},
}
PARTS = (
    ReasoningPart(text="hm ", signature="sig+/", format="anthropic-claude-v1"),
    ReasoningPart(text="so", form=ReasoningForm.SUMMARY, id="rs", format="openai-responses-v1"),
    ReasoningPart(form=ReasoningForm.SEALED, sealed="gAAA", format="openai-responses-v1"),
    TextPart(text="Héllo wörld", annotations=(CITED,)),
    ToolCallPart(call_id="call_1", name="weather", arguments='{"at": "Florence"}'),
    MediaPart(kind=MediaKind.IMAGE, media_type="image/png", data="aGVsbG8="),
)
ANSWER = Response(
    id="a1",
    model="m",
    created=1_700_000_000,
    choices=(Choice(parts=PARTS, reason=FinishReason.TOOL_CALLS),),
    usage=Usage(input=10, output=20, reasoning=5, cache_write_5m=1, cost="0.0012"),
)
LIMITED = Failure(FailureKind.RATE_LIMIT, "slow down", retry_after=7.0)


def stream() -> bytes:
    """A stream with signs of life before it and in it."""
    encoder = GEMINI.stream_encoder(Stamp(), no_price, include_usage=True)
    pieces = [encoder.feed([event]) for event in unfold(ANSWER)]
    return GEMINI.heartbeat() + pieces[0] + GEMINI.heartbeat() + b"".join(pieces[1:])


def cut() -> bytes:
    """A stream that fails after one piece."""
    encoder = GEMINI.stream_encoder(Stamp(), no_price, include_usage=True)
    piece = PartDelta(0, Slot.TEXT, "abc")
    return encoder.feed([ResponseStart(), PartStart(0, TextPart()), piece, StreamError(LIMITED)])


class Upstream(BaseHTTPRequestHandler):
    """Answers by the model that is asked for; keeps the last request."""

    last = b""

    def do_POST(self) -> None:
        type(self).last = self.rfile.read(int(self.headers["content-length"]))
        status, kind, body = 200, "text/event-stream", b""
        if "/limited:" in self.path:
            status, document = GEMINI.encode_failure(LIMITED)
            kind, body = "application/json", json.dumps(document)
        elif ":streamGenerateContent" in self.path:
            assert self.path.endswith("alt=sse")
            body = cut() if "/cut:" in self.path else stream()
        else:
            kind, body = "application/json", json.dumps(GEMINI.encode_response(ANSWER)[0])
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def client() -> Iterator[genai.Client]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    base_url = f"http://127.0.0.1:{server.server_address[1]}"
    sdk = genai.Client(api_key="k", http_options={"base_url": base_url})
    yield sdk
    sdk.close()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_whole_answer(client):
    answer = client.models.generate_content(model="m", contents="hi")
    (candidate,) = answer.candidates
    thoughts = [part.text for part in candidate.content.parts if part.thought]
    assert thoughts == ["hm ", "so", ""]
    text, call, picture = candidate.content.parts[3:]
    assert text.text == "Héllo wörld"
    assert (call.function_call.id, call.function_call.args) == ("call_1", {"at": "Florence"})
    assert picture.inline_data.data == b"hello"
    assert candidate.finish_reason.value == "STOP"
    assert candidate.grounding_metadata.grounding_chunks[0].web.uri == "https://a.test"
    counts = answer.usage_metadata
    assert (counts.prompt_token_count, counts.candidates_token_count) == (10, 15)
    assert (counts.thoughts_token_count, counts.total_token_count) == (5, 30)


def test_a_stream(client):
    chunks = list(client.models.generate_content_stream(model="m", contents="hi"))
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text or "" for part in parts if not part.thought) == "Héllo wörld"
    assert "".join(part.text or "" for part in parts if part.thought) == "hm so"
    assert [part.function_call.args for part in parts if part.function_call] == [{"at": "Florence"}]
    assert [chunk.candidates[0].finish_reason for chunk in chunks[:-1]] == [None] * (
        len(chunks) - 1
    )
    assert chunks[-1].candidates[0].finish_reason.value == "STOP"
    assert chunks[-1].usage_metadata.total_token_count == 30


def test_failures_raise(client):
    with pytest.raises(errors.ClientError) as whole:
        client.models.generate_content(model="limited", contents="hi")
    assert (whole.value.code, whole.value.status) == (429, "RESOURCE_EXHAUSTED")
    pieces: list[str | None] = []
    chunks = client.models.generate_content_stream(model="cut", contents="hi")
    with pytest.raises(errors.ClientError) as streamed:
        pieces.extend(chunk.text for chunk in chunks)
    assert pieces == ["abc"]
    assert (streamed.value.code, streamed.value.message) == (429, "slow down")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_conversation_sends_everything_back(client, streamed):
    """Artefacts of other wires included, whole, whatever way the answer was read (R18)."""
    chat = client.chats.create(model="m")
    if streamed:
        for _ in chat.send_message_stream("hi"):
            pass
    else:
        chat.send_message("hi")
    chat.send_message("more")
    request = GEMINI.decode_request(Upstream.last, LINE)
    assert [message.role.value for message in request.messages] == ["user", "assistant", "user"]
    said = [bare(part) for part in request.messages[1].parts]
    expected = [bare(part) for part in PARTS]
    expected[3]["annotations"] = []
    assert said == expected
