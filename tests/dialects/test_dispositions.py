"""Dispositions: the tables are whole, speak of the vendors' own fields, and are told right."""

import importlib

import pytest

from arno.canon.failure import RequestError
from arno.canon.request import Request
from arno.dialects.dispositions import (
    DIALECTS,
    Disposition,
    Field,
    client_field,
    dispose,
    table,
)

FIELDS = [(client, name) for client in DIALECTS for name in table(client)]


@pytest.mark.parametrize(("client", "name"), FIELDS)
def test_every_field_has_one_disposition_for_every_dialect(client, name):
    field = table(client)[name]
    for target in DIALECTS:
        word = field.disposition(target)
        assert word is Disposition.MAPPED or field.reason(target)
        assert not (field.contract and word is Disposition.DROPPED)
    assert field.disposition(client) is Disposition.MAPPED


@pytest.mark.parametrize(("client", "name"), FIELDS)
def test_canonical_places_exist(client, name):
    canon = table(client)[name].canon
    if canon is not None:
        assert canon.split("/")[1] in Request.__struct_fields__


@pytest.mark.parametrize("client", DIALECTS)
def test_a_field_that_yields_names_another_one(client):
    names = set(table(client))
    for field in table(client).values():
        if field.yields is not None:
            assert any(name.split(".")[0] == field.yields for name in names)


def annotated(module, name):
    return set(getattr(importlib.import_module(module), name).__annotations__)


def genai_members(name):
    types = importlib.import_module("google.genai.types")
    return {field.alias or key for key, field in getattr(types, name).model_fields.items()}


def converse_members():
    session = importlib.import_module("botocore.session").get_session()
    model = session.get_service_model("bedrock-runtime")
    return set(model.operation_model("Converse").input_shape.members)


VENDORS = {
    "chat": lambda: annotated(
        "openai.types.chat.completion_create_params", "CompletionCreateParamsBase"
    ),
    "responses": lambda: annotated(
        "openai.types.responses.response_create_params", "ResponseCreateParamsBase"
    ),
    "messages": lambda: annotated(
        "anthropic.types.beta.message_create_params", "MessageCreateParamsBase"
    ),
    "gemini": lambda: {f"generationConfig.{name}" for name in genai_members("GenerationConfig")},
    "converse": converse_members,
}


@pytest.mark.parametrize("client", DIALECTS)
def test_every_field_of_the_vendor_s_own_library_has_a_section(client):
    """A new release of a library that knows a new field fails here until the table says more."""
    fields = VENDORS[client]()
    names = set(table(client))
    known = {".".join(name.split(".")[:length]) for name in names for length in (1, 2, 3)}
    assert len(fields) > 10
    assert fields - known == set()


@pytest.mark.parametrize(
    ("client", "path", "name"),
    [
        ("chat", "/sampling/top_k", "top_k"),
        ("messages", "/sampling/top_k", "top_k"),
        ("gemini", "/sampling/top_k", "generationConfig.topK"),
        ("converse", "/max_output_tokens", "inferenceConfig.maxTokens"),
        ("chat", "/tools/3/strict", "tools[3].function.strict"),
        ("responses", "/tools/3/strict", "tools[3].strict"),
        ("chat", "/tools/0/x_speed", "tools[0].x_speed"),
        ("gemini", "/tools/1/behavior", "tools.functionDeclarations[1].behavior"),
        ("chat", "/messages/2", "messages[2]"),
        ("chat", "/messages/2/parts/0", "messages[2]"),
        ("messages", "/messages/2/parts/0", "messages"),
        ("responses", "/output/strict", "text.format.strict"),
        ("chat", "/output", "response_format"),
        ("chat", "/foo_bar", "foo_bar"),
        ("chat", "/ext/foo_bar", "foo_bar"),
        ("chat", "/foo~1bar/0/x", "foo/bar[0].x"),
        ("chat", "top_k", "top_k"),
        ("chat", "", ""),
    ],
)
def test_a_place_is_told_in_the_client_s_words(client, path, name):
    assert client_field(client, path) == name


def test_of_two_names_for_one_thing_the_one_that_was_used_is_told():
    assert client_field("chat", "/max_output_tokens") == "max_tokens"
    members = {"model", "max_completion_tokens"}
    assert client_field("chat", "/max_output_tokens", members) == "max_completion_tokens"


def lost(client, target, residue):
    return [(loss.path, loss.action) for loss in dispose(client, target, residue)]


def test_dropped_members_are_told_in_the_client_s_words():
    residue = {"stream_options": {"include_obfuscation": True}, "image_config": {"a": 1}}
    assert lost("chat", "messages", residue) == [
        ("stream_options.include_obfuscation", "dropped"),
        ("image_config", "dropped"),
    ]
    (loss, _) = dispose("chat", "messages", residue)
    assert loss.why == table("chat")["stream_options.include_obfuscation"].reason("messages")


def test_unknown_members_are_dropped_and_told():
    """R14."""
    residue = {"foo_bar": 1, "context_management": {"edits": [1]}, "stream_options": {"x": 1}}
    names = ["foo_bar", "context_management", "stream_options.x"]
    assert lost("chat", "gemini", residue) == [(name, "dropped") for name in names]


@pytest.mark.parametrize("client", DIALECTS)
def test_the_same_dialect_loses_nothing(client):
    residue = {name: {"a": 1} for name in (*table(client), "foo_bar")}
    assert dispose(client, client, residue) == ()


@pytest.mark.parametrize(
    "residue",
    [
        {"store": None, "foo_bar": None, "prediction": {}, "audio": [], "x": ""},
        {"stream": False},
        {"modalities": ["text"]},
        {"stream_options": {}},
        {"@limit": "max_tokens"},
        {"provider": {"order": ["a"]}},
    ],
)
def test_what_asks_for_nothing_loses_nothing(residue):
    assert dispose("chat", "messages", residue) == ()


@pytest.mark.parametrize("target", ["responses", "messages", "gemini", "converse"])
def test_an_object_that_asks_by_being_there_is_told(target):
    """The vendor's own way to ask for a search is an object without members."""
    assert lost("chat", target, {"web_search_options": {}}) == [("web_search_options", "dropped")]
    assert lost("chat", target, {"web_search_options": None}) == []
    assert lost("chat", target, {"x_search_filter": {}}) == []


@pytest.mark.parametrize("value", [{"background": True}, {"previous_response_id": "resp_1"}])
def test_what_must_not_be_lost_is_refused_by_its_name(value):
    (name,) = value
    with pytest.raises(RequestError, match=name) as caught:
        dispose("responses", "chat", {"include": ["x"], **value})
    assert caught.value.path == name
    assert dispose("responses", "responses", value) == ()


@pytest.mark.parametrize("member", ["tool_choice", "response_format", "functions", "stop"])
def test_a_contract_field_that_was_not_understood_is_refused(member):
    """R13: mapped or 400, never dropped."""
    with pytest.raises(RequestError) as caught:
        dispose("chat", "messages", {member: {"type": "grammar"}})
    assert caught.value.path.split(".")[0] == member


def test_a_field_that_was_not_understood_and_promises_nothing_is_dropped():
    assert lost("chat", "messages", {"temperature": {"a": 1}}) == [("temperature", "dropped")]


def test_the_older_name_of_a_limit_yields():
    (loss,) = dispose("chat", "messages", {"max_tokens": 5})
    assert (loss.path, loss.action) == ("max_tokens", "dropped")
    assert "max_completion_tokens" in loss.why


def test_true_is_not_one():
    field = Field(neutral=(1,))
    assert not field.asks(1)
    assert field.asks(True)
    assert field.asks(2)


def test_unknown_dialects():
    with pytest.raises(KeyError):
        table("esperanto")
    with pytest.raises(KeyError):
        Field(mapped=("chat",)).disposition("gemini")
