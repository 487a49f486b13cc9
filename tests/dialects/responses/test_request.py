"""Requests of the responses dialect, both ways: what the golden files and the laws do not show."""

from typing import Any

import pytest

from arno.canon.failure import RequestError
from arno.canon.parts import (
    CacheHint,
    Executor,
    MediaKind,
    MediaPart,
    OpaquePart,
    ReasoningForm,
    ReasoningPart,
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
from arno.dialects import tags
from arno.dialects.responses.artefacts import OWN_FORMAT
from arno.wire import json
from tests.laws.responses import RESPONSES

HELLO = (Message(Role.USER, (TextPart(text="Hi"),)),)
LONG_ID = "a" * 70


def decode(**members: Any) -> Request:
    return RESPONSES.decode_request(json.dumps({"model": "m", "input": "Hi", **members}))


def encode(request: Request) -> tuple[Any, list[tuple[str, str]]]:
    body, losses = RESPONSES.encode_request(request)
    return json.loads(body), [(loss.path, loss.action) for loss in losses]


def asked(*parts: Any, **members: Any) -> Request:
    return Request(model="m", messages=(*HELLO, Message(Role.ASSISTANT, parts)), **members)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": 1}, "model"),
    "no model": ({"model": ""}, "model"),
    "input": ({"input": 3}, "input"),
    "item": ({"input": ["x"]}, "input[0]"),
    "role": ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
    "nameless call": ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
    "stream": ({"stream": "yes"}, "stream"),
    "limit": ({"max_output_tokens": "many"}, "max_output_tokens"),
    "store": ({"store": 1}, "store"),
    "tools": ({"tools": {"a": 1}}, "tools"),
    "tool": ({"tools": [1]}, "tools[0]"),
    "typeless tool": ({"tools": [{"name": "a"}]}, "tools[0].type"),
    "nameless tool": ({"tools": [{"type": "function"}]}, "tools[0].name"),
    "strict": ({"tools": [{"type": "function", "name": "a", "strict": 1}]}, "tools[0].strict"),
    "choice": ({"tool_choice": "any"}, "tool_choice"),
    "nameless choice": ({"tool_choice": {"type": "function"}}, "tool_choice"),
    "allowed": ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
    "effort": ({"reasoning": {"effort": 3}}, "reasoning.effort"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_named(case: str) -> None:
    members, path = BAD[case]
    with pytest.raises(RequestError) as caught:
        decode(**members)
    assert caught.value.path == path


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": "m", "input": "\xff"}'])
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        RESPONSES.decode_request(body)


def test_loose_items_are_read() -> None:
    """Messages without a type, reasoning without an id, as agents send them."""
    request = decode(
        input=[
            {"role": "user", "content": "Hi"},
            {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
        ]
    )
    turn = request.messages[1]
    assert [type(part) for part in turn.parts] == [ReasoningPart, TextPart]


def test_items_of_a_turn_are_one_message_and_results_one_each() -> None:
    """R16, both ways: three calls, three results, then text."""
    calls = [
        {"type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": "{}"}
        for n in range(3)
    ]
    results = [
        {"type": "function_call_output", "call_id": f"c{n}", "output": str(n)} for n in range(3)
    ]
    items = [*calls, *results, {"role": "user", "content": "and?"}]
    request = decode(input=items)
    roles = [message.role for message in request.messages]
    assert roles == [Role.ASSISTANT, Role.TOOL, Role.TOOL, Role.TOOL, Role.USER]
    assert len(request.messages[0].parts) == 3
    bare = tuple(
        Message(message.role, tuple(_without_ext(part) for part in message.parts))
        for message in request.messages
    )
    document, losses = encode(Request(model="m", messages=bare))
    assert (document["input"], losses) == (items, [])


def _without_ext(part: Any) -> Any:
    members = {name: getattr(part, name) for name in part.__struct_fields__}
    parts = members.get("parts", ())
    members |= {"ext": {}, "item": None}
    if parts:
        members["parts"] = tuple(map(_without_ext, parts))
    return type(part)(**members)


def test_results_among_other_parts_come_first() -> None:
    result = ToolResultPart(call_id="c", parts=(TextPart(text="40"),))
    message = Message(Role.USER, (TextPart(text="and?"), result))
    document, _ = encode(Request(model="m", messages=(message,)))
    assert [item.get("type", item.get("role")) for item in document["input"]] == [
        "function_call_output",
        "user",
    ]


def test_a_custom_call_has_a_custom_result() -> None:
    call = ToolCallPart(call_id="c", name="sh", arguments="ls", kind="custom")
    result = Message(Role.TOOL, (ToolResultPart(call_id="c", value={"ok": True}),))
    request = asked(call)
    document, _ = encode(Request(model="m", messages=(*request.messages, result)))
    assert document["input"][-1] == {
        "type": "custom_tool_call_output",
        "call_id": "c",
        "output": '{"ok":true}',
    }


def test_long_ids_of_calls_are_shortened_alike() -> None:
    """R15: call and result still fit together; the client is told of the other name."""
    result = Message(Role.TOOL, (ToolResultPart(call_id=LONG_ID),))
    request = asked(ToolCallPart(call_id=LONG_ID, name="f", arguments="{}"))
    document, losses = encode(Request(model="m", messages=(*request.messages, result)))
    assert losses == [("/messages/1/parts/0/call_id", "renamed")]
    assert encode(asked(ToolCallPart(call_id="weather:0", name="f", arguments="{}")))[1] == []
    ids = {item["call_id"] for item in document["input"] if "call_id" in item}
    assert len(ids) == 1
    assert len(ids.pop()) <= 64


def test_the_systems_first_words_are_instructions() -> None:
    first = Message(Role.SYSTEM, (TextPart(text="Be brief."),))
    second = Message(Role.SYSTEM, (TextPart(text="In verse."),))
    document, _ = encode(Request(model="m", messages=(first, second, *HELLO)))
    assert document["instructions"] == "Be brief."
    assert document["input"] == [
        {"role": "system", "content": "In verse."},
        {"role": "user", "content": "Hi"},
    ]


def test_a_developers_first_words_stay_the_developers() -> None:
    first = Message(Role.DEVELOPER, (TextPart(text="Be brief."),))
    document, _ = encode(Request(model="m", messages=(first, *HELLO)))
    assert "instructions" not in document
    assert document["input"][0] == {"role": "developer", "content": "Be brief."}


REFUSED = {
    "/stop": Request(model="m", messages=HELLO, stop=("END",)),
    "/n": Request(model="m", messages=HELLO, n=2),
    "/messages/0/parts/0": Request(
        model="m",
        messages=(Message(Role.USER, (MediaPart(kind=MediaKind.VIDEO, url="https://x"),)),),
    ),
    "/tool_choice": Request(
        model="m",
        messages=HELLO,
        tools=(Tool(name="browse", kind="provider", type="browse_1"),),
        tool_choice=ToolChoice(ToolChoiceMode.NAMED, ("browse",)),
    ),
}


def test_audio_is_told_by_its_format() -> None:
    def sent(media_type: str | None) -> Any:
        part = MediaPart(kind=MediaKind.AUDIO, media_type=media_type, data="aGk=")
        return encode(Request(model="m", messages=(Message(Role.USER, (part,)),)))[0]

    for media_type, word in (
        ("audio/mpeg", "mp3"),
        ("audio/mp3", "mp3"),
        ("audio/x-wav", "wav"),
        (None, "wav"),
    ):
        document = sent(media_type)
        (entry,) = document["input"][0]["content"]
        assert entry == {"type": "input_audio", "input_audio": {"data": "aGk=", "format": word}}
        (again,) = decode(**document).messages[0].parts
        assert isinstance(again, MediaPart)
        assert again.media_type == {"mp3": "audio/mpeg", "wav": "audio/wav"}[word]
    with pytest.raises(RequestError) as caught:
        sent("audio/ogg")
    assert caught.value.path == "/messages/0/parts/0"
    # What came from a client of this wire goes back as it came, whatever the format.
    entry = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "ogg"}}
    native = decode(input=[{"role": "user", "content": [entry]}])
    assert encode(native)[0]["input"][0]["content"] == [entry]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (MediaKind.AUDIO, "https://x.test/a.wav"),
        (MediaKind.IMAGE, "gs://bucket/a.png"),
        (MediaKind.DOCUMENT, "s3://bucket/a.pdf"),
    ],
)
def test_media_that_nobody_would_fetch_are_refused(kind: MediaKind, url: str) -> None:
    request = Request(model="m", messages=(Message(Role.USER, (MediaPart(kind=kind, url=url),)),))
    with pytest.raises(RequestError) as caught:
        RESPONSES.encode_request(request)
    assert caught.value.path == "/messages/0/parts/0"


@pytest.mark.parametrize("path", REFUSED)
def test_what_must_not_be_dropped_is_refused(path: str) -> None:
    with pytest.raises(RequestError) as caught:
        RESPONSES.encode_request(REFUSED[path])
    assert caught.value.path == path


def test_what_this_wire_has_not_is_a_loss() -> None:
    sampling = Sampling(top_k=1, min_p=1, seed=1, frequency_penalty=1, logit_bias={"1": 1})
    tools = (
        Tool(name="browse", kind="provider", type="browse_1"),
        Tool(name="f", cache=CacheHint(), ext={"elsewhere": {"eager": True}}),
    )
    request = Request(
        model="m",
        messages=(Message(Role.USER, (TextPart(text="Hi", cache=CacheHint()),), name="Ann"),),
        sampling=sampling,
        tools=tools,
        reasoning=Reasoning(budget=100),
        cache=CacheHint(),
        ext={"elsewhere": {"thread": "t", "empty": None}},
    )
    document, losses = encode(request)
    assert losses == [
        ("/thread", "dropped"),
        ("/messages/0/name", "dropped"),
        ("/messages/0/parts/0/cache", "dropped"),
        ("/sampling/top_k", "dropped"),
        ("/sampling/min_p", "dropped"),
        ("/sampling/frequency_penalty", "dropped"),
        ("/sampling/seed", "dropped"),
        ("/sampling/logit_bias", "dropped"),
        ("/tools/0", "dropped"),
        ("/tools/1/eager", "dropped"),
        ("/tools/1/cache", "dropped"),
        ("/cache", "dropped"),
        ("/reasoning/budget", "dropped"),
    ]
    assert document == {
        "model": "m",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "tools": [{"type": "function", "name": "f", "parameters": None, "strict": False}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_what_is_not_told_of_a_file_is_a_loss() -> None:
    parts = (
        MediaPart(media_type="application/pdf", url="https://x.test/a"),
        MediaPart(media_type="application/pdf", data="aGk="),
    )
    request = Request(model="m", messages=(Message(Role.USER, parts),))
    document, losses = encode(request)
    assert losses == [
        ("/messages/0/parts/0/media_type", "dropped"),
        ("/messages/0/parts/1/filename", "approximated"),
    ]
    assert document["input"][0]["content"][1]["filename"] == "file.pdf"


def test_artefacts_are_asked_for_where_nothing_is_stored() -> None:
    """The next turn of another dialect's client brings them back, or has none."""
    document, _ = encode(Request(model="m", messages=HELLO, store=True))
    assert "include" not in document
    document, _ = encode(decode(store=False))
    assert "include" not in document


def test_reasoning_of_other_dialects_in_this_ones_words() -> None:
    for reasoning, told in (
        (Reasoning(enabled=False), {"effort": "none"}),
        (Reasoning(enabled=True), {"effort": "medium"}),
        (Reasoning(exclude=False), {"summary": "auto"}),
        (Reasoning(effort="high", summary="detailed"), {"effort": "high", "summary": "detailed"}),
    ):
        document, losses = encode(Request(model="m", messages=HELLO, reasoning=reasoning))
        assert (document["reasoning"], losses) == (told, [])


def test_a_schema_gets_a_name_that_the_wire_requires() -> None:
    output = Output(kind="schema", schema={"type": "object"})
    document, _ = encode(Request(model="m", messages=HELLO, output=output))
    assert document["text"]["format"]["name"]


def test_the_chat_wires_grammar_is_flat_here() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
    tool = Tool(name="t", kind="custom", format=grammar)
    document, _ = encode(Request(model="m", messages=HELLO, tools=(tool,)))
    assert document["tools"][0]["format"] == {
        "type": "grammar",
        "syntax": "lark",
        "definition": "start: /a/",
    }


CHOICES: dict[str, tuple[Any, ToolChoice]] = {
    "auto": ("auto", ToolChoice(ToolChoiceMode.AUTO)),
    "function": (
        {"type": "function", "name": "f"},
        ToolChoice(ToolChoiceMode.NAMED, ("f",)),
    ),
    "custom": ({"type": "custom", "name": "c"}, ToolChoice(ToolChoiceMode.NAMED, ("c",))),
    "hosted": ({"type": "web_search"}, ToolChoice(ToolChoiceMode.NAMED, ("web_search",))),
    "allowed": (
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
        },
        ToolChoice(ToolChoiceMode.REQUIRED, ("f", "web_search")),
    ),
}


@pytest.mark.parametrize("case", CHOICES)
def test_choices(case: str) -> None:
    document, canonical = CHOICES[case]
    tools = [
        {"type": "function", "name": "f"},
        {"type": "custom", "name": "c"},
        {"type": "web_search"},
    ]
    request = decode(tools=tools, tool_choice=document)
    assert request.tool_choice == canonical
    assert encode(request)[0]["tool_choice"] == document
    # Without the note of how it stood, the tools themselves tell.
    bare = Request(model="m", tools=request.tools, tool_choice=request.tool_choice)
    assert encode(bare)[0]["tool_choice"] == document


def test_a_message_of_which_nothing_is_left_is_none() -> None:
    foreign = OpaquePart(dialect="messages", document={"type": "tool_addition"})
    messages = (*HELLO, Message(Role.SYSTEM, (foreign,)), Message(Role.USER, ()))
    document, losses = encode(Request(model="m", messages=messages))
    assert [item["role"] for item in document["input"]] == ["user", "user"]
    assert losses == [("/messages/1/parts/0", "dropped")]


def test_who_runs_a_tool() -> None:
    tools = [
        {"type": "web_search"},
        {"type": "computer_use_preview"},
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "shell", "environment": {"type": "container_auto"}},
        {"type": "tool_search", "execution": "client"},
        {"type": "tool_search"},
    ]
    found = [tool.executor for tool in decode(tools=tools).tools]
    client, provider = Executor.CLIENT, Executor.PROVIDER
    assert found == [provider, client, client, provider, client, provider]


def reasoning(*, form: ReasoningForm = ReasoningForm.SEALED, **members: Any) -> ReasoningPart:
    return ReasoningPart(form=form, **members)


def test_reasoning_goes_back_to_its_origin_only() -> None:
    """R18: another wire's artefacts stay behind, this one's travel with their summaries."""
    own = reasoning(sealed="gAAA", format=OWN_FORMAT, id="rs_1")
    words = reasoning(form=ReasoningForm.SUMMARY, text="why", id="rs_1")
    document, losses = encode(asked(words, own, TextPart(text="Hello")))
    assert losses == []
    assert document["input"][1] == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "why"}],
        "encrypted_content": "gAAA",
    }
    signed = ReasoningPart(text="t", signature="s", format="anthropic-claude-v1")
    call = ToolCallPart(call_id="c", name="f", arguments="{}", signature="g", format="x")
    document, losses = encode(asked(signed, words, call))
    assert losses == [
        ("/messages/1/parts/0", "dropped"),
        ("/messages/1/parts/1", "dropped"),
        ("/messages/1/parts/2/signature", "dropped"),
    ]
    assert [item.get("type") for item in document["input"]] == [None, "function_call"]
    assert document["input"][1].keys() == {"type", "call_id", "name", "arguments"}


def test_tagged_artefacts_come_back_and_do_not_go_upstream() -> None:
    tag = tags.write(tags.Tag(signature="s", format="anthropic-claude-v1"))
    on_call = tags.write(tags.Tag(signature="g", format="google-gemini-v1", on="c"))
    words = [{"type": "reasoning_text", "text": "think"}]
    request = decode(
        input=[
            {"type": "reasoning", "summary": [], "content": words, "encrypted_content": tag},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "reasoning", "summary": [], "encrypted_content": on_call},
        ]
    )
    first, call = request.messages[0].parts
    assert isinstance(first, ReasoningPart)
    assert (first.text, first.signature, first.format) == ("think", "s", "anthropic-claude-v1")
    assert (call.signature, call.format) == ("g", "google-gemini-v1")
    document, losses = encode(request)
    assert [item["type"] for item in document["input"]] == ["function_call"]
    assert len(losses) == 2


def test_documents_of_other_dialects_and_tools_of_other_upstreams_are_left_out() -> None:
    parts = (
        OpaquePart(dialect="elsewhere", document={"a": 1}),
        ToolCallPart(call_id="w", name="search", executor=Executor.PROVIDER),
        ToolResultPart(call_id="w", executor=Executor.PROVIDER),
        TextPart(text="Hello"),
    )
    document, losses = encode(asked(*parts))
    assert len(document["input"]) == 2
    assert [path for path, _ in losses] == [f"/messages/1/parts/{n}" for n in range(3)]


def test_outputs_of_tools_that_the_client_runs_are_results():
    items = [
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
        {"type": "local_shell_call_output", "id": "l", "output": "done"},
        {"type": "shell_call_output", "call_id": "s", "output": [{"stdout": "x"}]},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "additional_tools", "role": "developer", "tools": []},
    ]
    request = decode(input=items)
    assert [message.role for message in request.messages] == [
        Role.TOOL,
        Role.TOOL,
        Role.TOOL,
        Role.USER,
        Role.DEVELOPER,
    ]
    ids = [part.call_id for m in request.messages[:3] for part in m.parts]
    assert ids == ["c", "l", "s"]
    assert encode(request)[0]["input"] == items


def test_cache_breakpoints_of_this_wire_are_kept() -> None:
    mark = {"mode": "explicit", "ttl": "30m"}
    content = [{"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": mark}]
    request = decode(input=[{"role": "user", "content": content}])
    assert request.messages[0].parts[0].cache == CacheHint(ttl="30m")
    assert encode(request)[0]["input"][0]["content"] == content


def test_routing_is_the_gateways() -> None:
    request = decode(provider={"order": ["a"]}, models=["b"], fallbacks=[{"model": "c"}])
    assert request.routing is not None
    assert request.routing.keys() == {"provider", "models", "fallbacks"}
