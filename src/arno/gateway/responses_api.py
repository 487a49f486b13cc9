"""`POST /responses`, and what a gateway that keeps answers adds to it (R22).

Without a store every request brings its whole conversation, and one that names an earlier answer
is refused by name. With one, a request that does not say `store: false` has its conversation and
answer kept before its end is sent, for every process that shares the store;
`previous_response_id` then puts the kept conversation in front of the input, whatever upstream
serves it. The upstream itself is always asked to keep nothing, so reasoning is asked for in its
sealed form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ext import Json
from arno.canon.failure import RequestError
from arno.dialects.base import Headers
from arno.gateway import inference
from arno.gateway.asgi import AsgiDownstream, Inbound, RawHeaders, Reply, Send
from arno.gateway.core import Gateway
from arno.gateway.errors import Refusal
from arno.gateway.log import Facts
from arno.ledger.ports import KeptAnswer, StoreUnavailable
from arno.wire import SSEDecoder, json
from arno.wire.errors import MalformedJSON

SEALED = "reasoning.encrypted_content"
ENDS = (b"response.completed", b"response.incomplete")
"""The events that hold a whole answer."""

MAX_ID = 256
_MEMBERS: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Raw])
_NO_STORE = "this gateway keeps no answers: send the whole conversation as input"


async def create(gateway: Gateway, request: Inbound) -> Facts:
    """Answer one request. Raises Refusal and ClientGone before anything was sent."""
    return await inference.complete(gateway, request, edit=_prepare)


async def retrieve(gateway: Gateway, request: Inbound) -> Reply:
    """A kept answer as it was given."""
    kept = await _find(gateway, request, request.params[0])
    if kept is None:
        raise Refusal(404, "No such response is kept", "response_not_found")
    return Reply(200, json.loads(kept.document))


async def delete(gateway: Gateway, request: Inbound) -> Reply:
    """Forget a kept answer."""
    answer_id, answers = request.params[0], gateway.answers
    try:
        gone = answers is not None and await asyncio.to_thread(
            answers.drop, answer_id[:MAX_ID], request.key_id or ""
        )
    except StoreUnavailable as error:
        raise _unavailable() from error
    if not gone:
        raise Refusal(404, "No such response is kept", "response_not_found")
    return Reply(200, {"id": answer_id, "object": "response", "deleted": True})


async def _find(gateway: Gateway, request: Inbound, answer_id: str) -> KeptAnswer | None:
    if gateway.answers is None or len(answer_id) > MAX_ID:
        return None
    try:
        return await asyncio.to_thread(gateway.answers.find, answer_id, request.key_id or "")
    except StoreUnavailable as error:
        raise _unavailable() from error


def _unavailable() -> Refusal:
    text = "Kept answers cannot be read now"
    return Refusal(503, text, "store_unavailable", (("retry-after", "5"),))


async def _prepare(gateway: Gateway, request: Inbound, body: bytes) -> tuple[bytes, inference.Wrap]:
    """The body with its whole conversation, and who keeps the answer. Raises RequestError."""
    try:
        members = _MEMBERS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body, AsgiDownstream  # for the dialect to complain of
    previous, store = (_value(members, name) for name in ("previous_response_id", "store"))
    if gateway.answers is None:
        _check_stateless(previous, store)
        return body, AsgiDownstream
    items: list[Json] = []
    if previous is not None:
        items += await _conversation(gateway, request, previous)
    if previous is None and store is False:
        return body, AsgiDownstream
    items += _items(_value(members, "input"))
    members.pop("previous_response_id", None)
    members["input"] = items
    members["store"] = False
    members["include"] = _with_sealed(_value(members, "include"))
    wrap = AsgiDownstream if store is False else partial(KeepingDownstream, gateway, request, items)
    whole = json.dumps(members)
    if len(whole) > gateway.settings.max_body:
        text = f"the conversation up to here is larger than {gateway.settings.max_body} bytes"
        raise RequestError(text, "previous_response_id")
    return whole, wrap


def _check_stateless(previous: Json, store: Json) -> None:
    """Raise RequestError for what only a gateway that keeps answers can do."""
    if previous is not None:
        raise RequestError(_NO_STORE, "previous_response_id")
    if store is True:
        raise RequestError(_NO_STORE, "store")


def _value(members: Mapping[str, Any], name: str) -> Json:
    try:
        return json.loads(bytes(members[name])) if name in members else None
    except MalformedJSON as error:
        raise RequestError(f"the member cannot be read: {error}", name) from error


async def _conversation(gateway: Gateway, request: Inbound, previous: Json) -> list[Json]:
    """The items up to and including an earlier answer. Raises RequestError."""
    if not isinstance(previous, str) or not previous:
        raise RequestError("must be the id of an earlier answer", "previous_response_id")
    kept = await _find(gateway, request, previous)
    if kept is None:
        raise RequestError("no answer with this id is kept", "previous_response_id")
    found: Json = json.loads(kept.items)
    return list(found)


def _items(given: Json) -> list[Json]:
    """Input as a list of items; what is neither is for the dialect to complain of."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _with_sealed(include: Json) -> Json:
    """`include` with sealed reasoning, without which kept reasoning could not be sent back."""
    if include is None:
        return [SEALED]
    if not isinstance(include, list) or SEALED in include:
        return include
    return [*include, SEALED]


class KeepingDownstream(AsgiDownstream):
    """The client's side of an answer that is kept before its end is sent."""

    def __init__(
        self,
        gateway: Gateway,
        request: Inbound,
        items: list[Json],
        send: Send,
        own: RawHeaders,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """items: the conversation so far."""
        super().__init__(send, own, on_end)
        self._gateway = gateway
        self._key_id = request.key_id or ""
        self._id = dict(own)[b"x-generation-id"].decode()
        self._items = items

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Keep a good answer, then send it."""
        if status == 200:
            await self._keep(json.loads(body))
        await super().whole(status, headers, body)

    async def body(self, data: bytes) -> None:
        """Keep the answer that an end holds, then send it."""
        if any(data.find(end) >= 0 for end in ENDS):
            for document in _documents(data):
                if str(document.get("type")).encode() in ENDS:
                    await self._keep(document.get("response"))
        await super().body(data)

    async def _keep(self, document: Json) -> None:
        """An answer that cannot be kept is given all the same: naming it later is refused."""
        answers = self._gateway.answers
        if answers is None or not isinstance(document, dict) or not document.get("id"):
            return
        wall_ns = self._gateway.clock.wall_ns()
        answer = KeptAnswer(
            id=self._id,
            key_id=self._key_id,
            told_id=str(document["id"]),
            created_at_ms=wall_ns // 1_000_000,
            items=json.dumps([*self._items, *document.get("output", ())]),
            document=json.dumps(document),
        )
        try:
            await asyncio.to_thread(answers.keep, answer)
        except StoreUnavailable as error:
            self._gateway.log.note(wall_ns=wall_ns, event="answer_not_kept", text=str(error))


def _documents(data: bytes) -> list[dict[str, Json]]:
    """The documents of whole frames."""
    framer = SSEDecoder(max(len(data), 1))
    frames = (*framer.feed(data), *framer.close())
    documents = [json.loads(frame.data) for frame in frames if frame.data not in (None, b"[DONE]")]
    return [document for document in documents if isinstance(document, dict)]
