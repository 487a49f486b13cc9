"""Counting without sending: what is asked where, and what is read of the answers."""

from typing import get_type_hints

import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_params
from anthropic.types.beta import message_create_params as beta_create_params
from openai.types.responses import input_token_count_params

from arno.canon.failure import RequestError
from arno.providers import counting
from arno.providers.counting import WAYS, ask_count, can_count, read_count
from arno.providers.roads import ROADS
from arno.wire import json
from tests.providers.asking import CATALOGUE, MESSAGES, ready

SAID = [{"role": "user", "content": "Hi"}]
ASKED = {"model": "m", "messages": SAID}
GEMINI = {"contents": SAID, "tools": SAID, "safetySettings": SAID, "generationConfig": SAID}
CONVERSE = {"messages": SAID, "system": SAID, "inferenceConfig": SAID, "toolConfig": SAID}
RESPONSES = {"model": "m", "input": "Hi", "stream": True, "max_output_tokens": 9, "tools": []}

WAYS_THERE = [
    (
        "anthropic",
        {**ASKED, "max_tokens": 9, "stream": True, "thinking": {"type": "disabled"}},
        "https://api.anthropic.com/v1/messages/count_tokens",
        {**ASKED, "thinking": {"type": "disabled"}},
    ),
    (
        "google-vertex-anthropic",
        {**ASKED, "max_tokens": 9},
        "https://us-east-1-aiplatform.googleapis.com/v1/projects/my-project/locations/us-east-1"
        "/publishers/anthropic/models/count-tokens:rawPredict",
        {**ASKED, "model": "there", "anthropic_version": "vertex-2023-10-16"},
    ),
    (
        "openai-responses",
        RESPONSES,
        "https://api.openai.com/v1/responses/input_tokens",
        {"model": "m", "input": "Hi", "tools": []},
    ),
    (
        "google-ai-studio",
        GEMINI,
        "https://generativelanguage.googleapis.com/v1beta/models/there:countTokens",
        {"generateContentRequest": {**GEMINI, "model": "models/there"}},
    ),
    (
        "google-vertex",
        GEMINI,
        "https://us-east-1-aiplatform.googleapis.com/v1beta1/projects/my-project/locations"
        "/us-east-1/publishers/google/models/there:countTokens",
        {"contents": SAID, "tools": SAID, "generationConfig": SAID},
    ),
    (
        "amazon-bedrock",
        CONVERSE,
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/there/count-tokens",
        {"input": {"converse": {"messages": SAID, "system": SAID, "toolConfig": SAID}}},
    ),
]


@pytest.mark.parametrize(("slug", "asked", "url", "sent"), WAYS_THERE)
def test_what_is_asked(slug, asked, url, sent):
    found = ask_count(ready(CATALOGUE.known[slug]), json.dumps(asked), model="there")
    assert (found.url, json.loads(found.body)) == (url, sent)


def test_an_invocation_is_counted_as_a_whole_and_in_base64():
    import base64

    row = ready(CATALOGUE.known["amazon-bedrock-anthropic"])
    forward = (("anthropic-beta", "x"),)
    found = ask_count(row, json.dumps(ASKED), model="c", headers=MESSAGES.headers, forward=forward)
    assert found.url.endswith("/model/c/count-tokens")
    assert not [name for name, _ in found.headers if name.startswith("anthropic")]
    inner = base64.b64decode(json.loads(found.body)["input"]["invokeModel"]["body"])
    assert json.loads(inner) == {
        "messages": SAID,
        "max_tokens": 4096,
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["x"],
    }


def test_headers_travel_as_those_of_a_generation_do():
    row = ready(CATALOGUE.known["anthropic"])
    forward = (("anthropic-beta", "x"), ("anthropic-beta", "y"))
    found = ask_count(row, b"{}", model="c", headers=MESSAGES.headers, forward=forward)
    assert found.headers[2:] == (("anthropic-version", "2023-06-01"), *forward)


def test_every_way_is_tested_and_no_road_is_left_out():
    tested = [CATALOGUE.known[slug] for slug, *_ in WAYS_THERE]
    tested.append(CATALOGUE.known["amazon-bedrock-anthropic"])
    assert {(row.dialect, row.road) for row in tested} == set(WAYS)
    assert {road for _, road in WAYS} == {None, *ROADS} - {"azure_deployments"}


def test_who_can_be_asked():
    able = {row.dialect for row in CATALOGUE.known.values() if can_count(row)}
    assert able == {"messages", "responses", "gemini", "converse"}
    assert not can_count(CATALOGUE.known["openai"])
    with pytest.raises(KeyError):
        ask_count(CATALOGUE.known["openai"], b"{}", model="m")


def names_of(kind):
    return set(get_type_hints(kind))


def test_what_is_left_out_is_what_the_vendors_own_libraries_do_not_count():
    asked = {
        *names_of(message_create_params.MessageCreateParamsStreaming),
        *names_of(beta_create_params.MessageCreateParamsStreaming),
    }
    counted = {
        *names_of(message_count_tokens_params.MessageCountTokensParams),
        *names_of(beta_count_params.MessageCountTokensParams),
    } - {"betas"}
    assert asked - counted - {"betas"} <= counting._GENERATION
    assert not counting._GENERATION & counted
    known = names_of(input_token_count_params.InputTokenCountParams)
    assert known == counting._RESPONSES


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(RequestError, match="JSON object"):
        ask_count(CATALOGUE.known["anthropic"], body, model="m")


ANSWERS = [
    (b'{"input_tokens": 12}', 12),
    (b'{"object": "response.input_tokens", "input_tokens": 0}', 0),
    (b'{"inputTokens": 18}', 18),
    (b'{"totalTokens": 36, "promptTokensDetails": []}', 36),
    (b'{"message": "no"}', None),
    (b'{"input_tokens": -1}', None),
    (b'{"input_tokens": "7"}', None),
    (b'{"input_tokens": 1.5}', None),
    (b"[]", None),
    (b"", None),
    (b"\xff", None),
]


@pytest.mark.parametrize(("body", "number"), ANSWERS)
def test_what_is_read(body, number):
    assert read_count(body) == number
