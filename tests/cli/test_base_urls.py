"""Which base URLs a command is given, and where each of them leads."""

import pytest

from arno.cli.base_urls import known_upstreams, one_upstream
from arno.gateway.errors import SettingsError
from arno.providers import load_catalogue
from arno.providers.load import CatalogueError
from arno.providers.recordable import Recordable, recordables

ROWS = recordables(load_catalogue().endpoints.values())
URL = "http://127.0.0.1:1"


def reached(base_urls, name, rest, environ=None):
    """Where a client ends up that has `rest` behind the base URL in a variable."""
    base = base_urls.environment(URL, environ or {})[name]
    target = (base + rest).removeprefix(URL)
    routes = sorted(base_urls.routes, key=lambda one: len(one.prefix), reverse=True)
    return next(route.url(target) for route in routes if route.takes(target))


CHAT = "/chat/completions"
OFFICIAL = [
    ("OPENAI_BASE_URL", CHAT, "https://api.openai.com/v1/chat/completions"),
    ("OPENAI_API_BASE", CHAT, "https://api.openai.com/v1/chat/completions"),
    ("ANTHROPIC_BASE_URL", "/v1/messages", "https://api.anthropic.com/v1/messages"),
    (
        "GOOGLE_GEMINI_BASE_URL",
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse",
    ),
    ("OPENROUTER_BASE_URL", CHAT, "https://openrouter.ai/api/v1/chat/completions"),
    ("GROQ_BASE_URL", f"/openai/v1{CHAT}", "https://api.groq.com/openai/v1/chat/completions"),
    ("CEREBRAS_BASE_URL", f"/v1{CHAT}", "https://api.cerebras.ai/v1/chat/completions"),
    ("CO_API_URL", "/v2/chat", "https://api.cohere.com/v2/chat"),
]


@pytest.mark.parametrize(("name", "rest", "url"), OFFICIAL)
def test_an_sdk_reaches_its_own_host(name, rest, url):
    assert reached(known_upstreams(ROWS, {}), name, rest) == url


@pytest.mark.parametrize(
    ("upstream", "name", "rest", "url"),
    [
        ("https://openrouter.ai/api/v1", "OPENAI_BASE_URL", CHAT, "/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "ANTHROPIC_BASE_URL", "/v1/messages", "/api/v1/messages"),
        ("https://openrouter.ai/api/v1", "ARNO_BASE_URL", CHAT, "/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1/", "OPENAI_BASE_URL", CHAT, "/api/v1/chat/completions"),
        ("http://localhost:8080", "OPENAI_BASE_URL", CHAT, "/v1/chat/completions"),
        ("http://localhost:8080", "ANTHROPIC_BASE_URL", "/v1/messages", "/v1/messages"),
        ("http://localhost:8080", "ARNO_BASE_URL", CHAT, "/api/v1/chat/completions"),
        (
            "https://api.deepinfra.com/v1/openai",
            "OPENAI_BASE_URL",
            CHAT,
            "/v1/openai/chat/completions",
        ),
        (
            "https://api.groq.com/openai/v1",
            "GROQ_BASE_URL",
            f"/openai/v1{CHAT}",
            "/openai/v1/chat/completions",
        ),
    ],
)
def test_one_upstream_is_reached_by_every_sdk_in_its_own_way(upstream, name, rest, url):
    host = "/".join(upstream.split("/")[:3])
    assert reached(one_upstream(upstream, ROWS, {}), name, rest) == host + url


def test_a_base_url_that_is_set_keeps_its_meaning():
    environ = {
        "OPENAI_BASE_URL": "https://corp.example/llm/v1",
        "ARNO_BASE_URL": "http://127.0.0.1:8080/api/v1/",
        "ANTHROPIC_BASE_URL": "",
    }
    found = known_upstreams(ROWS, environ)
    assert reached(found, "OPENAI_BASE_URL", CHAT, environ) == f"https://corp.example/llm/v1{CHAT}"
    assert reached(found, "OPENAI_API_BASE", CHAT, environ) == f"https://api.openai.com/v1{CHAT}"
    assert reached(found, "ARNO_BASE_URL", CHAT, environ) == f"http://127.0.0.1:8080/api/v1{CHAT}"
    assert reached(found, "ANTHROPIC_BASE_URL", "/v1/messages", environ) == (
        "https://api.anthropic.com/v1/messages"
    )


def test_a_variable_that_holds_no_base_url_is_named_without_its_value():
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL") as caught:
        known_upstreams(ROWS, {"OPENAI_BASE_URL": "https://user:secret@corp.example"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "own"),
    [
        ({}, True),
        ({"ARNO_API_KEY": "a"}, True),
        ({"ARNO_API_KEY": "a", "OPENAI_API_KEY": "o"}, True),
        ({"OPENAI_API_KEY": "o"}, False),
    ],
)
def test_our_own_variable_is_left_out_where_it_would_hide_the_only_key(environ, own):
    """Our agent takes the key of the row whose URL it takes."""
    assert ("ARNO_BASE_URL" in one_upstream(URL, ROWS, environ).paths) is own


def test_the_recorder_is_not_asked_through_a_proxy():
    environ = {"NO_PROXY": "corp.example", "HTTPS_PROXY": "http://proxy.example"}
    given = known_upstreams(ROWS, environ).environment(URL, environ)
    assert given["NO_PROXY"] == "corp.example,127.0.0.1,localhost"
    assert given["no_proxy"] == "127.0.0.1,localhost"
    assert given["HTTPS_PROXY"] == "http://proxy.example"


def test_every_live_endpoint_of_the_catalogue_has_a_prefix():
    prefixes = {route.prefix for route in known_upstreams(ROWS, {}).routes}
    endpoints = load_catalogue().endpoints.values()
    live = [row for row in endpoints if row.transport == "live" and row.variant_of is None]
    assert {f"/{row.slug}" for row in live if not row.missing} <= prefixes
    # An address with variables is nobody's yet.
    assert not {f"/{row.slug}" for row in live if row.missing} & prefixes


BAD_ROWS = [
    ('[[recordable]]\nslug = "nowhere"', "nowhere"),
    ('[[recordable]]\nslug = "Not A Slug"\nbase_url = "https://a.example"', "not a slug"),
    ('[[recordable]]\nslug = "a"\nbase_url = "a.example"', "base_url"),
    ('[[recordable]]\nslug = "a"\nbase_url = "https://a.example"\nx = 1', "unknown field"),
    ("recordable = 1", "array"),
    ("", "recordable"),
    ("[", "recordable.toml"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_ROWS)
def test_a_bad_row_is_refused_with_its_reason(text, reason):
    with pytest.raises(CatalogueError, match=reason):
        recordables([], text)


def test_a_row_may_stand_once():
    row = '[[recordable]]\nslug = "a"\nbase_url = "https://a.example"\n'
    assert recordables([], row) == (Recordable(slug="a", base_url="https://a.example"),)
    with pytest.raises(CatalogueError, match="once"):
        recordables([], row * 2)
