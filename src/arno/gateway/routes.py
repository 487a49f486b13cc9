"""Which request goes where, and who may send it: two tables, one checked by the other.

Serves the threat model: the decision is made on the path that the server parsed, never on a URL
rebuilt from other parts, and a route without an entry in `POLICY` is closed (default deny).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from enum import Enum

import msgspec

from arno.dialects.base import RequestLine
from arno.gateway import (
    account_api,
    catalogue_api,
    count_tokens,
    gemini_api,
    health,
    inference,
    responses_api,
)
from arno.gateway.asgi import Inbound, Reply, send_reply
from arno.gateway.core import Gateway
from arno.gateway.log import Facts

PREFIXES = ("/api/v1", "/v1")

_REST = re.compile(r"\{\w+\*\}")

Answer = Callable[[Gateway, Inbound], Awaitable[Reply]]
Handler = Callable[[Gateway, Inbound], Awaitable[Facts]]


class Access(Enum):
    """Who may call a route: anybody, or callers with a key (where keys exist)."""

    OPEN = "open"
    KEY = "key"


class Route(msgspec.Struct, frozen=True):
    """One operation. path: segments in braces match any one segment, `{name*}` any rest between
    what stands before and behind it; quiet: not logged; dialect: the caller's, in which errors are
    told; line: what the path says of the request; keys: keys that may stand in the query.
    """

    name: str
    method: str
    path: str
    handler: Handler
    quiet: bool = False
    dialect: str = "chat"
    line: Callable[[Inbound], RequestLine] | None = None
    keys: Callable[[Inbound], tuple[bytes, ...]] | None = None


def _answering(answer: Answer) -> Handler:
    """A handler that sends what `answer` returns."""

    async def handle(gateway: Gateway, request: Inbound) -> Facts:
        reply = await answer(gateway, request)
        await send_reply(request, reply)
        return Facts(status=reply.status, state="ok" if reply.status < 400 else "refused")

    return handle


_OPERATIONS: tuple[tuple[str, str, str, Handler], ...] = (
    ("chat.completions", "POST", "/chat/completions", inference.complete),
    ("models", "GET", "/models", _answering(catalogue_api.listed)),
    (
        "models.endpoints",
        "GET",
        "/models/{author}/{slug}/endpoints",
        _answering(catalogue_api.endpoints),
    ),
    ("model", "GET", "/models/{model*}", _answering(catalogue_api.model)),
    ("generation", "GET", "/generation", _answering(account_api.generation)),
    ("key", "GET", "/key", _answering(account_api.key)),
    ("auth.key", "GET", "/auth/key", _answering(account_api.key)),
)

INFERENCE: tuple[tuple[str, str, str], ...] = (
    ("messages", "/messages", "messages"),
    ("completions", "/completions", "completions"),
    ("embeddings", "/embeddings", "embeddings"),
)
"""Operations that the engine serves: name, path, the caller's dialect."""

_RESPONSES: tuple[tuple[str, str, str, Handler], ...] = (
    ("responses", "POST", "/responses", responses_api.create),
    ("responses.retrieve", "GET", "/responses/{id}", _answering(responses_api.retrieve)),
    ("responses.delete", "DELETE", "/responses/{id}", _answering(responses_api.delete)),
)

GEMINI_ALONE = ("/api/v1beta", "/v1beta")
"""What only clients of this dialect ask at."""
GEMINI_PREFIXES = (*PREFIXES, *GEMINI_ALONE)

_GEMINI: tuple[tuple[str, str, Callable[[Inbound], RequestLine], Handler], ...] = (
    ("generate_content", "generateContent", gemini_api.whole_line, gemini_api.generate),
    (
        "stream_generate_content",
        "streamGenerateContent",
        gemini_api.stream_line,
        gemini_api.generate,
    ),
    ("gemini.count_tokens", "countTokens", gemini_api.whole_line, gemini_api.count_tokens),
)

ROUTES: tuple[Route, ...] = (
    Route("health.live", "GET", "/healthz", _answering(health.live), quiet=True),
    Route("health.ready", "GET", "/readyz", _answering(health.ready), quiet=True),
    *(
        Route(name, method, prefix + path, handler)
        for prefix in PREFIXES
        for name, method, path, handler in _OPERATIONS
    ),
    *(
        Route(name, "POST", prefix + path, inference.complete, dialect=dialect)
        for prefix in PREFIXES
        for name, path, dialect in INFERENCE
    ),
    *(
        Route(
            "messages.count_tokens",
            "POST",
            f"{prefix}/messages/count_tokens",
            count_tokens.count_tokens,
            dialect="messages",
        )
        for prefix in PREFIXES
    ),
    *(
        Route(name, method, prefix + path, handler, dialect="responses")
        for prefix in PREFIXES
        for name, method, path, handler in _RESPONSES
    ),
    *(
        Route(
            name,
            "POST",
            f"{prefix}/models/{{model*}}:{verb}",
            handler,
            dialect="gemini",
            line=line,
            keys=gemini_api.keys_in_query,
        )
        for prefix in GEMINI_PREFIXES
        for name, verb, line, handler in _GEMINI
    ),
    *(
        # Some clients put a model whose id holds a slash there as it is.
        Route(
            name,
            "POST",
            f"{prefix}/{{model*}}:{verb}",
            handler,
            dialect="gemini",
            line=line,
            keys=gemini_api.keys_in_query,
        )
        for prefix in GEMINI_ALONE
        for name, verb, line, handler in _GEMINI
    ),
    *(
        Route(
            "gemini.models",
            "GET",
            f"{prefix}/models",
            _answering(gemini_api.models),
            dialect="gemini",
        )
        for prefix in GEMINI_ALONE
    ),
)

POLICY: dict[str, Access] = {
    "health.live": Access.OPEN,
    "health.ready": Access.OPEN,
    "chat.completions": Access.KEY,
    "responses": Access.KEY,
    "responses.retrieve": Access.KEY,
    "responses.delete": Access.KEY,
    "messages": Access.KEY,
    "messages.count_tokens": Access.KEY,
    "completions": Access.KEY,
    "embeddings": Access.KEY,
    "generate_content": Access.KEY,
    "stream_generate_content": Access.KEY,
    "gemini.count_tokens": Access.KEY,
    "gemini.models": Access.OPEN,
    "models": Access.OPEN,
    "models.endpoints": Access.OPEN,
    "model": Access.OPEN,
    "generation": Access.KEY,
    "key": Access.KEY,
    "auth.key": Access.KEY,
}


def dialect_at(path: str) -> str:
    """Who asks at a path where there is nothing, as far as the path tells."""
    if path.startswith(tuple(f"{prefix}/" for prefix in GEMINI_ALONE)):
        return "gemini"
    for name, start, dialect in (*INFERENCE, ("responses", "/responses", "responses")):
        if name == dialect and path.startswith(tuple(f"{p}{start}/" for p in PREFIXES)):
            return dialect
    return "chat"


class Table:
    """Routes looked up by path; those without placeholders in one step."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._open: list[tuple[list[str], dict[str, Route]]] = []
        self._between: dict[tuple[str, str], dict[str, Route]] = {}
        for route in routes:
            self._methods(route)[route.method] = route
        # The most particular end first: a model's own path ends in nothing.
        order = sorted(self._between.items(), key=lambda item: [-len(end) for end in item[0][::-1]])
        self._between = dict(order)

    def _methods(self, route: Route) -> dict[str, Route]:
        if "{" not in route.path:
            return self._fixed.setdefault(route.path, {})
        if (rest := _REST.search(route.path)) is not None:
            ends = (route.path[: rest.start()], route.path[rest.end() :])
            return self._between.setdefault(ends, {})
        segments = route.path.split("/")
        for known, methods in self._open:
            if known == segments:
                return methods
        self._open.append((segments, {}))
        return self._open[-1][1]

    def find(self, path: str) -> tuple[dict[str, Route], tuple[str, ...]] | None:
        """The path's routes by method and the placeholders' values; None for an unknown path."""
        methods = self._fixed.get(path)
        if methods is not None:
            return methods, ()
        segments = path.split("/")
        for pattern, methods in self._open:
            params = _fill(pattern, segments)
            if params is not None:
                return methods, params
        for (start, end), methods in self._between.items():
            middle = len(path) - len(start) - len(end)
            if middle > 0 and path.startswith(start) and path.endswith(end):
                return methods, (path[len(start) : len(start) + middle],)
        return None


def _fill(pattern: list[str], segments: list[str]) -> tuple[str, ...] | None:
    if len(pattern) != len(segments):
        return None
    params = []
    for wanted, found in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            if not found:
                return None
            params.append(found)
        elif wanted != found:
            return None
    return tuple(params)
