"""A gateway before the scripted upstreams, one provider row a dialect, and a tape of what it says.

    with running_world(folder) as world:
        world.url, world.upstream.asked(case), world.tape(case)

A model is "up-<dialect>/<scenario>.<case>"; the tape finds the case in the request.
"""

import re
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.faults.gateways import assembled
from tests.gateway.harness import running_gateway
from tests.sdk.upstreams import DIALECTS, Scripted, scripted

UPSTREAM_KEY = "sk-upstream-0123456789abcdef"

AUTH = {"messages": "x-api-key", "gemini": "x-goog-api-key"}
"""How a provider of a dialect wants its key, where that is not by bearer."""


def prefix(dialect):
    """What stands before the scenario in a model's id."""
    return f"up-{dialect}/"


def toml(url, dialects=tuple(DIALECTS)):
    """A configuration with one provider a dialect."""
    rows = ["[replay]\ncassettes = []\n"]
    for name in dialects:
        rows.append(
            f'[provider.up-{name}]\nname = "Up {name}"\nbase_url = "{url}{DIALECTS[name].BASE}"\n'
            f'dialect = "{name}"\nkey_env = "UPSTREAM_KEY"\nunlisted_models = true\n'
        )
        if name in AUTH:
            rows.append(f'auth = "{AUTH[name]}"\n')
    return "".join(rows)


@dataclass
class Taped:
    """One answer as it left the gateway."""

    path: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def streamed(self):
        """Whether it was an event stream."""
        return self.headers.get("content-type", "").startswith("text/event-stream")


CASE = re.compile(rb"up-[a-z]+(?:/|%2F)\w+\.([\w-]+)")


class Tape:
    """An ASGI application around another one that keeps what that one says."""

    def __init__(self, app):
        self._app = app
        self.answers = defaultdict(list)

    def __getattr__(self, name):
        return getattr(self._app, name)

    async def __call__(self, scope, receive, send):
        """Serve one request, and note its answer under its case."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        heard, answer = [scope["path"].encode()], Taped(scope["path"])

        async def listen():
            message = await receive()
            heard.append(message.get("body", b""))
            return message

        async def tell(message):
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
                # Before the client can know of it.
                if found := CASE.search(b"".join(heard)):
                    self.answers[found[1].decode()].append(answer)
            answer.body += message.get("body", b"")
            await send(message)

        await self._app(scope, listen, tell)


@dataclass
class World:
    """A running gateway. sink: its ledger."""

    url: str
    upstream: Scripted
    sink: object
    answers: dict

    def tape(self, case):
        """What the gateway answered in a case, in order."""
        return self.answers.get(case, [])


@contextmanager
def running_world(folder, dialects=tuple(DIALECTS)):
    """A gateway before every provider dialect."""
    with scripted() as upstream:
        text = toml(upstream.url, dialects)
        app, config, sink = assembled(folder, text, environ={"UPSTREAM_KEY": UPSTREAM_KEY})
        taped = Tape(app)
        with running_gateway(taped, config.settings) as url:
            yield World(url, upstream, sink, taped.answers)
