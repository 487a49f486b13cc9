"""Requests of messages: other members, what clients send, what comes back (R13, R14)."""

import pytest

from arno.canon.failure import RequestError
from arno.canon.parts import (
    CacheHint,
)
from arno.canon.request import (
    Output,
    ToolChoiceMode,
)
from arno.wire import json
from tests.dialects.messages.documents import MESSAGES, SCHEMA, refused, said


def test_the_shape_of_the_answer():
    output = Output(kind="schema", schema=SCHEMA, name="x", strict=True)
    document, losses = said(output=output)
    assert document["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert losses == {}
    assert "output_config" not in said(output=Output(kind="text"))[0]
    assert refused(output=Output(kind="json")) == "/output/kind"


def test_members_with_another_name():
    document, losses = said(
        stop=("END",), user="u", service_tier="default", cache=CacheHint(), stream=True
    )
    assert losses == {}
    assert document["stop_sequences"] == ["END"]
    assert document["metadata"] == {"user_id": "u"}
    assert document["service_tier"] == "standard_only"
    assert document["cache_control"] == {"type": "ephemeral"}
    assert document["stream"] is True


def test_members_that_the_wire_has_not():
    _, losses = said(
        metadata={"a": "b"}, verbosity="low", safety_identifier="s", cache_key="k", store=True
    )
    assert losses == dict.fromkeys(
        ("/metadata", "/verbosity", "/safety_identifier", "/cache_key", "/store"), "dropped"
    )
    assert said(store=False)[1] == {}
    assert said(service_tier="flex")[1] == {"/service_tier": "dropped"}
    assert said(service_tier="priority")[1] == {"/service_tier": "approximated"}


def test_what_must_not_be_lost_is_refused():
    assert refused(n=2) == "/n"
    assert refused(stop=(" ",)) == "/stop"


def read(**members):
    turn = {"role": "user", "content": "Hi"}
    body = {"model": "m", "max_tokens": 5, "messages": [turn], **members}
    return MESSAGES.decode_request(json.dumps(body))


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"stream": 1}, "stream"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"description": "x"}]}, "tools[0].name"),
        ({"tools": [{"name": "a", "input_schema": []}]}, None),
        ({"tools": [{"name": "a", "input_schema": [1]}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"budget_tokens": 5}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": "5"}}, "thinking.budget_tokens"),
    ],
)
def test_bad_requests_name_the_member(members, path):
    if path is None:
        read(**members)
        return
    with pytest.raises(RequestError) as caught:
        read(**members)
    assert caught.value.path == path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"nul"])
def test_bodies_that_are_no_objects(body):
    with pytest.raises(RequestError):
        MESSAGES.decode_request(body)


def test_what_a_request_says():
    request = read(
        system=[{"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}],
        thinking={"type": "enabled", "budget_tokens": 2048},
        output_config={"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        metadata={"user_id": "u"},
        service_tier="standard_only",
        provider={"order": ["a"]},
    )
    assert request.messages[0].parts[0].cache == CacheHint()
    assert (request.reasoning.budget, request.reasoning.effort) == (2048, "high")
    assert request.output.schema == SCHEMA
    assert request.tool_choice.mode is ToolChoiceMode.REQUIRED
    assert request.parallel_tool_calls is False
    assert (request.user, request.service_tier) == ("u", "default")
    assert request.routing == {"provider": {"order": ["a"]}}


@pytest.mark.parametrize(
    "members",
    [
        {"thinking": {"type": "adaptive", "display": "summarized"}},
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "low", "task_budget": 1}},
        {"thinking": {"type": "between_tools"}},
        {"output_config": {"format": {"type": "new"}}, "output_format": None},
        {"output_format": {"type": "json_schema", "schema": {}, "x": 1}},
        {"tool_choice": {"type": "new"}, "tools": []},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": None}},
        {"metadata": {"user_id": "", "x": 1}},
        {"service_tier": "new", "foo_bar": 1, "context_management": {"edits": []}},
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]},
        {"tools": [{"type": "custom", "name": "a", "defer_loading": False}]},
        {"messages": [{"role": "system", "content": "now"}]},
        {"messages": [{"role": "user", "content": [{"type": "later", "x": {"input": 1}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
        {"messages": [{"role": "assistant", "content": []}]},
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "", "signature": ""},
                        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                        {"type": "web_search_tool_result", "tool_use_id": "s", "content": {}},
                        {
                            "type": "mcp_tool_use",
                            "id": "m",
                            "name": "n",
                            "server_name": "deep",
                            "input": {"a": 1},
                        },
                        {"type": "mcp_tool_result", "tool_use_id": "m", "is_error": False},
                    ],
                }
            ]
        },
    ],
)
def test_what_this_dialect_alone_knows_comes_back(members):
    """R14."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **members}
    written, losses = MESSAGES.encode_request(MESSAGES.decode_request(json.dumps(body)))
    assert not losses
    assert json.equal(json.loads(written), body)
