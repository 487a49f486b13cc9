"""Scopes and the end of serving, as every application of the gateway has them."""

import asyncio

import pytest

from arno.canon.failure import LocalError
from arno.gateway.app import GatewayApp
from arno.gateway.asgi import inbound
from arno.gateway.errors import Refusal, envelope
from arno.gateway.service import Service, refuse
from arno.gateway.settings import GatewaySettings
from arno.gateway.transport_app import TransportApp

END = {"type": "lifespan.shutdown"}


class Noted(Service):
    """An application that notes what it is asked for."""

    def __init__(self):
        self.noted = []

    async def serve(self, scope, receive, send):
        self.noted.append(scope["path"])

    async def close(self):
        self.noted.append("closed")


def run(app, scope, *messages):
    """What the application sends when it receives `messages`."""
    coming, sent = list(messages), []

    async def receive():
        return coming.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def test_requests_are_served():
    app = Noted()
    assert run(app, {"type": "http", "path": "/x"}) == []
    assert app.noted == ["/x"]


def test_what_is_held_is_closed_at_the_shutdown_and_before_it_is_confirmed():
    app = Noted()
    started = run(
        app, {"type": "lifespan"}, *({"type": f"lifespan.{w}"} for w in ("startup",)), END
    )
    assert [message["type"] for message in started] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert app.noted == ["closed"]


def test_a_shutdown_that_fails_is_not_confirmed():
    class Broken(Noted):
        async def close(self):
            raise LocalError("no")

    with pytest.raises(LocalError, match="no"):
        run(Broken(), {"type": "lifespan"}, END)


def test_web_sockets_are_closed():
    app = Noted()
    assert run(app, {"type": "websocket"}) == [{"type": "websocket.close"}]
    assert app.noted == []


@pytest.mark.parametrize(("status", "open_"), [(404, False), (413, True), (415, True)])
def test_a_refusal_of_an_unread_body_stays_open_until_the_rest_has_come(status, open_):
    order = []
    pieces = [{"type": "http.request", "body": b"x", "more_body": more} for more in (True, False)]

    async def receive():
        order.append("read")
        return pieces.pop(0)

    async def send(message):
        order.append(message.get("more_body", "head"))

    async def refused():
        scope = {"type": "http", "method": "POST", "path": "/", "scheme": "http"}
        scope |= {"headers": [], "query_string": b""}
        request = inbound(scope, receive, send)
        refusal = Refusal(status, "No", "no")
        return await refuse(request, refusal, envelope(status, "No", "no"), GatewaySettings())

    facts = asyncio.run(refused())
    assert (facts.status, facts.state, facts.reason) == (status, "refused", "no")
    assert order == (["head", True, "read", "read", False] if open_ else ["head", False])


def test_both_applications_are_services():
    assert issubclass(GatewayApp, Service)
    assert issubclass(TransportApp, Service)
