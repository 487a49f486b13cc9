"""Requests: members, tools, the shape of the answer, how much to think."""

import msgspec
import pytest

from arno.canon.failure import RequestError
from arno.canon.parts import CacheHint, Executor, TextPart
from arno.canon.request import (
    Output,
    Reasoning,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from arno.dialects.base import RequestLine
from arno.wire import json
from tests.dialects.gemini.building import LINE, asked, messages, user, written
from tests.laws.gemini import GEMINI

HELLO = messages((Role.USER, (TextPart(text="hi"),)))


def request(**members) -> Request:
    return msgspec.structs.replace(HELLO, **members)


def config(value: Request) -> dict:
    return written(value)[0].get("generationConfig", {})


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", ""),
        (b"[]", ""),
        (b'{"contents":[]}', "contents"),
        (b"{}", "contents"),
        (b'{"contents":"hi"}', "contents"),
        (b'{"contents":[1]}', "contents[0]"),
        (b'{"contents":[{"role":"robot","parts":[]}]}', "contents[0].role"),
        (b'{"contents":[{"parts":{"text":"x"}}]}', "contents[0].parts"),
        (b'{"contents":[{"parts":[]}],"systemInstruction":7}', "systemInstruction"),
        (b'{"contents":[{"parts":[]}],"tools":7}', "tools"),
        (b'{"contents":[{"parts":[]}],"tools":[1]}', "tools[0]"),
        (
            b'{"contents":[{"parts":[]}],"tools":[{"functionDeclarations":[{}]}]}',
            "tools[0].functionDeclarations[0].name",
        ),
        (b'{"contents":[{"parts":[]}],"toolConfig":1}', "toolConfig"),
        (b'{"contents":[{"parts":[]}],"generationConfig":1}', "generationConfig"),
        (
            b'{"contents":[{"parts":[]}],"generationConfig":{"maxOutputTokens":"5"}}',
            "generationConfig.maxOutputTokens",
        ),
        (
            b'{"contents":[{"parts":[]}],"generationConfig":{"max_output_tokens":0}}',
            "generationConfig.maxOutputTokens",
        ),
        (
            b'{"contents":[{"parts":[]}],"generationConfig":{"temperature":"hot"}}',
            "generationConfig.temperature",
        ),
    ],
)
def test_bad_requests_name_the_member(body, path):
    with pytest.raises(RequestError) as error:
        GEMINI.decode_request(body, LINE)
    assert error.value.path == path


def test_the_model_and_the_stream_stand_in_the_line():
    body = json.dumps({"contents": [user("hi")]})
    value = GEMINI.decode_request(body, RequestLine(model="tunedModels/x", stream=True))
    assert (value.model, value.stream) == ("tunedModels/x", True)
    with pytest.raises(RequestError, match="model"):
        GEMINI.decode_request(body)


def test_members_in_snake_case_mean_the_same_and_are_written_back_so():
    members = {
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "generation_config": {
            "max_output_tokens": 5,
            "stop_sequences": ["x"],
            "thinking_config": {"include_thoughts": True, "thinking_budget": 7},
            "response_mime_type": "application/json",
            "response_json_schema": {"type": "object"},
        },
        "tool_config": {
            "function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}
        },
        "tools": [
            {"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}
        ],
    }
    value = asked(user("hi"), **members)
    assert value.messages[0].role is Role.SYSTEM
    assert (value.max_output_tokens, value.stop) == (5, ("x",))
    assert value.output == Output(
        kind="schema", schema={"type": "object"}, ext=value.output.ext if value.output else {}
    )
    assert value.reasoning is not None
    assert (value.reasoning.budget, value.reasoning.exclude) == (7, False)
    assert value.tools[0].parameters == {"type": "object"}
    assert value.tool_choice == ToolChoice(ToolChoiceMode.NAMED, ("f",))
    document, losses = written(value)
    assert json.equal(document, {"contents": [user("hi")], **members})
    assert losses == {}


def test_the_gateways_own_members_are_routing():
    value = asked(user("hi"), provider={"order": ["a"]}, fallbacks=["m"], usage={"include": True})
    assert value.routing == {
        "provider": {"order": ["a"]},
        "fallbacks": ["m"],
        "usage": {"include": True},
    }


@pytest.mark.parametrize(
    ("members", "losses"),
    [
        ({"user": "u"}, {"/user": "dropped"}),
        ({"metadata": {"a": "b"}}, {"/metadata": "dropped"}),
        ({"store": True}, {"/store": "dropped"}),
        ({"store": False}, {}),
        ({"verbosity": "low"}, {"/verbosity": "dropped"}),
        ({"parallel_tool_calls": False}, {"/parallel_tool_calls": "dropped"}),
        ({"parallel_tool_calls": True}, {}),
        ({"sampling": Sampling(min_p=1)}, {"/sampling/min_p": "dropped"}),
        ({"cache_key": "k"}, {"/cache_key": "dropped"}),
        ({"include_usage": True}, {}),
        ({"tools": (Tool(name="f", cache=CacheHint()),)}, {"/tools/0/cache": "dropped"}),
        (
            {"tools": (Tool(name="web", kind="provider", type="web_search"),)},
            {"/tools/0": "dropped"},
        ),
        ({"ext": {"chat": {"top_a": 1, "@note": 1, "empty": None}}}, {"/ext/top_a": "dropped"}),
    ],
)
def test_what_has_no_place_is_told(members, losses):
    assert written(request(**members))[1] == losses


def test_promises_are_kept_or_refused():
    assert config(request(stop=("a",) * 5, n=2, max_output_tokens=9)) == {
        "stopSequences": ["a"] * 5,
        "candidateCount": 2,
        "maxOutputTokens": 9,
    }
    with pytest.raises(RequestError) as many:
        written(request(stop=("a",) * 6))
    assert many.value.path == "/stop"
    with pytest.raises(RequestError) as custom:
        written(request(tools=(Tool(name="patch", kind="custom"),)))
    assert custom.value.path == "/tools/0/format"


@pytest.mark.parametrize(
    ("choice", "strict", "expected"),
    [
        (None, None, None),
        (ToolChoice(ToolChoiceMode.AUTO), None, {"mode": "AUTO"}),
        (ToolChoice(ToolChoiceMode.NONE), True, {"mode": "NONE"}),
        (ToolChoice(ToolChoiceMode.REQUIRED), True, {"mode": "ANY"}),
        (None, True, {"mode": "VALIDATED"}),
        (ToolChoice(ToolChoiceMode.AUTO), True, {"mode": "VALIDATED"}),
        (
            ToolChoice(ToolChoiceMode.AUTO, ("f",)),
            None,
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
        (
            ToolChoice(ToolChoiceMode.NAMED, ("f",)),
            None,
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_how_free_the_model_is(choice, strict, expected):
    document, losses = written(request(tools=(Tool(name="f", strict=strict),), tool_choice=choice))
    assert losses == {}
    assert document.get("toolConfig") == (expected and {"functionCallingConfig": expected})


def test_strict_for_one_is_strict_for_all():
    tools = (Tool(name="f", strict=True), Tool(name="g"))
    assert written(request(tools=tools))[1] == {"/tools/1/strict": "approximated"}
    value = asked(
        user("hi"),
        tools=[{"functionDeclarations": [{"name": "f"}]}],
        toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}},
    )
    assert value.tools[0].strict is True
    assert value.tool_choice == ToolChoice(ToolChoiceMode.AUTO)


def test_tools_of_the_provider_stand_beside_functions_and_come_back():
    tools = [
        {"googleSearch": {}, "functionDeclarations": [{"name": "f"}, {"name": "g"}]},
        {"urlContext": {}},
        {"functionDeclarations": []},
    ]
    value = asked(user("hi"), tools=tools)
    kinds = [(tool.name, tool.kind, tool.executor) for tool in value.tools]
    assert kinds[:4] == [
        ("googleSearch", "provider", Executor.PROVIDER),
        ("f", "function", Executor.CLIENT),
        ("g", "function", Executor.CLIENT),
        ("urlContext", "provider", Executor.PROVIDER),
    ]
    assert written(value) == ({"contents": [user("hi")], "tools": tools}, {})


def test_the_vendors_schema_language_is_read_and_json_schema_is_written():
    old = {
        "type": "OBJECT",
        "properties": {"n": {"type": "INTEGER", "nullable": True}, "l": {"type": "ARRAY"}},
        "minProperties": "1",
    }
    value = asked(user("hi"), tools=[{"functionDeclarations": [{"name": "f", "parameters": old}]}])
    schema = {
        "type": "object",
        "properties": {"n": {"type": ["integer", "null"]}, "l": {"type": "array"}},
        "minProperties": 1,
    }
    assert value.tools[0].parameters == schema
    declared = written(value)[0]["tools"][0]["functionDeclarations"][0]
    assert declared == {"name": "f", "parameters": old}
    full = {"$defs": {"a": {"const": 1}}, "anyOf": [{"$ref": "#/$defs/a"}]}
    fresh = request(tools=(Tool(name="f", parameters=full),))
    declared = written(fresh)[0]["tools"][0]["functionDeclarations"][0]
    assert declared == {"name": "f", "parametersJsonSchema": full}


@pytest.mark.parametrize(
    ("output", "members"),
    [
        (Output(kind="text"), {"responseMimeType": "text/plain"}),
        (Output(kind="json"), {"responseMimeType": "application/json"}),
        (
            Output(kind="schema", schema={"type": "object"}, name="x", strict=True),
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
    ],
)
def test_the_shape_of_the_answer(output, members):
    assert config(request(output=output)) == members
    assert written(request(output=output))[1] == {}
    read = asked(user("hi"), generationConfig=members).output
    assert read is not None
    assert (read.kind, read.schema) == (output.kind, output.schema)


def test_shapes_that_only_this_wire_has_are_kept():
    enum = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}
    value = asked(user("hi"), generationConfig=enum)
    assert value.output is None
    assert config(value) == enum
    old = {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}}
    value = asked(user("hi"), generationConfig=old)
    assert value.output is not None
    assert value.output.schema == {"type": "string"}
    assert config(value) == old


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "losses"),
    [
        ("gemini-3-pro", Reasoning(effort="high"), {"thinkingLevel": "HIGH"}, {}),
        ("gemini-3-pro", Reasoning(budget=99), {"thinkingBudget": 99}, {}),
        ("gemini-2.5-pro", Reasoning(effort="high"), {"thinkingBudget": 24576}, {}),
        ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}, {}),
        ("gemini-2.5-flash", Reasoning(enabled=True), {"thinkingBudget": -1}, {}),
        ("gemini-2.5-flash", Reasoning(enabled=False), {"thinkingBudget": 0}, {}),
        ("gemini-3-pro", Reasoning(enabled=True), {}, {}),
        (
            "gemini-3-pro",
            Reasoning(effort="xhigh"),
            {"thinkingLevel": "HIGH"},
            {"/reasoning/effort": "approximated"},
        ),
        (
            "gemini-3-pro",
            Reasoning(effort="none"),
            {"thinkingLevel": "MINIMAL"},
            {"/reasoning/effort": "approximated"},
        ),
        (
            "gemini-3-pro",
            Reasoning(effort="low", budget=5, summary="detailed"),
            {"thinkingBudget": 5},
            {"/reasoning/effort": "dropped", "/reasoning/summary": "dropped"},
        ),
    ],
)
def test_how_much_to_think(model, reasoning, thinking, losses):
    document, lost = written(request(model=model, reasoning=reasoning))
    assert document["generationConfig"]["thinkingConfig"] == {**thinking, "includeThoughts": True}
    assert lost == losses


def test_thoughts_are_hidden_only_where_they_are_excluded():
    shown = config(request(reasoning=Reasoning(effort="low", exclude=True)))
    assert shown["thinkingConfig"] == {"thinkingLevel": "LOW", "includeThoughts": False}
    native = asked(user("hi"), generationConfig={"thinkingConfig": {"thinkingLevel": "LOW"}})
    assert native.reasoning is not None
    assert (native.reasoning.effort, native.reasoning.exclude) == ("low", None)
    assert config(native) == {"thinkingConfig": {"thinkingLevel": "LOW"}}


@pytest.mark.parametrize(("budget", "enabled"), [(0, False), (-1, True)])
def test_budgets_that_are_switches(budget, enabled):
    value = asked(user("hi"), generationConfig={"thinkingConfig": {"thinkingBudget": budget}})
    assert value.reasoning is not None
    assert (value.reasoning.enabled, value.reasoning.budget) == (enabled, None)
    assert config(value) == {"thinkingConfig": {"thinkingBudget": budget}}


def test_asking_for_text_asks_for_nothing():
    value = asked(user("hi"), generationConfig={"responseModalities": ["TEXT"]})
    assert value.ext["gemini"]["generationConfig"] == {}
    assert config(value) == {"responseModalities": ["TEXT"]}
    speech = asked(user("hi"), generationConfig={"responseModalities": ["AUDIO"]})
    assert speech.ext["gemini"]["generationConfig"] == {"responseModalities": ["AUDIO"]}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/models/gemini-2.5-flash:generateContent"),
        ("models/x", "/models/x:generateContent"),
        ("tunedModels/x", "/tunedModels/x:generateContent"),
        ("publishers/google/models/x", "/publishers/google/models/x:generateContent"),
        (
            "projects/p/locations/l/endpoints/1",
            "/projects/p/locations/l/endpoints/1:generateContent",
        ),
        ("tunedModels/x:delete", "/tunedModels/x%3Adelete:generateContent"),
        ("models", "/models/models:generateContent"),
        ("team/x-y:1", "/models/team%2Fx-y%3A1:generateContent"),
    ],
)
def test_the_path_of_a_model(model, path):
    assert GEMINI.path(model, stream=False) == path
    stream = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    assert GEMINI.path(model, stream=True) == stream
