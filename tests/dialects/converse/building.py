"""Converse documents and streams in few words, and the vendor's own parsers of them."""

import json as plain_json
from collections.abc import Sequence
from functools import cache
from typing import Any

from botocore.eventstream import EventStream
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import EventStreamJSONParser, RestJSONParser
from botocore.validate import ParamValidator

from arno.canon.events import Event
from arno.canon.ext import Loss
from arno.canon.parts import Part
from arno.canon.request import Message, Request, Role
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects.base import RequestLine, Stamp
from arno.wire import encode_message, json
from tests.laws.converse_harness import CONVERSE, frames_of
from tests.laws.harness import no_price

Document = dict[str, Any]

LINE = RequestLine(model="family.model-v1:0")


def message(name: str, document: Any) -> bytes:
    """One event of a stream, as the service sends it."""
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_message(headers, json.dumps(document))


def raised(name: str, document: Any) -> bytes:
    """An exception in a stream."""
    headers = {":exception-type": name, ":message-type": "exception"}
    return encode_message(headers, json.dumps(document))


def delta(number: int = 0, **members: Any) -> bytes:
    """A piece of a block."""
    return message("contentBlockDelta", {"contentBlockIndex": number, "delta": members, "p": "ab"})


def begin(number: int = 0, **members: Any) -> bytes:
    """The start of a block."""
    return message("contentBlockStart", {"contentBlockIndex": number, "start": members})


def end(number: int = 0) -> bytes:
    """The end of a block."""
    return message("contentBlockStop", {"contentBlockIndex": number})


START = message("messageStart", {"role": "assistant"})
USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
METADATA = message("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}})


def stop(word: str = "end_turn") -> bytes:
    """The message with the stop reason."""
    return message("messageStop", {"stopReason": word})


def documents_of(body: bytes) -> list[tuple[str, Any]]:
    """The messages of a stream: type and document."""
    return [(frame.event, json.loads(frame.data or b"null")) for frame in frames_of(body)]


def fed(events: Sequence[Event], stamp: Stamp | None = None) -> list[tuple[str, Any]]:
    """The messages that say `events`."""
    encoder = CONVERSE.stream_encoder(stamp or Stamp(), no_price, include_usage=True)
    return documents_of(encoder.feed(events))


def whole(*content: Any, word: str | None = "end_turn", **members: Any) -> bytes:
    """A whole answer."""
    reason = {} if word is None else {"stopReason": word}
    turn = {"role": "assistant", "content": list(content)}
    return json.dumps({"output": {"message": turn}, **reason, **members})


def answer(*parts: Part, reason: FinishReason = FinishReason.STOP) -> Response:
    """An answer of one choice that another dialect made."""
    return Response(choices=(Choice(parts=parts, reason=reason),))


def asked(*parts: Part, role: Role = Role.USER, **fields: Any) -> Request:
    """A request of one message that another dialect made."""
    return Request(model="m", messages=(Message(role, parts),), **fields)


def written(request: Request) -> tuple[Any, list[tuple[str, str]]]:
    """The document of a request, and where something is lost: (path, action)."""
    body, losses = CONVERSE.encode_request(request)
    return json.loads(body), told(losses)


def told(losses: Sequence[Loss]) -> list[tuple[str, str]]:
    """Losses in few words."""
    return [(loss.path, loss.action) for loss in losses]


def content_of(request: Request) -> list[Any]:
    """The blocks of the only turn of a request."""
    document, _ = written(request)
    (turn,) = document["messages"]
    content: list[Any] = turn["content"]
    return content


@cache
def operation(name: str = "Converse") -> OperationModel:
    """The vendor's description of an operation."""
    model = Loader().load_service_model("bedrock-runtime", "service-2")
    return ServiceModel(model, "bedrock-runtime").operation_model(name)


def complaints(document: Any) -> str:
    """What the vendor's SDK finds wrong with a request, "" if it would send it."""
    params = {**plain_json.loads(json.dumps(document)), "modelId": "m"}
    report = ParamValidator().validate(params, operation().input_shape)
    return str(report.generate_report())


def sdk_answer(document: Any, status: int = 200) -> Any:
    """A whole answer or a failure as the vendor's SDK reads it."""
    response = {"body": json.dumps(document), "headers": {}, "status_code": status}
    return RestJSONParser().parse(response, operation().output_shape)


class _Body:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> list[bytes]:
        return [self.body]


def sdk_events(body: bytes) -> list[Any]:
    """A stream as the vendor's SDK reads it; raises its own error for an exception."""
    shape = operation("ConverseStream").get_event_stream_output()
    return list(EventStream(_Body(body), shape, EventStreamJSONParser(), "ConverseStream"))
