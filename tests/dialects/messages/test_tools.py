"""Tools of messages and the choice between them (R17)."""

import pytest

from arno.canon.parts import (
    CacheHint,
)
from arno.canon.request import (
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from arno.wire import json
from tests.dialects.messages.documents import ADD, MESSAGES, SCHEMA, refused, said


def tool(**fields):
    document, losses = said(tools=(Tool(**{"name": "add", **fields}),))
    return document["tools"][0], losses


def test_tools():
    found, losses = tool(
        description="d", parameters=SCHEMA, strict=True, deferred=True, cache=CacheHint()
    )
    assert losses == {}
    assert found == {
        "name": "add",
        "description": "d",
        "input_schema": SCHEMA,
        "strict": True,
        "defer_loading": True,
        "cache_control": {"type": "ephemeral"},
    }
    assert "strict" not in tool(strict=False)[0]


@pytest.mark.parametrize(
    ("given", "written", "losses"),
    [
        (None, {"type": "object", "properties": {}}, {}),
        ({}, {"type": "object", "properties": {}}, {}),
        ({"$ref": "#/$defs/a"}, {"type": "object", "$ref": "#/$defs/a"}, "approximated"),
        ({"type": ["object", "null"]}, {"type": "object"}, "approximated"),
        ({**SCHEMA, "$defs": {}, "const": 1}, {**SCHEMA, "$defs": {}, "const": 1}, {}),
    ],
)
def test_r17_schemas_are_those_of_objects(given, written, losses):
    found, told = tool(parameters=given)
    assert found["input_schema"] == written
    assert told == ({"/tools/0/parameters": losses} if losses else {})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"parameters": {"type": "array"}}, "/tools/0/parameters"),
        ({"kind": "custom"}, "/tools/0/kind"),
        ({"kind": "custom", "format": {"type": "grammar"}}, "/tools/0/format"),
        ({"name": "x" * 200}, "/tools/0/name"),
    ],
)
def test_tools_that_cannot_be_carried_are_refused(fields, path):
    assert refused(tools=(Tool(**{"name": "add", **fields}),)) == path


def test_tools_of_other_vendors_are_told_as_lost():
    other = Tool(name="search", kind="provider", type="web_search")
    document, losses = said(tools=(other, ADD))
    assert [found["name"] for found in document["tools"]] == ["add"]
    assert losses == {"/tools/0": "dropped"}
    choice = ToolChoice(ToolChoiceMode.AUTO)
    document, losses = said(tools=(other,), tool_choice=choice)
    assert "tools" not in document
    assert losses == {"/tools/0": "dropped", "/tool_choice": "dropped"}


def test_names_that_the_wire_refuses_are_escaped_and_come_back():
    dotted = Tool(name="functions.add", parameters=SCHEMA)
    choice = ToolChoice(ToolChoiceMode.NAMED, ("functions.add",))
    document, losses = said(tools=(dotted,), tool_choice=choice)
    assert losses == {}
    name = "arno-functions_2eadd"
    assert (document["tools"][0]["name"], document["tool_choice"]["name"]) == (name, name)
    answer = {"content": [{"type": "tool_use", "id": "a", "name": name, "input": {}}]}
    read = MESSAGES.decode_response(json.dumps({**answer, "stop_reason": "tool_use"}))
    assert read.choices[0].parts[0].name == "functions.add"


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(ToolChoiceMode.AUTO), None, {"type": "auto"}),
        (
            ToolChoice(ToolChoiceMode.AUTO),
            True,
            {"type": "auto", "disable_parallel_tool_use": False},
        ),
        (ToolChoice(ToolChoiceMode.NONE), False, {"type": "none"}),
        (
            ToolChoice(ToolChoiceMode.REQUIRED),
            False,
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        (ToolChoice(ToolChoiceMode.NAMED, ("add",)), None, {"type": "tool", "name": "add"}),
    ],
)
def test_choices(choice, parallel, written):
    document, losses = said(tools=(ADD,), tool_choice=choice, parallel_tool_calls=parallel)
    assert document.get("tool_choice") == written
    assert losses == {}


def test_choices_that_cannot_be_carried_are_refused():
    several = ToolChoice(ToolChoiceMode.AUTO, ("add", "sub"))
    assert refused(tools=(ADD,), tool_choice=several) == "/tool_choice/names"
    assert refused(tool_choice=ToolChoice(ToolChoiceMode.REQUIRED)) == "/tool_choice"
