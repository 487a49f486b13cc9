"""The ASGI application: guard, route, key, handler, one log line.

`create_app` puts the parts together; nothing here opens a socket or a database, and no framework
stands between the server and the hot path.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from arno.dialects import CLIENTS
from arno.engine.prices import price_table
from arno.exchange.masking import MARK
from arno.gateway import guard
from arno.gateway.asgi import (
    Inbound,
    RawHeaders,
    Receive,
    Reply,
    Scope,
    Send,
    check_head,
    inbound,
    send_reply,
)
from arno.gateway.clock import Clock
from arno.gateway.core import Engine, Gateway
from arno.gateway.errors import ClientGone, Refusal
from arno.gateway.inflight import Inflight
from arno.gateway.keys import LOCAL, KeyRing
from arno.gateway.log import Facts, RequestLog
from arno.gateway.routes import POLICY, ROUTES, Access, Route, Table, dialect_at
from arno.gateway.service import Service, refuse
from arno.gateway.settings import GatewaySettings, check_exposure
from arno.ledger.ports import Answers, Sink
from arno.providers import Catalogue

CORS_FIELDS: RawHeaders = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"X-Generation-Id,X-Provider-Name,X-Failed-Attempts,X-Arno-Loss",
    ),
)
_PREFLIGHT = (
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    (
        "access-control-allow-headers",
        "authorization, content-type, x-api-key, http-referer, x-title, x-openrouter-title, "
        "x-openrouter-categories, x-session-id, x-arno-deadlines, x-arno-strict, x-goog-api-key, "
        "anthropic-version, anthropic-beta, anthropic-dangerous-direct-browser-access",
    ),
    ("access-control-max-age", "86400"),
)
Closer = Callable[[], Awaitable[None]]


class GatewayApp(Service):
    """One gateway as an ASGI application."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        routes: tuple[Route, ...] = ROUTES,
        policy: dict[str, Access] | None = None,
        closers: Sequence[Closer] = (),
    ) -> None:
        """closers: awaited in order when the server shuts down."""
        self.gateway = gateway
        self._table = Table(routes)
        self._policy = POLICY if policy is None else policy
        self._closers = closers
        self._common = CORS_FIELDS if gateway.settings.cors else ()

    async def close(self) -> None:
        """Run the closers, then close the log."""
        for close in self._closers:
            await close()
        self.gateway.log.close()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log it, unless its route is a quiet one."""
        clock = self.gateway.clock
        began = clock.monotonic_ns()
        request = inbound(scope, receive, send)
        request.common = self._common
        route: Route | None = None
        try:
            self._guard(scope, request)
            route = self._route(request)
            facts = await self._handle(route, request)
        except Refusal as refusal:
            said = (refusal.status, refusal.message, refusal.reason)
            document = request.dialect.encode_refusal(*said)
            facts = await refuse(request, refusal, document, self.gateway.settings)
        except ClientGone:
            facts = Facts(status=499, state="cancelled")
        except Exception as error:
            facts = await self._mask(request, error)
        if route is None or not route.quiet:
            self._log(request, facts, clock.monotonic_ns() - began)

    def _guard(self, scope: Scope, request: Inbound) -> None:
        settings = self.gateway.settings
        check_head(scope, settings.max_head, settings.max_path)
        guard.check_host(request.headers, request.repeated)
        if not self.gateway.keys:
            guard.check_local(request.scheme, request.headers, request.repeated)

    def _route(self, request: Inbound) -> Route | None:
        """The route of a request; None for a preflight that is answered. Raises Refusal."""
        found = self._table.find(request.path)
        if found is None:
            request.dialect = CLIENTS[dialect_at(request.path)]
            raise Refusal(404, "There is nothing at this path", "unknown_path")
        methods, request.params = found
        first = next(iter(methods.values()))
        request.dialect = CLIENTS[first.dialect]
        if request.method == "OPTIONS" and self._common:
            return None
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = (("allow", ", ".join(methods)),)
            raise Refusal(405, f"Use {' or '.join(methods)} here", "method_not_allowed", allowed)
        return route

    async def _handle(self, route: Route | None, request: Inbound) -> Facts:
        if route is None:
            await send_reply(request, Reply(204, None, _PREFLIGHT))
            return Facts(status=204, state="ok")
        access = self._policy.get(route.name)
        if access is None:
            raise Refusal(403, "This route is closed", "no_policy")
        if not self.gateway.keys:
            request.key_id = LOCAL
        elif access is Access.KEY:
            keys = self.gateway.keys
            named = () if route.keys is None else route.keys(request)
            request.key_id = keys.authenticate(request.headers, request.repeated, named)
        if route.line is not None:
            request.line = route.line(request)
        return await route.handler(self.gateway, request)

    async def _mask(self, request: Inbound, error: Exception) -> Facts:
        """A bug of ours: its text goes to the log only."""
        self.gateway.log.bug(wall_ns=self.gateway.clock.wall_ns(), generation_id=None, error=error)
        document = request.dialect.encode_refusal(500, "Internal error of the gateway", "bug")
        await send_reply(request, Reply(500, document))
        return Facts(status=500, state="error", reason="bug")

    def _logged_path(self, path: str) -> str:
        """The path of a request that failed, without a client key that was put there by mistake."""
        known = self.gateway.keys.key_id
        parts = re.split(r"([/:])", path)
        return "".join(MARK if known(part.encode(errors="replace")) else part for part in parts)

    def _log(self, request: Inbound, facts: Facts, elapsed_ns: int) -> None:
        if facts.model is not None and facts.status >= 400:
            facts = msgspec.structs.replace(facts, model=self._logged_path(facts.model))
        self.gateway.log.request(
            wall_ns=self.gateway.clock.wall_ns(),
            key_id=request.key_id,
            method=request.method,
            path=self._logged_path(request.path) if facts.status >= 400 else request.path,
            ms=elapsed_ns // 1_000_000,
            facts=facts,
        )


def create_app(
    settings: GatewaySettings,
    engine: Engine,
    catalogue: Catalogue,
    sink: Sink,
    *,
    keys: KeyRing | None = None,
    clock: Clock | None = None,
    log: RequestLog | None = None,
    closers: Sequence[Closer] = (),
    answers: Answers | None = None,
) -> GatewayApp:
    """The gateway's application. Raises SettingsError for settings that must not be run.

    keys: client keys, None or empty: this machine only; log: closed with the app; closers: what to
    close after the last request (the sink is the caller's); answers: where answers are kept that
    later requests may name, None: nowhere.
    """
    ring = keys if keys is not None else KeyRing(())
    check_exposure(settings, has_keys=bool(ring))
    gateway = Gateway(
        settings=settings,
        engine=engine,
        catalogue=catalogue,
        prices=price_table(catalogue),
        sink=sink,
        keys=ring,
        clock=clock or Clock(),
        inflight=Inflight(),
        log=log or RequestLog(),
        answers=answers,
    )
    return GatewayApp(gateway, closers=closers)
