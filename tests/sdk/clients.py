"""The official OpenAI SDKs as functions of one shape: a job in, what was read out.

A job is {"base_url", "api_key", "request", "tool_results"}. The request is a recorded body; without
one the models are listed. Each tool result continues the conversation by one step: the answer as
the SDK gave it is sent back, and the result after it. What comes out:

    {"readings": [{"text", "call": [id, name], "arguments", "reasons", "provider", "generation_id",
                   "usage": {"input", "output", "total", "cached", "cost"}}, ...],
     "models": [id, ...],
     "error": {"kind": the SDK's class, "status", "message", "retry_after"} or None}

A stream that fails leaves the reading of what came before it. The programs in `node/` and `go/`
take a job as JSON on standard input and print the same as one JSON line.
"""

import asyncio
import subprocess
from collections.abc import Callable

import msgspec
import openai
import pytest

from arno.wire import json
from tests.externals import needs
from tests.sdk.programs import BUILD_S, go_command, node_command

KEY = "sk-any-0123456789abcdef"
RUN_S = 60


def job(url, request=None, tool_results=(), *, key=KEY, prefix="/api/v1"):
    """A job for the gateway at `url`."""
    return {
        "base_url": url + prefix,
        "api_key": key,
        "request": request,
        "tool_results": list(tool_results),
    }


def conversation(url, case, **options):
    """The job of a recorded case: its first request, then the result of its tool call."""
    request = json.loads(case.cassette.cassette.interactions[0].request.body)
    return job(url, request, [case.steps[0].call.result], **options)


def extra(model, name):
    """A member that the SDK has no name for."""
    return (model.model_extra or {}).get(name)


def new_reading(headers):
    """Nothing read yet."""
    return {
        "text": "",
        "call": None,
        "arguments": "",
        "reasons": [],
        "usage": None,
        "provider": None,
        "generation_id": headers.get("x-generation-id"),
    }


def add(reading, document):
    """Add one chunk of a stream, or a whole answer: they differ in `delta` and `message`."""
    reading["provider"] = reading["provider"] or extra(document, "provider")
    if usage := document.usage:
        details = usage.prompt_tokens_details
        reading["usage"] = {
            "input": usage.prompt_tokens,
            "output": usage.completion_tokens,
            "total": usage.total_tokens,
            "cached": details and details.cached_tokens,
            "cost": extra(usage, "cost"),
        }
    for choice in document.choices:
        part = choice.delta if hasattr(choice, "delta") else choice.message
        reading["text"] += part.content or ""
        reading["reasons"] += [choice.finish_reason] if choice.finish_reason else []
        for call in part.tool_calls or ():
            reading["call"] = reading["call"] or [call.id, call.function.name]
            reading["arguments"] += call.function.arguments or ""


def settle(reading, done):
    """Complete the reading of a stream helper; its events and its sum must say the same."""
    streamed, reading["text"] = reading["text"], ""
    add(reading, done)
    assert streamed == reading["text"]


def typed(request):
    """A request as the SDK's arguments; what it has no argument for goes into extra_body."""
    known = {name: value for name, value in request.items() if name != "usage"}
    extra_body = {"usage": request["usage"]} if "usage" in request else None
    return {"messages": openai.omit, **known, "extra_body": extra_body}


def continued(request, reading, content):
    """The next request of a conversation: what was read, and the tool's result."""
    call_id, name = reading["call"]
    function = {"name": name, "arguments": reading["arguments"]}
    call = {"id": call_id, "type": "function", "function": function}
    said = {"role": "assistant", "content": reading["text"], "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": call_id, "content": content}
    return {**request, "messages": [*request["messages"], said, result]}


def describe(error):
    """What a user sees of the SDK's error."""
    response = getattr(error, "response", None)
    body = error.body if isinstance(error.body, dict) else {}
    return {
        "kind": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "message": body.get("message", error.message),
        "retry_after": response and response.headers.get("retry-after"),
    }


def ask(client, request, found):
    """One answer through `create`."""
    raw = client.chat.completions.with_raw_response.create(**typed(request))
    reading = new_reading(raw.headers)
    found["readings"].append(reading)
    if not request.get("stream"):
        add(reading, raw.parse())
        return reading
    with raw.parse() as stream:
        for chunk in stream:
            add(reading, chunk)
    return reading


def ask_helper(client, request, found):
    """One answer through the stream helper, which hides the response's headers."""
    arguments = typed(request)
    assert arguments.pop("stream") is True
    with client.chat.completions.stream(**arguments) as stream:
        reading = new_reading({})
        found["readings"].append(reading)
        for event in stream:
            reading["text"] += event.delta if event.type == "content.delta" else ""
        settle(reading, stream.get_final_completion())
    return reading


async def ask_async(client, request, found):
    """`ask` of the asynchronous client."""
    raw = await client.chat.completions.with_raw_response.create(**typed(request))
    reading = new_reading(raw.headers)
    found["readings"].append(reading)
    if not request.get("stream"):
        add(reading, raw.parse())
        return reading
    async with raw.parse() as stream:
        async for chunk in stream:
            add(reading, chunk)
    return reading


async def ask_helper_async(client, request, found):
    """`ask_helper` of the asynchronous client."""
    arguments = typed(request)
    assert arguments.pop("stream") is True
    async with client.chat.completions.stream(**arguments) as stream:
        reading = new_reading({})
        found["readings"].append(reading)
        async for event in stream:
            reading["text"] += event.delta if event.type == "content.delta" else ""
        settle(reading, await stream.get_final_completion())
    return reading


def nothing_found():
    """What a client has read before it has read anything."""
    return {"readings": [], "models": [], "error": None}


def run_sync(todo, ask_one):
    """A whole job with the synchronous client."""
    found, request = nothing_found(), todo["request"]
    with openai.OpenAI(base_url=todo["base_url"], api_key=todo["api_key"], max_retries=0) as client:
        try:
            if request is None:
                found["models"] = [model.id for model in client.models.list()]
                return found
            reading = ask_one(client, request, found)
            for content in todo["tool_results"]:
                request = continued(request, reading, content)
                reading = ask_one(client, request, found)
        except openai.APIError as error:
            found["error"] = describe(error)
    return found


async def run_async(todo, ask_one):
    """`run_sync` of the asynchronous client."""
    found, request = nothing_found(), todo["request"]
    async with openai.AsyncOpenAI(
        base_url=todo["base_url"], api_key=todo["api_key"], max_retries=0
    ) as client:
        try:
            if request is None:
                found["models"] = [model.id async for model in client.models.list()]
                return found
            reading = await ask_one(client, request, found)
            for content in todo["tool_results"]:
                request = continued(request, reading, content)
                reading = await ask_one(client, request, found)
        except openai.APIError as error:
            found["error"] = describe(error)
    return found


def run_program(command, todo):
    """A whole job by a program."""
    done = subprocess.run(command, input=json.dumps(todo), capture_output=True, timeout=RUN_S)
    assert done.returncode == 0, done.stderr.decode()
    [line] = done.stdout.splitlines()
    return json.loads(line)


class Client(msgspec.Struct, frozen=True):
    """One way to use one SDK. class_of: the SDK's name for an error class of the Python SDK."""

    run: Callable[[dict], dict]
    class_of: Callable[[str], str] = str


def python(_folder):
    """The Python SDK, `create`."""
    return Client(lambda todo: run_sync(todo, ask))


def python_helper(_folder):
    """The Python SDK, `stream`."""
    return Client(lambda todo: run_sync(todo, ask_helper))


def python_async(_folder):
    """The asynchronous Python SDK, `create`."""
    return Client(lambda todo: asyncio.run(run_async(todo, ask_async)))


def python_async_helper(_folder):
    """The asynchronous Python SDK, `stream`."""
    return Client(lambda todo: asyncio.run(run_async(todo, ask_helper_async)))


def npm(folder, *arguments):
    """The npm SDK, `create`. Its error of a status without a class of its own is the base class."""
    command = [*node_command(folder), *arguments]
    return Client(
        lambda todo: run_program(command, todo),
        lambda name: "APIError" if name == "APIStatusError" else name,
    )


def npm_helper(folder):
    """The npm SDK, `stream`."""
    return npm(folder, "helper")


def go(folder):
    """The Go SDK, in the version that made the shared recording. It has one class for refusals; an
    error inside a stream is a plain Go error.
    """
    command = go_command(folder)
    return Client(
        lambda todo: run_program(command, todo),
        lambda name: "error" if name == "APIError" else "openai.Error",
    )


NODE = (needs("node"), pytest.mark.timeout(BUILD_S + RUN_S))
GO = (needs("go"), pytest.mark.timeout(BUILD_S + RUN_S))

PLAIN = [
    pytest.param(python, id="python"),
    pytest.param(python_async, id="python-async"),
    pytest.param(npm, id="npm", marks=NODE),
    pytest.param(go, id="go", marks=GO),
]
"""Clients that show headers and can ask for whole answers."""

HELPERS = [
    pytest.param(python_helper, id="python-helper"),
    pytest.param(python_async_helper, id="python-async-helper"),
    pytest.param(npm_helper, id="npm-helper", marks=NODE),
]
"""Clients that read a stream through the SDK's own sum of it."""
