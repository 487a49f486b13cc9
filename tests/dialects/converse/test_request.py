"""Requests: what is mapped, what is lost and told, what is refused; row by row."""

from typing import Any

import msgspec
import pytest

from arno.canon.failure import RequestError
from arno.canon.parts import (
    CacheHint,
    Executor,
    OpaquePart,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.request import (
    Message,
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
from tests.dialects.converse.building import LINE, asked, complaints, content_of, written
from tests.laws.converse_harness import CONVERSE

HI = TextPart(text="hi")
TOOL = Tool(name="f", parameters={"type": "object"})
CALL = ToolCallPart(call_id="weather:0", name="f", arguments='{"b": 1,"a":2}')
OWN = "anthropic-claude-v1"

LOSSES: dict[str, tuple[Request, list[tuple[str, str]]]] = {
    "top_k": (asked(HI, sampling=Sampling(top_k=4)), [("/sampling/top_k", "dropped")]),
    "seed": (asked(HI, sampling=Sampling(seed=4)), [("/sampling/seed", "dropped")]),
    "logprobs": (asked(HI, sampling=Sampling(logprobs=True)), [("/sampling/logprobs", "dropped")]),
    "no logprobs": (asked(HI, sampling=Sampling(logprobs=False, top_logprobs=0)), []),
    "hot": (
        asked(HI, sampling=Sampling(temperature=2)),
        [("/sampling/temperature", "approximated")],
    ),
    "one call at a time": (
        asked(HI, parallel_tool_calls=False),
        [("/parallel_tool_calls", "dropped")],
    ),
    "calls side by side": (asked(HI, parallel_tool_calls=True), []),
    "user": (asked(HI, user="u"), [("/user", "dropped")]),
    "kept": (asked(HI, store=True), [("/store", "dropped")]),
    "not kept": (asked(HI, store=False), []),
    "cache key": (asked(HI, cache_key="k"), [("/cache_key", "dropped")]),
    "tier": (asked(HI, service_tier="scale"), [("/service_tier", "dropped")]),
    "any tier": (asked(HI, service_tier="auto"), []),
    "effort of another scale": (
        asked(HI, reasoning=Reasoning(effort="minimal")),
        [("/reasoning/effort", "approximated")],
    ),
    "hidden": (asked(HI, reasoning=Reasoning(exclude=True)), [("/reasoning/exclude", "dropped")]),
    "summaries": (
        asked(HI, reasoning=Reasoning(summary="auto")),
        [("/reasoning/summary", "dropped")],
    ),
    "a label with odd characters": (
        asked(HI, metadata={"a/b": "!"}),
        [("/metadata/a~1b", "dropped")],
    ),
    "too many labels": (
        asked(HI, metadata={f"k{n}": "v" for n in range(17)}),
        [("/metadata/k16", "dropped")],
    ),
    "one answer": (asked(HI, n=1), []),
    "plain text": (asked(HI, output=Output("text")), []),
    "name": (
        Request("m", (Message(Role.USER, (HI,), name="ann"),)),
        [("/messages/0/name", "dropped")],
    ),
    "developer": (
        Request("m", (Message(Role.DEVELOPER, (HI,)), Message(Role.USER, (HI,)))),
        [("/messages/0/role", "renamed")],
    ),
    "late system": (
        Request("m", (Message(Role.USER, (HI,)), Message(Role.SYSTEM, (HI,)))),
        [("/messages/1", "approximated")],
    ),
    "invalid arguments": (
        asked(
            ToolCallPart(call_id="a", name="f", arguments="{"), role=Role.ASSISTANT, tools=(TOOL,)
        ),
        [("/messages/0/parts/0/arguments", "approximated")],
    ),
    "name space": (
        asked(
            ToolCallPart(call_id="a", name="f", namespace="n"), role=Role.ASSISTANT, tools=(TOOL,)
        ),
        [("/messages/0/parts/0/namespace", "dropped")],
    ),
    "a call of text": (
        asked(
            ToolCallPart(call_id="a", name="f", kind="custom"), role=Role.ASSISTANT, tools=(TOOL,)
        ),
        [("/messages/0/parts/0/kind", "approximated")],
    ),
    "no thinking": (
        asked(HI, reasoning=Reasoning(enabled=False)),
        [("/reasoning/enabled", "approximated")],
    ),
    "no effort": (
        asked(HI, reasoning=Reasoning(effort="none", enabled=False)),
        [("/reasoning/effort", "approximated")],
    ),
    "a long id": (
        asked(ToolCallPart(call_id="i" * 94, name="f"), role=Role.ASSISTANT, tools=(TOOL,)),
        [("/messages/0/parts/0/call_id", "renamed")],
    ),
    "refusal": (
        asked(RefusalPart(text="no"), role=Role.ASSISTANT),
        [("/messages/0/parts/0", "approximated")],
    ),
    "reasoning of another": (
        asked(ReasoningPart(text="t", signature="s", format="x"), HI, role=Role.ASSISTANT),
        [("/messages/0/parts/0", "dropped")],
    ),
    "reasoning without a proof": (
        asked(ReasoningPart(text="t"), HI, role=Role.ASSISTANT),
        [("/messages/0/parts/0", "dropped")],
    ),
    "signature on a call": (
        asked(
            ToolCallPart(call_id="a", name="f", signature="s", format="x"),
            role=Role.ASSISTANT,
            tools=(TOOL,),
        ),
        [("/messages/0/parts/0/signature", "dropped")],
    ),
    "run by another": (
        asked(ToolCallPart(call_id="a", name="f", executor=Executor.PROVIDER), HI),
        [("/messages/0/parts/0", "dropped")],
    ),
    "of another dialect": (
        asked(OpaquePart(dialect="chat", document={}), HI),
        [("/messages/0/parts/0", "dropped")],
    ),
    "members of another dialect": (
        asked(HI, ext={"chat": {"prediction": 1, "@limit": "x"}}),
        [("/prediction", "dropped")],
    ),
    "citations": (
        asked(TextPart(text="a", annotations=({"type": "url_citation"},)), role=Role.ASSISTANT),
        [("/messages/0/parts/0/annotations", "dropped")],
    ),
    "a cache of another age": (
        asked(TextPart(text="a", cache=CacheHint("24h"))),
        [("/messages/0/parts/0/cache", "approximated")],
    ),
    "a cache point in a result": (
        Request(
            "m",
            (
                Message(
                    Role.TOOL,
                    (ToolResultPart(call_id="a", parts=(TextPart(text="x", cache=CacheHint()),)),),
                ),
            ),
            tools=(TOOL,),
        ),
        [("/messages/0/parts/0/parts", "approximated")],
    ),
    "a tool of another provider": (
        asked(HI, tools=(Tool(name="search", kind="provider", type="web_search"),)),
        [("/tools/0", "dropped")],
    ),
    "a tool loaded later": (
        asked(HI, tools=(Tool(name="f", parameters={"type": "object"}, deferred=True),)),
        [("/tools/0/deferred", "dropped")],
    ),
    "a schema of anything": (
        asked(HI, tools=(Tool(name="f", parameters={"anyOf": []}),)),
        [("/tools/0/parameters", "approximated")],
    ),
    "a tool without a schema": (asked(HI, tools=(Tool(name="f"),)), []),
    "no tool now": (
        asked(HI, tools=(TOOL,), tool_choice=ToolChoice(ToolChoiceMode.NONE)),
        [("/tool_choice", "approximated")],
    ),
}


@pytest.mark.parametrize(("request_", "losses"), LOSSES.values(), ids=LOSSES)
def test_what_is_lost_is_told(request_: Request, losses: list[tuple[str, str]]) -> None:
    document, told = written(request_)
    assert told == losses
    assert complaints(document) == ""
    assert document["messages"]


REFUSED: dict[str, tuple[Request, str]] = {
    "several answers": (asked(HI, n=2), "/n"),
    "JSON of any kind": (asked(HI, output=Output("json")), "/output/kind"),
    "a custom tool": (asked(HI, tools=(Tool(name="f", kind="custom"),)), "/tools/0/kind"),
    "a grammar": (
        asked(HI, tools=(Tool(name="f", kind="custom", format={"type": "grammar"}),)),
        "/tools/0/format",
    ),
    "one of several tools": (
        asked(HI, tools=(TOOL,), tool_choice=ToolChoice(ToolChoiceMode.REQUIRED, ("f", "g"))),
        "/tool_choice/names",
    ),
    "no turn": (Request("m", (Message(Role.SYSTEM, (HI,)),)), "/messages"),
    "some tool, and there is none": (
        asked(HI, tool_choice=ToolChoice(ToolChoiceMode.REQUIRED)),
        "/tool_choice",
    ),
    "no tool, and there were calls": (
        Request(
            "m",
            (Message(Role.USER, (HI,)), Message(Role.ASSISTANT, (CALL,))),
            tools=(TOOL,),
            tool_choice=ToolChoice(ToolChoiceMode.NONE),
        ),
        "/tool_choice",
    ),
}


@pytest.mark.parametrize(("request_", "path"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_promised_is_refused(request_: Request, path: str) -> None:
    with pytest.raises(RequestError) as caught:
        CONVERSE.encode_request(request_)
    assert caught.value.path == path


def test_results_stand_first_in_one_turn_of_the_user() -> None:
    """R16: three calls, three results, then text; and the same back."""
    calls = tuple(ToolCallPart(call_id=f"c{n}", name="f", arguments="{}") for n in range(3))
    results = [
        Message(Role.TOOL, (ToolResultPart(call_id=f"c{n}", parts=(HI,)),)) for n in range(3)
    ]
    talk = (Message(Role.USER, (HI,)), Message(Role.ASSISTANT, calls))
    request = Request("m", (*talk, *results, Message(Role.USER, (TextPart(text="go on"),))))
    request = msgspec.structs.replace(request, tools=(TOOL,))
    document, losses = written(request)
    assert losses == []
    assert [turn["role"] for turn in document["messages"]] == ["user", "assistant", "user"]
    kinds = [next(iter(block)) for block in document["messages"][2]["content"]]
    assert kinds == ["toolResult", "toolResult", "toolResult", "text"]
    again = CONVERSE.decode_request(json.dumps(document), LINE)
    assert [message.role for message in again.messages] == [m.role for m in request.messages]
    assert CONVERSE.encode_request(again)[0] == CONVERSE.encode_request(request)[0]


def test_text_before_a_result_moves_behind_it_unless_it_came_so() -> None:
    parts: list[Any] = [{"text": "a"}, {"toolResult": {"toolUseId": "c", "content": []}}]
    native = {"messages": [{"role": "user", "content": parts}]}
    body, losses = CONVERSE.encode_request(CONVERSE.decode_request(json.dumps(native), LINE))
    assert json.loads(body) == native
    assert losses == ()
    messages = (
        Message(Role.USER, (TextPart(text="a"),)),
        Message(Role.TOOL, (ToolResultPart(call_id="c"),)),
    )
    (turn,) = written(Request("m", messages))[0]["messages"]
    assert turn["content"] == parts[::-1]


def test_turns_alternate() -> None:
    """Turns of one role are one turn; an empty one is none."""
    messages = (
        Message(Role.USER, (HI,)),
        Message(Role.USER, (TextPart(text="there"),)),
        Message(Role.ASSISTANT, (ReasoningPart(text="t"),)),
        Message(Role.USER, (TextPart(text="?"),)),
    )
    document, _ = written(Request("m", messages))
    assert [turn["role"] for turn in document["messages"]] == ["user"]
    native: Any = {
        "messages": [
            {"role": "user", "content": [{"text": "a"}]},
            {"role": "user", "content": [{"text": "b"}]},
            {"role": "user", "content": []},
        ]
    }
    assert (
        json.loads(CONVERSE.encode_request(CONVERSE.decode_request(json.dumps(native), LINE))[0])
        == native
    )


def test_calls_of_tools_that_are_not_offered_have_stand_ins() -> None:
    """The wire refuses calls in a conversation without a tool of that name."""
    calls = [
        ToolCallPart(call_id=str(n), name=name, arguments="{}") for n, name in enumerate("ffg")
    ]
    document, losses = written(asked(*calls, role=Role.ASSISTANT))
    specs = [tool["toolSpec"] for tool in document["toolConfig"]["tools"]]
    assert [spec["name"] for spec in specs] == ["f", "g"]
    assert all("do not call it" in spec["description"] for spec in specs)
    assert losses == [("/tools", "approximated")]
    assert not complaints(document)
    for part in (HI, msgspec.structs.replace(calls[0], executor=Executor.PROVIDER)):
        assert "toolConfig" not in written(asked(part, HI, role=Role.ASSISTANT))[0]


def test_arguments_keep_their_bytes_and_ids_come_back() -> None:
    """R15: what the wire forbids is escaped, and read back."""
    (block,) = content_of(asked(CALL, role=Role.ASSISTANT))
    assert block["toolUse"]["toolUseId"] == "arno-weather_3a0"
    body, _ = CONVERSE.encode_request(asked(CALL, role=Role.ASSISTANT))
    assert b'"input":{"b": 1,"a":2}' in body
    (message,) = CONVERSE.decode_request(body, LINE).messages
    (part,) = message.parts
    assert isinstance(part, ToolCallPart)
    assert (part.call_id, part.arguments) == (CALL.call_id, CALL.arguments)


def test_a_document_over_several_lines_is_made_one_line() -> None:
    pretty = b'{"messages": [{"role": "assistant", "content": [{"toolUse": {"toolUseId": "a",\n'
    pretty += b'"name": "f", "input": {\n  "a": 1\n}}}]}]}'
    (message,) = CONVERSE.decode_request(pretty, LINE).messages
    (part,) = message.parts
    assert isinstance(part, ToolCallPart)
    assert part.arguments == '{"a":1}'


ARTEFACTS: dict[str, tuple[ReasoningPart, Any]] = {
    "signed": (
        ReasoningPart(text="t", signature="s", format=OWN),
        {"reasoningText": {"text": "t", "signature": "s"}},
    ),
    "redacted": (
        ReasoningPart(form=ReasoningForm.REDACTED, sealed="abc", format=OWN),
        {"redactedContent": "YWJj"},
    ),
}


@pytest.mark.parametrize(("part", "inner"), ARTEFACTS.values(), ids=ARTEFACTS)
def test_artefacts_go_back_to_where_they_can_be_read(part: ReasoningPart, inner: Any) -> None:
    """R18: those of the family's own wire are the same here."""
    assert content_of(asked(part, role=Role.ASSISTANT)) == [{"reasoningContent": inner}]


REASONING: dict[str, tuple[Reasoning, Any]] = {
    "effort": (Reasoning(effort="high"), {"outputConfig": {"effort": "high"}}),
    "budget": (
        Reasoning(budget=2048),
        {
            "additionalModelRequestFields": {
                "thinking": {"type": "enabled", "budget_tokens": 2048},
            }
        },
    ),
    "on": (
        Reasoning(enabled=True),
        {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}},
    ),
}


@pytest.mark.parametrize(("reasoning", "members"), REASONING.values(), ids=REASONING)
def test_reasoning(reasoning: Reasoning, members: Any) -> None:
    document, losses = written(asked(HI, reasoning=reasoning))
    assert losses == []
    del document["messages"]
    assert document == members


def test_a_schema_is_text_on_the_wire_and_comes_back_as_it_was_written() -> None:
    text = '{ "type":"object" }'
    inner = {"name": "n", "description": "d", "schema": text}
    format_ = {"type": "json_schema", "structure": {"jsonSchema": inner}}
    turn = {"role": "user", "content": [{"text": "a"}]}
    document = {"messages": [turn], "outputConfig": {"textFormat": format_}}
    request = CONVERSE.decode_request(json.dumps(document), LINE)
    assert request.output is not None
    assert request.output.schema == {"type": "object"}
    assert json.equal(json.loads(CONVERSE.encode_request(request)[0]), document)


def test_a_cache_point_for_all_stands_at_the_end() -> None:
    assert content_of(asked(HI, cache=CacheHint()))[-1] == {"cachePoint": {"type": "default"}}
    marked = asked(TextPart(text="a", cache=CacheHint("1h")), cache=CacheHint())
    assert content_of(marked)[1:] == [{"cachePoint": {"type": "default", "ttl": "1h"}}]


def test_routing_reaches_no_upstream_of_another_dialect() -> None:
    """R14."""
    document, losses = written(asked(HI, routing={"provider": {"order": ["a"]}}))
    assert document.keys() == {"messages"}
    assert losses == []


BAD: dict[str, tuple[Any, str]] = {
    "no object": ([], ""),
    "no messages": ({}, "messages"),
    "messages of another type": ({"messages": {}}, "messages"),
    "no message": ({"messages": ["a"]}, "messages[0]"),
    "another role": ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
    "content as text": ({"messages": [{"role": "user", "content": "a"}]}, "messages[0].content"),
    "system as text": (
        {"messages": [{"role": "user", "content": []}], "system": "a"},
        "system",
    ),
    "a limit as text": (
        {"messages": [{"role": "user", "content": []}], "inferenceConfig": {"maxTokens": "a"}},
        "inferenceConfig",
    ),
    "tools as text": (
        {"messages": [{"role": "user", "content": []}], "toolConfig": {"tools": "a"}},
        "toolConfig.tools",
    ),
    "a tool without a name": (
        {
            "messages": [{"role": "user", "content": []}],
            "toolConfig": {"tools": [{"toolSpec": {}}]},
        },
        "toolConfig.tools[0].toolSpec.name",
    ),
}


@pytest.mark.parametrize(("document", "path"), BAD.values(), ids=BAD)
def test_a_bad_request_names_the_member(document: Any, path: str) -> None:
    with pytest.raises(RequestError) as caught:
        CONVERSE.decode_request(json.dumps(document), LINE)
    assert caught.value.path == path
    assert caught.value.message


def test_the_path_says_the_model_and_the_stream() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": [{"text": "a"}]}]})
    request = CONVERSE.decode_request(body, RequestLine(model="a.b", stream=True))
    assert (request.model, request.stream) == ("a.b", True)
    with pytest.raises(RequestError):
        CONVERSE.decode_request(body)


def test_paths() -> None:
    assert CONVERSE.path("a.b-v1:0", stream=False) == "/model/a.b-v1%3A0/converse"
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/x"
    assert CONVERSE.path(arn, stream=True) == (
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse-stream"
    )
