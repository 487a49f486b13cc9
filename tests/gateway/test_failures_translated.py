"""R21 and R28 across dialects: what a failure is to every client, and who is tried next.

Every provider dialect fails in its own words (a status, an error inside a good or a bad answer, an
exception in a stream, a page of HTML); every client dialect is told the same: status, Retry-After,
its own type word and our stable reason. No word of the operator's account reaches a client.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from arno.canon.failure import FailureKind as K
from arno.dialects import failures
from arno.dialects.failures import CLIENT_SIDE
from arno.routing.failover import GOES_ON
from arno.wire import encode_sse, json
from tests.faults.gateways import assembled, row_of_reply
from tests.faults.test_translated_cuts import ASKED
from tests.gateway.harness import post, running_gateway
from tests.sdk import upstreams
from tests.sdk.upstreams import converse
from tests.sdk.upstreams.story import Asked
from tests.sdk.worlds import UPSTREAM_KEY, prefix, toml
from tests.transport.upstream import Framing, Script, ThreadedUpstream

PROVIDERS = tuple(upstreams.DIALECTS)
CLIENTS = tuple(ASKED)
SECRET_TEXT = "account-0815"
WAIT = ("retry-after", "7")
TIRED = "Too many requests, please slow down."
HTML = b"<html><body><h1>502 Bad Gateway</h1>" + b"<p>nginx</p>" * 300 + b"</body></html>"


def scenario(name):
    """A failure as the hand-written upstream of a dialect tells it."""

    def told(provider, stream):
        return upstreams.DIALECTS[provider].answer(Asked({}, name, stream, {}, scenario=name))

    return told


LIMITED: dict[str, Any] = {
    "chat": {"error": {"code": 429, "message": TIRED}},
    "responses": {
        "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": TIRED}
    },
    "messages": {"type": "error", "error": {"type": "rate_limit_error", "message": TIRED}},
    "gemini": {
        "error": {
            "code": 429,
            "message": TIRED,
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"},
            ],
        }
    },
    "converse": {"__type": "ThrottlingException", "message": TIRED},
}
"""A limit as an error document of each dialect."""


def answered(document, status, *headers):
    """A whole JSON answer."""
    body = document if isinstance(document, bytes) else json.dumps(document)
    fields = [("content-type", "application/json"), *headers]
    return Script([body], status, fields, framing=Framing.LENGTH)


def inside_a_200(provider, stream):
    """The limit in a good answer: as the whole of it, or as the first event of the stream."""
    if not stream:
        return answered(LIMITED[provider], 200, WAIT)
    if provider == "converse":
        frame = converse._exception("throttlingException", TIRED)
        return Script([frame], headers=[("content-type", "application/vnd.amazon.eventstream")])
    name = "error" if provider in ("messages", "responses") else None
    document = LIMITED[provider]
    if provider == "responses":
        document = {**document["error"], "type": "error", "sequence_number": 0}
    return Script.sse(encode_sse(json.dumps(document), name))


def inside_a_500(provider, stream):
    """The limit in the body of a server's error."""
    return answered(LIMITED[provider], 500, WAIT)


def details_only(provider, stream):
    """How long to wait stands in the body alone."""
    return answered(LIMITED[provider], 429)


def in_messages_words(message):
    """A 400 of the messages dialect whose message says what it is."""
    document = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    return lambda provider, stream: answered(document, 400)


def exception(name, status, message=TIRED, *headers):
    """An exception of AWS, named in a header."""
    field = ("x-amzn-errortype", f"{name}:http://internal.amazon.com/coral/")
    return lambda provider, stream: answered({"message": message}, status, field, *headers)


def in_googles_words(status, word, message, *details):
    """An error of the gemini dialect."""
    error = {"code": status, "message": message, "status": word, "details": list(details)}
    return lambda provider, stream: answered({"error": error}, status)


def page(provider, stream):
    """What a balancer says."""
    return Script([HTML], 502, [("content-type", "text/html")], framing=Framing.LENGTH)


@dataclass(frozen=True)
class Case:
    """One failure. said: (provider, streamed) to what it answers; wait: Retry-After to the client;
    by: the provider dialects that fail so; only: "stream" or "whole" where it is one alone.
    """

    said: Any
    kind: K
    wait: str | None = None
    by: tuple[str, ...] = PROVIDERS
    only: str | None = None


CHAT_LIKE = ("chat", "responses", "messages", "gemini")
REASON = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}

CASES = {
    "limited": Case(scenario("limited"), K.RATE_LIMIT, "7"),
    "inside_a_200": Case(inside_a_200, K.RATE_LIMIT, "7", CHAT_LIKE, "whole"),
    "first_event": Case(
        inside_a_200,
        K.RATE_LIMIT,
        by=("chat", "responses", "messages", "converse"),
        only="stream",
    ),
    "first_event_with_details": Case(inside_a_200, K.RATE_LIMIT, "7", ("gemini",), "stream"),
    "inside_a_500": Case(inside_a_500, K.RATE_LIMIT, "7", CHAT_LIKE),
    "details_only": Case(details_only, K.RATE_LIMIT, "7", ("gemini",)),
    "usage_limits": Case(
        in_messages_words("You have reached your specified API usage limits."),
        K.RATE_LIMIT,
        by=("messages",),
    ),
    "credit": Case(
        in_messages_words(f"Your credit balance is too low ({SECRET_TEXT})."),
        K.PAYMENT_REQUIRED,
        by=("messages",),
    ),
    "too_long": Case(
        in_messages_words("prompt is too long: 9 tokens > 8 maximum"),
        K.CONTEXT_LENGTH,
        by=("messages",),
    ),
    "overloaded": Case(scenario("overloaded"), K.OVERLOADED),
    "throttled": Case(
        exception("ThrottlingException", 429, TIRED, WAIT), K.RATE_LIMIT, "7", ("converse",)
    ),
    "not_ready": Case(exception("ModelNotReadyException", 429), K.OVERLOADED, by=("converse",)),
    "validation": Case(exception("ValidationException", 400), K.INVALID_REQUEST, by=("converse",)),
    "denied": Case(
        exception("AccessDeniedException", 403, f"User arn:{SECRET_TEXT} is not authorized"),
        K.AUTHENTICATION,
        by=("converse",),
    ),
    "timed_out": Case(exception("ModelTimeoutException", 408), K.TIMEOUT, by=("converse",)),
    "unavailable": Case(
        in_googles_words(503, "UNAVAILABLE", "The model is overloaded."),
        K.OVERLOADED,
        by=("gemini",),
    ),
    "key_of_google": Case(
        in_googles_words(400, "INVALID_ARGUMENT", f"API key not valid {SECRET_TEXT}", REASON),
        K.AUTHENTICATION,
        by=("gemini",),
    ),
    "broken": Case(scenario("broken"), K.SERVER),
    "bad_request": Case(scenario("bad_request"), K.INVALID_REQUEST),
    "bad_key": Case(scenario("bad_key"), K.AUTHENTICATION),
    "html": Case(page, K.UNAVAILABLE),
}

TYPES: dict[str, dict[K, str]] = {
    "responses": {
        K.RATE_LIMIT: "rate_limit_error",
        K.INVALID_REQUEST: "invalid_request_error",
        K.CONTEXT_LENGTH: "invalid_request_error",
    },
    "messages": {
        K.RATE_LIMIT: "rate_limit_error",
        K.INVALID_REQUEST: "invalid_request_error",
        K.CONTEXT_LENGTH: "invalid_request_error",
        K.OVERLOADED: "overloaded_error",
        K.TIMEOUT: "timeout_error",
    },
    "gemini": {
        K.RATE_LIMIT: "RESOURCE_EXHAUSTED",
        K.INVALID_REQUEST: "INVALID_ARGUMENT",
        K.CONTEXT_LENGTH: "INVALID_ARGUMENT",
        K.TIMEOUT: "DEADLINE_EXCEEDED",
    },
}
"""The clients' own words; what is not listed is the server's fault."""
SERVERS = {"responses": "server_error", "messages": "api_error", "gemini": "UNAVAILABLE"}


def played(request):
    """The upstream's answer: the model's id is the case, "fine" is none."""
    module, found = upstreams._find(request.path)
    asked = module.read(request, json.loads(request.body), found)
    case = asked.model.partition(".")[0]
    if case == "fine":
        asked.scenario = "text"
        return module.answer(asked)
    return CASES[case].said(module.NAME, asked.stream)


NEXT = {name: "messages" if name == "chat" else "chat" for name in PROVIDERS}
"""Whose good candidate stands behind a provider's bad one."""


def with_next(url):
    """A configuration in which every failure has a good candidate behind it."""
    text = toml(url)
    for provider in PROVIDERS:
        for name, case in CASES.items():
            if provider in case.by:
                first, then = f"{prefix(provider)}{name}.x", f"{prefix(NEXT[provider])}fine.x"
                text += f'[model."next/{provider}-{name}"]\ncandidates = ["{first}", "{then}"]\n'
    return text


class World:
    """A running gateway before upstreams that fail."""

    def __init__(self, url, sink):
        self.url, self._sink = url, sink

    def ask(self, client, model, *, stream):
        """(the client's answer, the ledger's row)."""
        path, body = ASKED[client]
        if client != "gemini":
            body = {**body, "model": model, "stream": stream}
            if not stream:
                body = {name: value for name, value in body.items() if name != "stream_options"}
        elif not stream:
            path = path.replace("streamGenerateContent?alt=sse", "generateContent")
        reply = post(self.url, body, path=path.replace("{model}", model))
        return reply, row_of_reply(self._sink, reply)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, environ = tmp_path_factory.mktemp("failures"), {"UPSTREAM_KEY": UPSTREAM_KEY}
    with ThreadedUpstream(played) as upstream:
        app, config, sink = assembled(folder, with_next(upstream.url), environ=environ)
        with running_gateway(app, config.settings) as url:
            yield World(url, sink)


def told(client, document):
    """(our reason, our error_type if the dialect tells it, the dialect's own word, message)."""
    error = document["error"]
    if client == "chat":
        metadata = error["metadata"]
        return metadata["reason"], metadata["error_type"], error["code"], error["message"]
    if client == "responses":
        kind = error["metadata"]["error_type"]
        assert error["code"] == error["metadata"]["reason"]
        return error["code"], kind, error["type"], error["message"]
    if client == "messages":
        assert document["type"] == "error"
        return error["reason"], error["error_type"], error["type"], error["message"]
    info = error["details"][0]
    assert info["domain"] == "arno"
    return info["reason"], info["metadata"]["error_type"], error["status"], error["message"]


def problem_of(case, client, reply, row):
    """What is wrong with what a client was told of a failure, None if nothing is."""
    status, error_type = CLIENT_SIDE[case.kind]
    if reply.status != status:
        return f"status {reply.status} instead of {status}: {reply.body[:200]!r}"
    if reply.headers.get("retry-after") != case.wait:
        return f"Retry-After {reply.headers.get('retry-after')} instead of {case.wait}"
    reason, kind, word, message = told(client, reply.document)
    if (reason, kind) != (case.kind.value, error_type):
        return f"told {reason}, {kind}"
    own = status if client == "chat" else TYPES[client].get(case.kind, SERVERS[client])
    if word != own:
        return f"its own word is {word} instead of {own}"
    if len(message) > 500 or "<" in message or SECRET_TEXT in reply.body.decode():
        return f"the message is {message!r}"
    [exchange] = row.exchanges
    if (row.generation.state, exchange.error_kind) != ("error", case.kind.value):
        return f"the ledger says {row.generation.state}, {exchange.error_kind}"
    return None


def cases_of(provider):
    """(name, case, streamed) of all failures of a provider's dialect."""
    for name, case in CASES.items():
        if provider in case.by:
            for stream in (False, True):
                if case.only in (None, "stream" if stream else "whole"):
                    yield name, case, stream


def wrong_of(world, provider, client):
    """(how many failures, those that a client is told wrongly)."""
    count, wrong = 0, {}
    for name, case, stream in cases_of(provider):
        reply, row = world.ask(client, f"{prefix(provider)}{name}.x", stream=stream)
        found = problem_of(case, client, reply, row)
        count += 1
        if found is not None:
            wrong[name, "stream" if stream else "whole"] = found
    return count, wrong


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_r21_every_failure_is_told_in_the_clients_dialect(world, provider, client):
    count, wrong = wrong_of(world, provider, client)
    print(f"{provider} to {client}: {count - len(wrong)} of {count} failures told right")
    assert wrong == {}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_good_answer_is_none(world, provider, client):
    """The control."""
    for stream in (False, True):
        reply, row = world.ask(client, f"{prefix(provider)}fine.x", stream=stream)
        assert (reply.status, row.generation.state) == (200, "success")
        assert "retry-after" not in reply.headers


@pytest.mark.parametrize("provider", PROVIDERS)
def test_r28_who_is_tried_next(world, provider):
    """The same classes as with upstreams of the chat dialect, whoever asks."""
    for number, (name, case, stream) in enumerate(cases_of(provider)):
        client = CLIENTS[number % len(CLIENTS)]
        reply, row = world.ask(client, f"next/{provider}-{name}", stream=stream)
        tried = [exchange.endpoint for exchange in row.exchanges]
        assert row.exchanges[0].error_kind == case.kind.value, name
        if GOES_ON[case.kind]:
            assert (reply.status, tried) == (200, [f"up-{provider}", f"up-{NEXT[provider]}"]), name
            assert "x-failed-attempts" in reply.headers
        else:
            assert (reply.status, tried) == (CLIENT_SIDE[case.kind][0], [f"up-{provider}"]), name


def told_openly(monkeypatch):
    """A client is told what the upstream says of the operator's account."""
    monkeypatch.setattr(failures, "OPERATORS", {})


def no_waiting(monkeypatch):
    """Nobody is told how long to wait."""
    monkeypatch.setattr(failures, "LATER", frozenset())


def by_status_alone(monkeypatch):
    """Words decide nothing."""
    monkeypatch.setattr(failures, "SAYS_LITTLE", frozenset())
    monkeypatch.setattr(failures, "OUTRANKS", frozenset())


MUTANTS = {
    "the operator's account is told": (told_openly, "credit"),
    "no Retry-After": (no_waiting, "limited"),
    "the status alone decides": (by_status_alone, "usage_limits"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found_out(world, mutant, monkeypatch):
    broken, case = MUTANTS[mutant]
    broken(monkeypatch)
    _, wrong = wrong_of(world, "messages", "responses")
    assert (case, "whole") in wrong
