"""Legacy completions (`POST /completions`): a prompt instead of messages, text in the answer.

Only clients speak it: the prompt is wrapped as one user message, whatever the upstream speaks, and
the answer's text is unwrapped. What a wrapped prompt cannot say (`echo`, `suffix`, token ids,
`best_of`) is refused. Source: openrouter-api 1.1 (`/completions`), the vendor's legacy reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from arno.canon.events import Event
from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import Failure, RequestError
from arno.canon.request import Request
from arno.canon.response import Response
from arno.dialects.base import BODY_ONLY, Envelope, Pricer, RequestLine, Stamp, StreamEncoder
from arno.dialects.bodies import OPERATORS, check_doubles
from arno.dialects.chat import ChatDialect
from arno.dialects.chat.chunks import DONE
from arno.wire import SSEDecoder, encode_sse, json
from arno.wire.errors import MalformedJSON

NAME = "completions"

REFUSED: dict[str, tuple[Json, ...]] = {
    "echo": (False,),
    "suffix": ("",),
    "best_of": (1,),
}
"""Members that a chat cannot say, and the values that ask for nothing."""

KEPT = frozenset(
    """
    model stream stream_options max_tokens temperature top_p top_k min_p n stop seed
    frequency_penalty presence_penalty repetition_penalty logit_bias user metadata provider models
    route transforms plugins preset session_id trace debug usage reasoning service_tier
    """.split()
)
"""Members that mean the same in a chat request."""

PASSED = KEPT | OPERATORS
"""Members that are judged as those of a chat request are."""

UNWRAPPED = ("reasoning", "reasoning_details")
"""Members of a message that a choice of this shape has too."""


def wrap(body: bytes) -> tuple[bytes, dict[str, Json]]:
    """The chat request that says the same, and the members that it cannot say.

    Raises RequestError naming the member.
    """
    try:
        document = json.loads(body)
    except MalformedJSON as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError("the body must be a JSON object")
    check_doubles(body)
    for name, neutral in REFUSED.items():
        value = document.get(name)
        if value is not None and value not in neutral:
            raise RequestError("a prompt that is wrapped as a message cannot say this", name)
    members: dict[str, Json] = {k: v for k, v in document.items() if k in PASSED}
    members["messages"] = [{"role": "user", "content": _prompt(document.get("prompt"))}]
    rest = {
        name: value
        for name, value in document.items()
        if name not in PASSED and name not in REFUSED and name != "prompt" and not is_empty(value)
    }
    return json.dumps(members), rest


def _prompt(prompt: Json) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str) and prompt:
        return prompt
    raise RequestError("prompt must be one text (no token ids, no list of several)", "prompt")


class CompletionsDialect(ChatDialect):
    """Completions for clients; failures and heartbeats are those of chat."""

    name = NAME

    def peek(self, body: bytes, line: RequestLine = BODY_ONLY) -> Envelope:
        """The envelope of a client's request."""
        return super().peek(wrap(body)[0])

    def decode_request(self, body: bytes, line: RequestLine = BODY_ONLY) -> Request:
        """A client's request as the chat that it is wrapped in."""
        wrapped, rest = wrap(body)
        request = super().decode_request(wrapped)
        return msgspec.structs.replace(request, ext={**request.ext, NAME: rest})

    def encode_response(self, response: Response) -> tuple[Json, tuple[Loss, ...]]:
        """The whole answer as a document, and what was lost."""
        document, losses = super().encode_response(response)
        return _unwrapped(document), losses

    def stream_encoder(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> StreamEncoder:
        """An encoder for one client stream."""
        return _Unwrapping(super().stream_encoder(stamp, pricer, include_usage=include_usage))

    def stream_failure(self, failure: Failure, stamp: Stamp) -> bytes:
        """The error chunk that ends a stream."""
        return _unwrap_frames(super().stream_failure(failure, stamp))


class _Unwrapping:
    """Chunks of a chat as chunks of a text; one pass more over each, for a legacy shape."""

    def __init__(self, chat: StreamEncoder) -> None:
        self._chat = chat

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be carried so far."""
        return self._chat.losses

    @property
    def failure(self) -> Failure | None:
        """The failure that it ended with."""
        return self._chat.failure

    def feed(self, events: Sequence[Event]) -> bytes:
        """The frames that say `events`."""
        return _unwrap_frames(self._chat.feed(events))


def _unwrap_frames(frames: bytes) -> bytes:
    framer = SSEDecoder()
    pieces: list[bytes] = []
    for frame in (*framer.feed(frames), *framer.close()):
        if frame.data is None or frame.raw == DONE:
            pieces.append(frame.raw)
            continue
        document: Any = json.loads(frame.data)
        pieces.append(encode_sse(json.dumps(_unwrapped(document))))
    return b"".join(pieces)


def _unwrapped(document: Mapping[str, Json]) -> dict[str, Json]:
    """A chat answer or chunk in the shape of a completion."""
    choices = [_choice(choice) for choice in document.get("choices", ())]
    return {**document, "object": "text_completion", "choices": choices}


def _choice(choice: Mapping[str, Json]) -> dict[str, Json]:
    message = choice.get("message") or choice.get("delta") or {}
    kept = {k: v for k, v in choice.items() if k not in ("message", "delta")}
    told = {name: message[name] for name in UNWRAPPED if message.get(name)}
    return {"text": message.get("content") or "", "logprobs": None, **kept, **told}
