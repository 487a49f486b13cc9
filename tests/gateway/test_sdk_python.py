"""The official Python SDK pointed at the gateway, as a user would (case 0, item 2; R21)."""

import asyncio

import openai
import pytest

from arno.wire import json
from tests.gateway.answers import empty, recorded
from tests.gateway.harness import ASK, ScriptedEngine, gateway_app, outcome, running_gateway
from tests.gateway.replaying import CONVERSATIONS, replaying

KEY = "sk-any-0123456789abcdef"


def recorded_kwargs(step):
    """A recorded request as the SDK's arguments; members it does not know go into extra_body."""
    document = json.loads(step.request.body)
    usage = document.pop("usage", None)
    extra = {} if usage is None else {"extra_body": {"usage": usage}}
    return {**document, **extra}


def add(answer, chunk):
    """Gather one chunk as a user of the SDK does."""
    if chunk.usage is not None:
        answer["usage"] = chunk.usage.to_dict()
    for choice in chunk.choices:
        answer["text"] += choice.delta.content or ""
        answer["reason"] = choice.finish_reason or answer["reason"]
        for call in choice.delta.tool_calls or ():
            if answer["call"] is None:
                answer["call"] = [call.id, call.function.name]
            answer["arguments"] += call.function.arguments or ""


@pytest.mark.parametrize("recording", CONVERSATIONS)
def test_sync(tmp_path, recording):
    named = recording()
    first, second = named.cassette.interactions
    with (
        replaying(tmp_path, [named]) as url,
        openai.OpenAI(base_url=f"{url}/api/v1", api_key=KEY, max_retries=0) as client,
    ):
        for step in (first, second):
            answer = empty()
            for chunk in client.chat.completions.create(**recorded_kwargs(step)):
                add(answer, chunk)
            assert json.equal(answer, recorded(step))


@pytest.mark.parametrize("recording", CONVERSATIONS)
def test_async(tmp_path, recording):
    named = recording()

    async def talk(url):
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            for step in named.cassette.interactions:
                answer = empty()
                async for chunk in await client.chat.completions.create(**recorded_kwargs(step)):
                    add(answer, chunk)
                assert json.equal(answer, recorded(step))

    with replaying(tmp_path, [named]) as url:
        asyncio.run(talk(url))


@pytest.mark.parametrize("recording", CONVERSATIONS)
def test_stream_helper(tmp_path, recording):
    named = recording()
    with (
        replaying(tmp_path, [named]) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        for step in named.cassette.interactions:
            kwargs = recorded_kwargs(step)
            assert kwargs.pop("stream") is True
            with client.chat.completions.stream(**kwargs) as stream:
                done = stream.get_final_completion()
            [choice] = done.choices
            [call] = choice.message.tool_calls or [None]
            answer = {
                "text": choice.message.content or "",
                "call": call and [call.id, call.function.name],
                "arguments": call.function.arguments if call else "",
                "reason": choice.finish_reason,
                "usage": done.usage.to_dict(),
            }
            assert json.equal(answer, recorded(step))


def failing(status, error_type, headers=()):
    """An engine that answers with an error of the contract."""
    document = {"error": {"code": status, "message": "no", "metadata": {"error_type": error_type}}}

    async def script(call, down):
        await down.head(status, (("content-type", "application/json"), *headers))
        await down.body(json.dumps(document))
        await down.end()
        return outcome(call, status=status, state="error")

    return ScriptedEngine(script)


ERRORS = [
    (400, "invalid_request", openai.BadRequestError),
    (403, "permission_denied", openai.PermissionDeniedError),
    (404, "not_found", openai.NotFoundError),
    (429, "rate_limit_exceeded", openai.RateLimitError),
    (502, "provider_unavailable", openai.InternalServerError),
    (503, "provider_overloaded", openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "error_type", "kind"), ERRORS)
def test_r21_errors_are_the_sdks_own(status, error_type, kind):
    engine = failing(status, error_type, (("retry-after", "7"),))
    with (
        running_gateway(gateway_app(engine)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
        pytest.raises(kind) as raised,
    ):
        client.chat.completions.create(**ASK)
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.body["metadata"]["error_type"] == error_type


def test_the_list_of_models():
    with (
        running_gateway(gateway_app()) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        [model] = client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("arno/harbour-1", "model", "arno")
