"""Recorded chat traffic by the row that would have served it, and the way through that row.

An interaction goes to the row whose address it was recorded at. `passed` is what the engine does
with it without a socket: the request that would be sent, and the bytes that a client would get.
"""

from functools import cache
from urllib.parse import urlsplit

import msgspec

from arno.dialects import DIALECTS
from arno.engine.call import Call, Caller
from arno.engine.origins import MemoryOrigins
from arno.engine.plan import Plan
from arno.engine.translation import Translation
from arno.exchange.machine import DEFAULT_LIMITS, Exchange
from arno.ledger.settle import NO_PRICES
from arno.providers import Candidate, load_catalogue, quirks
from arno.providers.environment import filled
from arno.transport.base import HttpRequest
from arno.wire import json
from tests.laws.recordings import Recording, recorded

SHIPPED = load_catalogue()
AZURE = msgspec.structs.replace(SHIPPED.known["azure"], resource="fantasy-playground-resource")
CATALOGUE = SHIPPED.extended(endpoints=[filled(AZURE, {})])
CHAT = DIALECTS["chat"]
KEY = "the-key"
PIECE = 1000
"""Bytes of a body that come with one read."""


def host_of(url: str) -> str:
    """Host and port."""
    return urlsplit(url).netloc


HOSTS = {
    host_of(row.base_url): row.slug for row in CATALOGUE.known.values() if row.dialect == "chat"
}


@cache
def by_row() -> dict[str, list[Recording]]:
    """The interactions of each row that has some; those of no row under ""."""
    found: dict[str, list[Recording]] = {}
    for case in recorded():
        found.setdefault(HOSTS.get(host_of(case.url), ""), []).append(case)
    return found


class Passed(msgspec.Struct, frozen=True):
    """What became of one interaction."""

    request: HttpRequest
    exchange: Exchange
    body: bytes


def plan_for(slug: str, asked: str, body: bytes) -> tuple[Plan, Candidate]:
    """What is done with a chat request for that model at one endpoint."""
    [candidate, *_] = CATALOGUE.only([slug]).candidates_for(asked)
    call = Call(
        generation_id="gen-1",
        caller=Caller(key_id="k"),
        dialect="chat",
        envelope=CHAT.peek(body),
        body=body,
        created_ns=1_800_000_000_000_000_000,
    )
    return Plan(call, candidate, Translation(call, MemoryOrigins()), NO_PRICES), candidate


def passed(slug: str, case: Recording) -> Passed:
    """One interaction, asked for as a model of that endpoint."""
    model = case.request["model"]
    asked = model if CATALOGUE.known[slug].contract else f"{slug}/{model}"
    plan, candidate = plan_for(slug, asked, json.dumps({**case.request, "model": asked}))
    request = plan.request(KEY, None)
    sent = quirks.apply(candidate.endpoint.quirks, request.body)
    exchange = plan.exchange(DEFAULT_LIMITS, KEY)
    headers = tuple((k.lower(), v) for k, values in case.headers.items() for v in values)
    steps = [exchange.head(case.status, headers)]
    steps += [exchange.data(case.body[at : at + PIECE]) for at in range(0, len(case.body), PIECE)]
    steps.append(exchange.end())
    out = b"".join(step.output for step in steps)
    return Passed(msgspec.structs.replace(request, body=sent), exchange, out)
