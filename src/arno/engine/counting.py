"""How many tokens a request would have, asked of those who would serve it.

Nothing is generated and nothing is charged, so nothing is entered into the ledger. Who cannot count
is passed over; if nobody can, the answer is None and the caller may estimate.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from arno.canon.failure import Failure, RequestError, Stage
from arno.dialects import CLIENTS, DIALECTS, is_native
from arno.engine.attempts import nobody, refusal
from arno.engine.call import Call
from arno.engine.origins import Origins
from arno.engine.plan import USER_AGENT, prepare
from arno.engine.translation import Translation
from arno.exchange.masking import mask_bytes, mask_failure
from arno.providers import Candidate, Catalogue
from arno.providers.auth import key_headers
from arno.providers.counting import ask_count, can_count, read_count
from arno.transport.base import HttpRequest, Transport, TransportError

PATIENCE_S = 10.0
"""How long one endpoint may take to count."""

MOST_ANSWER = 65_536
OWN_FAULT = frozenset({400, 413, 422})
"""What an endpoint of the client's own dialect says of the request itself is told to the client."""


class Serving(Protocol):
    """What of the engine is needed here."""

    catalogue: Catalogue
    origins: Origins

    def candidates(self, call: Call) -> tuple[Candidate, ...]:
        """Who may serve a call, in order."""
        ...

    def way_to(self, candidate: Candidate) -> tuple[Transport, str | None, str | None]:
        """The transport to a candidate, the key for a header, the secret."""
        ...


async def count(engine: Serving, call: Call) -> int | Failure | None:
    """Tokens of the request; None if nobody can tell, a Failure for a request that is wrong."""
    candidates = engine.candidates(call)
    if not candidates:
        return nobody(call, engine.catalogue)
    translation = Translation(call, engine.origins)
    try:
        await translation.recall()
    except RequestError as error:
        return refusal(error)
    for candidate in candidates:
        if not can_count(candidate.endpoint):
            continue
        try:
            counted = await _count_at(engine, call, candidate, translation)
        except RequestError as error:
            return refusal(error)
        except (TransportError, TimeoutError):
            continue
        if counted is not None:
            return counted
    return None


async def _count_at(
    engine: Serving, call: Call, candidate: Candidate, translation: Translation
) -> int | Failure | None:
    endpoint, client = candidate.endpoint, CLIENTS[call.dialect]
    native = is_native(call.dialect, endpoint.dialect)
    body, _ = prepare(call, candidate, translation)
    asked = ask_count(
        endpoint,
        body,
        model=candidate.upstream_model,
        headers=DIALECTS[endpoint.dialect].headers,
        forward=call.forward if native else (),
    )
    transport, key, secret = engine.way_to(candidate)
    headers = (*asked.headers, USER_AGENT, *key_headers(endpoint.auth, key))
    request = HttpRequest("POST", asked.url, headers, asked.body, connect_timeout=PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        status, answer_headers, answer = await _send(transport, request)
    if secret is not None:
        answer = mask_bytes(answer, secret)
    if native and status in OWN_FAULT:
        failure = client.decode_failure(status, answer_headers, answer, Stage.BEFORE_OUTPUT)
        return failure if secret is None else mask_failure(failure, secret)
    return read_count(answer) if status == 200 else None


async def _send(
    transport: Transport, request: HttpRequest
) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    response = await transport.send(request)
    pieces: list[bytes] = []
    size = 0
    try:
        while (chunk := await response.read()) and size <= MOST_ANSWER:
            pieces.append(chunk)
            size += len(chunk)
    finally:
        response.abort()
    return response.status, response.headers, b"".join(pieces)
