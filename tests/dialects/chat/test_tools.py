"""Tools and the choice among them, in the words of today and in older ones."""

from typing import Any

import pytest

from arno.canon.failure import RequestError
from arno.canon.parts import Executor
from arno.canon.request import Message, Request, Role, Tool, ToolChoice, ToolChoiceMode
from arno.wire import json
from tests.laws.harness import CHAT

FUNCTION = {"type": "function", "function": {"name": "f"}}
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FUNCTION, CUSTOM]}}


def asked(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "q"}], **members})


def sent(**members: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What another dialect's request with these members becomes, and what was lost."""
    request = Request(model="m", messages=(Message(role=Role.USER),), **members)
    body, losses = CHAT.encode_request(request)
    document: Any = json.loads(body)
    return document, [(loss.path, loss.action) for loss in losses]


CHOICES: dict[str, tuple[dict[str, Any], ToolChoice | None]] = {
    "auto": ({"tool_choice": "auto"}, ToolChoice(ToolChoiceMode.AUTO)),
    "none": ({"tool_choice": "none"}, ToolChoice(ToolChoiceMode.NONE)),
    "required": ({"tool_choice": "required"}, ToolChoice(ToolChoiceMode.REQUIRED)),
    "a function": ({"tool_choice": FUNCTION}, ToolChoice(ToolChoiceMode.NAMED, ("f",))),
    "a custom tool": ({"tool_choice": CUSTOM}, ToolChoice(ToolChoiceMode.NAMED, ("c",))),
    "some": ({"tool_choice": ALLOWED}, ToolChoice(ToolChoiceMode.AUTO, ("f", "c"))),
    "older auto": ({"function_call": "auto"}, ToolChoice(ToolChoiceMode.AUTO)),
    "an older name": ({"function_call": {"name": "f"}}, ToolChoice(ToolChoiceMode.NAMED, ("f",))),
    "both": (
        {"function_call": "none", "tool_choice": "auto"},
        ToolChoice(ToolChoiceMode.AUTO),
    ),
    "an unknown word": ({"tool_choice": "any"}, None),
    "an unknown kind": ({"tool_choice": {"type": "new", "new": {"name": "f"}}}, None),
    "no name": ({"tool_choice": {"type": "function", "function": {}}}, None),
    "none is allowed": (
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
        None,
    ),
    "no older name": ({"function_call": {"name": ""}}, None),
}


@pytest.mark.parametrize("case", CHOICES)
def test_a_choice_is_read_and_written_in_its_own_words(case: str) -> None:
    members, choice = CHOICES[case]
    body = asked(**members)
    request = CHAT.decode_request(body)
    assert request.tool_choice == choice
    again, losses = CHAT.encode_request(request)
    assert json.equal(json.loads(again), json.loads(body))
    assert not losses


TOOLS = (Tool(name="f"), Tool(name="c", kind="custom"))


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(ToolChoiceMode.NAMED, ("f",)), FUNCTION),
        (ToolChoice(ToolChoiceMode.NAMED, ("c",)), CUSTOM),
        (ToolChoice(ToolChoiceMode.NAMED), "required"),
        (ToolChoice(ToolChoiceMode.AUTO, ("f", "c")), ALLOWED),
        (ToolChoice(ToolChoiceMode.NONE, ("f",)), "none"),
    ],
)
def test_a_choice_of_another_dialect_names_tools_by_their_kind(
    choice: ToolChoice, written: Any
) -> None:
    document, losses = sent(tools=TOOLS, tool_choice=choice)
    assert document["tool_choice"] == written
    assert not losses


def test_a_choice_that_was_changed_is_not_said_in_its_old_words() -> None:
    request = CHAT.decode_request(asked(function_call={"name": "f"}))
    changed = Request(
        model="m",
        messages=request.messages,
        tool_choice=ToolChoice(ToolChoiceMode.REQUIRED),
        ext=request.ext,
    )
    document: Any = json.loads(CHAT.encode_request(changed)[0])
    assert document["tool_choice"] == "required"
    assert "function_call" not in document


GRAMMAR = {"syntax": "lark", "definition": "start: WORD"}


@pytest.mark.parametrize(
    ("wire", "canonical"),
    [
        ({"type": "grammar", "grammar": GRAMMAR}, {"type": "grammar", **GRAMMAR}),
        ({"type": "text"}, {"type": "text"}),
        ({"type": "grammar", "grammar": {"type": "x"}}, None),
        ({"type": "grammar", "grammar": {"grammar": "x"}}, None),
        ({"type": "grammar", "grammar": GRAMMAR, "new": 1}, None),
        ("text", None),
    ],
)
def test_formats_of_custom_tools(wire: Any, canonical: Any) -> None:
    """A grammar lies flat, as the other wires have it; what is not plain stays as it is."""
    tools = [{"type": "custom", "custom": {"name": "c", "format": wire}}]
    request = CHAT.decode_request(asked(tools=tools))
    assert request.tools[0].format == (wire if canonical is None else canonical)
    document: Any = json.loads(CHAT.encode_request(request)[0])
    assert document["tools"] == tools


def test_tools_of_the_gateway_itself_are_the_providers_to_run() -> None:
    tool = {"type": "openrouter:web_search", "parameters": {"max_results": 2}}
    request = CHAT.decode_request(asked(tools=[tool, FUNCTION]))
    assert [each.executor for each in request.tools] == [Executor.PROVIDER, Executor.CLIENT]
    document: Any = json.loads(CHAT.encode_request(request)[0])
    assert document["tools"] == [tool, FUNCTION]


def test_what_no_chat_request_can_say_of_a_tool_is_told() -> None:
    built_in = Tool(name="bash", kind="provider", type="bash_1", ext={"other": {"type": "bash_1"}})
    odd = Tool(name="f", deferred=True, ext={"other": {"new": 1, "@note": 2}})
    document, losses = sent(tools=(built_in, odd))
    assert document["tools"] == [FUNCTION]
    assert losses == [
        ("/tools/0", "dropped"),
        ("/tools/1/new", "dropped"),
        ("/tools/1/deferred", "dropped"),
    ]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"functions": [5]}, "functions[0]"),
        ({"functions": [{"description": "x"}]}, "functions[0].name"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name"),
    ],
)
def test_tools_that_cannot_be_read_are_named(members: dict[str, Any], path: str) -> None:
    with pytest.raises(RequestError) as refused:
        CHAT.decode_request(asked(**members))
    assert refused.value.path == path


def test_tools_and_functions_stand_where_they_stood() -> None:
    body = asked(tools=[FUNCTION], functions=[{"name": "g", "new": 1}])
    request = CHAT.decode_request(body)
    assert [tool.name for tool in request.tools] == ["f", "g"]
    assert json.equal(json.loads(CHAT.encode_request(request)[0]), json.loads(body))
