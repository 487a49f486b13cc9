"""What one attempt needs: the request for the upstream, and the exchange that reads its answer."""

from __future__ import annotations

from arno.canon.usage import Usage
from arno.dialects.base import Dialect, Headers, Stamp
from arno.engine.call import Call
from arno.engine.prices import Charger
from arno.exchange.machine import Exchange, Limits
from arno.exchange.writers import Encode, Passing, Restamp, Verbatim, Writer
from arno.ledger.money import format_usd
from arno.ledger.price import PriceTable
from arno.providers import Candidate, quirks
from arno.transport.base import HttpRequest
from arno.version import VERSION

USER_AGENT = ("user-agent", f"arno/{VERSION}")


def stamp_for(call: Call, candidate: Candidate | None) -> Stamp:
    """What the gateway writes into documents of this call."""
    return Stamp(
        id=call.generation_id,
        model=call.envelope.model,
        provider=None if candidate is None else candidate.endpoint.name,
        created=call.created_ns // 1_000_000_000,
    )


class Plan:
    """One call at one candidate."""

    def __init__(
        self, call: Call, candidate: Candidate, dialect: Dialect, prices: PriceTable
    ) -> None:
        self._call = call
        self._candidate = candidate
        self._dialect = dialect
        self.charger = Charger(candidate, call.created_ns, prices)
        self._stamp = stamp_for(call, candidate)

    def exchange(self, limits: Limits, key: str | None) -> Exchange:
        """The machine that reads the answer and writes the client's bytes; key: as in `request`."""
        writer = self._writer()
        return Exchange(
            self._dialect,
            writer,
            streamed=self._call.envelope.stream,
            spare=self._encode,
            finish_optional=self._candidate.endpoint.finish_optional,
            limits=limits,
            secret=key,
            passing=writer,
        )

    def request(self, key: str | None, connect_timeout: float | None) -> HttpRequest:
        """The upstream's request; key: the endpoint's secret, None if it needs none.

        connect_timeout: seconds, None for the transport's own.
        """
        endpoint, envelope = self._candidate.endpoint, self._call.envelope
        upstream_model = self._candidate.upstream_model
        body = self._dialect.edit_request(
            self._call.body,
            model=None if upstream_model == envelope.model else upstream_model,
            contract=endpoint.contract,
            ask_usage=envelope.stream and endpoint.stream_usage,
            members=envelope.members,
        )
        if endpoint.quirks:
            body = quirks.apply(endpoint.quirks, body)
        accept = "text/event-stream" if envelope.stream else "application/json"
        headers = [("content-type", "application/json"), ("accept", accept), USER_AGENT]
        if key is not None:
            headers.append(("authorization", f"Bearer {key}"))
        url = endpoint.base_url + self._dialect.path(upstream_model, stream=envelope.stream)
        fields = (*headers, *self._call.forward)
        return HttpRequest("POST", url, fields, body, connect_timeout=connect_timeout)

    def headers(self, exchange: Exchange) -> Headers:
        """What the client's response head tells of the upstream."""
        return (("x-provider-name", exchange.seen.served_by or self._candidate.endpoint.name),)

    def price(self, usage: Usage, served_by: str | None) -> str | None:
        """Cost of `usage` in USD as plain text, None if no row knows it (a `Pricer`)."""
        nano = self.charger(usage, served_by).nano
        return None if nano is None else format_usd(nano)

    def _writer(self) -> Passing:
        if self._candidate.endpoint.contract:
            return Verbatim(self._dialect, self._stamp)
        asked = self._call.envelope.include_usage
        return Restamp(self._dialect, self._stamp, self.price, include_usage=asked)

    def _encode(self) -> Writer:
        """For a whole answer to a client that asked for a stream."""
        asked = self._call.envelope.include_usage
        return Encode(self._dialect, self._stamp, self.price, include_usage=asked)
