"""What one attempt needs: the request for the upstream, and the exchange that reads its answer.

native       the upstream speaks the client's dialect: the body goes on with a few edits, the
             answer's frames as they came (a gateway of our contract) or restamped
translated   it speaks another one: request and answer go through the canonical form
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from arno.canon.ext import Loss
from arno.canon.failure import RequestError
from arno.dialects import CLIENTS, DIALECTS, is_native
from arno.dialects.base import Headers, Stamp
from arno.dialects.disclosure import header_text
from arno.dialects.dispositions import client_field
from arno.engine.call import Call
from arno.engine.prices import Charger, Teller
from arno.engine.translation import TABLES, Translation
from arno.exchange.machine import Exchange, Limits
from arno.exchange.writers import Encode, Restamp, Verbatim, Writer
from arno.ledger.price import PriceTable
from arno.providers import Candidate, quirks, roads
from arno.providers.auth import key_headers
from arno.transport.base import HttpRequest
from arno.version import VERSION

USER_AGENT = ("user-agent", f"arno/{VERSION}")
LOSS_HEADER = "x-arno-loss"
UNSERVED = frozenset({"transforms", "plugins", "preset", "route", "debug"})
"""Members of the contract that only a gateway behind this one could act on."""
NOT_HERE = "this gateway does not do it, and the upstream is none that could"
FORWARD = "the header means something to the dialect of the request only"


def stamp_for(call: Call, candidate: Candidate | None, losses: tuple[Loss, ...] = ()) -> Stamp:
    """What the gateway writes into documents of this call."""
    return Stamp(
        id=call.generation_id,
        model=call.envelope.model,
        provider=None if candidate is None else candidate.endpoint.name,
        created=call.created_ns // 1_000_000_000,
        losses=losses,
    )


def prepare(
    call: Call, candidate: Candidate, translation: Translation
) -> tuple[bytes, tuple[Loss, ...]]:
    """The body for a candidate, and what it does not say of the client's. Raises RequestError."""
    endpoint, envelope = candidate.endpoint, call.envelope
    native = is_native(call.dialect, endpoint.dialect)
    losses: tuple[Loss, ...] = ()
    if not native or translation.has_foreign_artefacts(candidate):
        body, losses = translation.body_for(candidate)
    else:
        upstream_model = candidate.upstream_model
        body = CLIENTS[call.dialect].edit_request(
            call.body,
            model=None if upstream_model == envelope.model else upstream_model,
            contract=endpoint.contract,
            ask_usage=envelope.stream and endpoint.stream_usage,
            members=envelope.members,
        )
    if endpoint.quirks:
        body, taken = quirks.apply_and_tell(endpoint.quirks, body)
        losses += _in_clients_words(call, taken)
    if not native:
        losses += tuple(Loss(name, "dropped", FORWARD) for name, _ in call.forward)
    if not endpoint.contract:
        losses += _unserved(call)
    return body, losses


def _unserved(call: Call) -> tuple[Loss, ...]:
    """Wishes of the gateway's contract that this gateway does not know how to fulfil."""
    members = call.envelope.members
    if members is None or UNSERVED.isdisjoint(members):
        return ()
    asked = [name for name in members if name in UNSERVED and _asks(members[name])]
    return tuple(Loss(name, "dropped", NOT_HERE) for name in asked)


def _in_clients_words(call: Call, losses: tuple[Loss, ...]) -> tuple[Loss, ...]:
    """Losses with the names that the client knows of what was lost."""
    client = TABLES.get(call.dialect, call.dialect)
    return tuple(
        msgspec.structs.replace(loss, path=client_field(client, loss.path)) for loss in losses
    )


class Plan:
    """One call at one candidate. Raises RequestError where the request must not go there."""

    def __init__(
        self, call: Call, candidate: Candidate, translation: Translation, prices: PriceTable
    ) -> None:
        self._call = call
        self._candidate = candidate
        self._client = CLIENTS[call.dialect]
        self._native = is_native(call.dialect, candidate.endpoint.dialect)
        self._dialect = self._client if self._native else DIALECTS[candidate.endpoint.dialect]
        body, self._lost = prepare(call, candidate, translation)
        self._carried = roads.carry(
            candidate.endpoint,
            self._dialect,
            body,
            model=candidate.upstream_model,
            stream=call.envelope.stream,
            forward=call.forward if self._native else (),
        )
        if call.strict:
            _refuse_losses(self._lost)
        self.charger = Charger(candidate, call.created_ns, prices)
        self._price = Teller(self.charger)
        self._stamp = stamp_for(call, candidate, self._lost)
        self._encode: Encode | None = None

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What was lost both ways so far."""
        return self._lost if self._encode is None else (*self._lost, *self._encode.losses)

    def exchange(self, limits: Limits, key: str | None) -> Exchange:
        """The machine that reads the answer and writes the client's bytes; key: as in `request`."""
        writer: Writer
        passing = None
        if self._native:
            writer = passing = self._passing()
        else:
            writer = self._encoded(streamed=self._call.envelope.stream)
        return Exchange(
            self._dialect,
            writer,
            streamed=self._call.envelope.stream,
            spare=self._spare,
            framing=self._carried.framing,
            finish_optional=self._candidate.endpoint.finish_optional,
            limits=limits,
            secret=key,
            passing=passing,
        )

    def request(self, key: str | None, connect_timeout: float | None) -> HttpRequest:
        """The upstream's request; key: the endpoint's secret, None if it needs none or if a signer
        shows it.

        connect_timeout: seconds, None for the transport's own.
        """
        sent = self._carried
        headers = (*sent.headers, USER_AGENT, *key_headers(self._candidate.endpoint.auth, key))
        return HttpRequest("POST", sent.url, headers, sent.body, connect_timeout=connect_timeout)

    def headers(self, exchange: Exchange) -> Headers:
        """What the client's response head tells of the upstream, and of what was lost."""
        served = ("x-provider-name", exchange.seen.served_by or self._candidate.endpoint.name)
        losses = self.losses
        return (served, (LOSS_HEADER, header_text(losses))) if losses else (served,)

    def _passing(self) -> Verbatim | Restamp:
        if self._candidate.endpoint.contract:
            return Verbatim(self._dialect, self._stamp)
        asked = self._call.envelope.include_usage
        return Restamp(self._dialect, self._stamp, self._price, include_usage=asked)

    def _spare(self) -> Writer:
        """For a whole answer to a client that asked for a stream."""
        return self._encode or self._encoded(streamed=True)

    def _encoded(self, *, streamed: bool) -> Encode:
        asked = self._call.envelope.include_usage
        self._encode = Encode(
            self._client, self._stamp, self._price, include_usage=asked, streamed=streamed
        )
        return self._encode


def _asks(member: Raw) -> bool:
    """False for a member that asks for nothing."""
    return bytes(member).strip() not in (b"null", b"[]", b"{}", b'""', b"false")


def _refuse_losses(losses: tuple[Loss, ...]) -> None:
    """Raise RequestError for the first member that would be dropped."""
    for loss in losses:
        if loss.action == "dropped":
            raise RequestError(f"{loss.why}, and the request asks for strictness", loss.path)
