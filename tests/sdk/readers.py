"""The official Python SDKs as functions from a job to a finding (`jobs.py` says what these are).

One client a family and thread: making an HTTP client costs more than a job does.
"""

import base64
import functools
import subprocess

import anthropic
import httpx2
import openai
from google import genai
from google.genai import errors, types

from arno.wire import json
from tests.sdk.jobs import KEY, counts, error, nothing_read
from tests.sdk.programs import node_command


@functools.cache
def _http():
    """Plain HTTP to this machine: no certificates need be read."""
    return httpx2.Client(verify=False, timeout=60, trust_env=False)


def _status_error(caught):
    response = getattr(caught, "response", None)
    return error(
        caught,
        getattr(caught, "status_code", None),
        str(getattr(caught, "message", caught)),
        response is not None and response.headers,
    )


def _run(todo, history, ask, raised, describe):
    """ask(history, turn) appends what was said, and the results if the model wants them.

    A job's next_model is asked from the second turn on.
    """
    found = {"id": todo["id"], "turns": [], "error": None}
    try:
        for _ in range(2):
            turn = nothing_read()
            found["turns"].append(turn)
            ask(history, turn)
            if not turn["calls"]:
                break
            todo["model"] = todo.get("next_model") or todo["model"]
    except raised as caught:
        found["error"] = describe(caught)
        if found["turns"][-1] == nothing_read():
            found["turns"].pop()
    return found


def _connected(todo, sdk):
    return sdk(
        base_url=todo["root"] + ("/v1" if sdk is openai.OpenAI else ""),
        api_key=KEY,
        max_retries=0,
        http_client=_http(),
    )


# Chat completions, as the openai package speaks it. Reasoning is what OpenRouter's users read.


def _chat_add(turn, part, finish, said):
    """Add a delta or a message to a turn, and to the message that goes back."""
    extra = part.model_extra or {}
    turn["text"] += part.content or ""
    turn["reasoning"] += extra.get("reasoning") or ""
    turn["finish"] = finish or turn["finish"]
    turn["images"] += len(extra.get("images") or ())
    if part.refusal:
        turn["text"] += part.refusal
        turn["refused"] = True
    said["reasoning_details"] += extra.get("reasoning_details") or []
    for call in part.tool_calls or ():
        if getattr(call, "index", None) is None or call.id:
            turn["calls"].append([call.id, call.function.name, ""])
        turn["calls"][-1][2] += call.function.arguments or ""


def _joined(details):
    """reasoning_details of a stream as they go back: pieces of one index are one detail."""
    whole = {}
    for detail in details:
        key = (detail["type"], detail.get("index"), detail.get("id"))
        known = whole.setdefault(key, {})
        text = (known.get("text") or "") + (detail.get("text") or "")
        known.update({name: value for name, value in detail.items() if value is not None})
        if "text" in known:
            known["text"] = text
    return list(whole.values())


def _chat_usage(usage):
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return counts(
        usage.prompt_tokens,
        usage.completion_tokens,
        prompt and prompt.cached_tokens,
        completion and completion.reasoning_tokens,
    )


def _chat_request(todo):
    content = todo["prompt"]
    if todo["image"]:
        image = {"url": f"data:image/png;base64,{todo['image']}"}
        content = [{"type": "text", "text": content}, {"type": "image_url", "image_url": image}]
    system = {"role": "system", "content": todo["system"]}
    request = {
        "model": todo["model"],
        "stream": todo["stream"],
        "messages": [system, {"role": "user", "content": content}],
        "max_tokens": 4096,
    }
    if todo["stream"]:
        request["stream_options"] = {"include_usage": True}
    if todo["tools"]:
        request["tools"] = [
            {"type": "function", "function": {"name": name, "parameters": schema}}
            for name, schema in todo["tools"]
        ]
    if todo["schema"]:
        schema = {"name": "berth", "schema": todo["schema"], "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    if todo["thinking"]:
        request["reasoning_effort"] = "high"
    return request


def chat(todo):
    """openai, chat.completions."""
    client, request = _connected(todo, openai.OpenAI), _chat_request(todo)

    def ask(messages, turn):
        said = {"role": "assistant", "content": None, "reasoning_details": []}
        answer = client.chat.completions.create(**{**request, "model": todo["model"]})
        for document in answer if todo["stream"] else [answer]:
            if document.usage:
                turn["usage"] = _chat_usage(document.usage)
            for choice in document.choices:
                part = choice.delta if todo["stream"] else choice.message
                _chat_add(turn, part, choice.finish_reason, said)
        said["content"] = turn["text"]
        said["reasoning_details"] = _joined(said["reasoning_details"])
        messages.append({name: value for name, value in said.items() if value})
        if turn["calls"]:
            messages[-1]["tool_calls"] = [
                {"id": id, "type": "function", "function": {"name": name, "arguments": given}}
                for id, name, given in turn["calls"]
            ]
        messages += [
            {"role": "tool", "tool_call_id": id, "content": todo["results"][name]}
            for id, name, _ in turn["calls"]
        ]

    return _run(
        todo, request["messages"], ask, (openai.OpenAIError, httpx2.HTTPError), _status_error
    )


# Responses, as the openai package speaks it.


def _responses_read(turn, response):
    """The turn that a finished response says."""
    for item in response.output:
        if item.type == "function_call":
            turn["calls"].append([item.call_id, item.name, item.arguments])
        elif item.type == "reasoning":
            turn["reasoning"] += "".join(part.text for part in item.summary)
            turn["reasoning"] += "".join(part.text for part in item.content or ())
        elif item.type == "image_generation_call":
            turn["images"] += 1
        elif item.type == "message":
            for part in item.content:
                turn["refused"] |= part.type == "refusal"
                turn["text"] += part.refusal if part.type == "refusal" else part.text
    why = response.incomplete_details and response.incomplete_details.reason
    ends = {"max_output_tokens": "length", "content_filter": "content_filter"}
    turn["finish"] = ends.get(why) or ("tool_calls" if turn["calls"] else "stop")
    if usage := response.usage:
        given, made = usage.input_tokens_details, usage.output_tokens_details
        turn["usage"] = counts(
            usage.input_tokens,
            usage.output_tokens,
            given and given.cached_tokens,
            made and made.reasoning_tokens,
        )


def _responses_request(todo):
    content = [{"type": "input_text", "text": todo["prompt"]}]
    if todo["image"]:
        url = f"data:image/png;base64,{todo['image']}"
        content.append({"type": "input_image", "image_url": url, "detail": "auto"})
    request = {
        "model": todo["model"],
        "stream": todo["stream"],
        "instructions": todo["system"],
        "input": [{"role": "user", "content": content}],
        "store": False,
        "max_output_tokens": 4096,
    }
    if todo["tools"]:
        request["tools"] = [
            {"type": "function", "name": name, "parameters": schema, "strict": False}
            for name, schema in todo["tools"]
        ]
    if todo["schema"]:
        schema = {"name": "berth", "schema": todo["schema"], "strict": True}
        request["text"] = {"format": {"type": "json_schema", **schema}}
    if todo["thinking"]:
        request["reasoning"] = {"effort": "high", "summary": "auto"}
        request["include"] = ["reasoning.encrypted_content"]
    return request


TEXT_DELTAS = ("response.output_text.delta", "response.refusal.delta")
ENDS = ("response.completed", "response.incomplete")


def _responses_stream(client, request):
    """The text of deltas while the stream lasts, then the whole response."""
    for event in client.responses.create(**request):
        if event.type in TEXT_DELTAS:
            yield event.delta
        elif event.type in ENDS:
            yield event.response
        elif event.type == "response.failed":
            raise openai.APIError(event.response.error.message, None, body=None)
        elif event.type == "error":
            raise openai.APIError(event.message, None, body=None)


def responses(todo):
    """openai, responses."""
    client, request = _connected(todo, openai.OpenAI), _responses_request(todo)

    def answer():
        asked = {**request, "model": todo["model"]}
        if todo["stream"]:
            return _responses_stream(client, asked)
        return [client.responses.create(**asked)]

    def ask(items, turn):
        response = None
        for piece in answer():
            if isinstance(piece, str):
                turn["text"] += piece
            else:
                response = piece
        if response is None:
            raise openai.APIError("the stream ended without an end", None, body=None)
        streamed, turn["text"] = turn["text"], ""
        _responses_read(turn, response)
        assert not todo["stream"] or streamed == turn["text"], streamed
        items += [item.model_dump(exclude_none=True) for item in response.output]
        items += [
            {"type": "function_call_output", "call_id": id, "output": todo["results"][name]}
            for id, name, _ in turn["calls"]
        ]

    return _run(todo, request["input"], ask, (openai.OpenAIError, httpx2.HTTPError), _status_error)


# Messages, as the anthropic package speaks it.

ANTHROPIC_ENDS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def _messages_read(turn, message):
    for block in message.content:
        if block.type == "text":
            turn["text"] += block.text
        elif block.type == "thinking":
            turn["reasoning"] += block.thinking
        elif block.type == "tool_use":
            turn["calls"].append([block.id, block.name, json.dumps(block.input).decode()])
    turn["finish"] = ANTHROPIC_ENDS.get(message.stop_reason, message.stop_reason)
    usage = message.usage
    details = usage.output_tokens_details
    parts = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    turn["usage"] = counts(
        usage.input_tokens + parts,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        details and details.thinking_tokens,
    )


def _messages_request(todo):
    content = [{"type": "text", "text": todo["prompt"]}]
    if todo["image"]:
        source = {"type": "base64", "media_type": "image/png", "data": todo["image"]}
        content.append({"type": "image", "source": source})
    request = {
        "model": todo["model"],
        "system": todo["system"],
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 4096,
    }
    if todo["tools"]:
        request["tools"] = [
            {"name": name, "input_schema": schema} for name, schema in todo["tools"]
        ]
    if todo["schema"]:
        schema = {"type": "json_schema", "schema": todo["schema"]}
        request["output_config"] = {"format": schema}
    if todo["thinking"]:
        request["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    return request


def messages(todo):
    """anthropic, messages; streams through the SDK's own accumulator."""
    client, request = _connected(todo, anthropic.Anthropic), _messages_request(todo)

    def whole(turn):
        asked = {**request, "model": todo["model"]}
        if not todo["stream"]:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            for event in stream:
                if event.type == "text":
                    turn["text"] += event.text
            message = stream.get_final_message()
        streamed, turn["text"] = turn["text"], ""
        assert streamed == "".join(b.text for b in message.content if b.type == "text")
        if message.stop_reason is None:
            raise anthropic.AnthropicError("the stream ended without an end")
        return message

    def ask(history, turn):
        message = whole(turn)
        _messages_read(turn, message)
        history.append({"role": "assistant", "content": message.content})
        if turn["calls"]:
            results = [
                {"type": "tool_result", "tool_use_id": id, "content": todo["results"][name]}
                for id, name, _ in turn["calls"]
            ]
            history.append({"role": "user", "content": results})

    return _run(
        todo, request["messages"], ask, (anthropic.AnthropicError, httpx2.HTTPError), _status_error
    )


def count_tokens(todo):
    """anthropic, messages.count_tokens: the number."""
    client, request = _connected(todo, anthropic.Anthropic), _messages_request(todo)
    del request["max_tokens"]
    return client.messages.count_tokens(**request).input_tokens


# generateContent, as the google-genai package speaks it.

GEMINI_ENDS = {"STOP": "stop", "MAX_TOKENS": "length"}


def _gemini_add(turn, answer, said):
    """Add a document of a stream, or a whole answer."""
    for candidate in answer.candidates or ():
        parts = (candidate.content and candidate.content.parts) or []
        said += parts
        for part in parts:
            if part.function_call:
                call = part.function_call
                turn["calls"].append([call.id, call.name, json.dumps(call.args).decode()])
            elif part.inline_data:
                turn["images"] += 1
            else:
                turn["reasoning" if part.thought else "text"] += part.text or ""
        if candidate.finish_reason:
            word = candidate.finish_reason.value
            end = GEMINI_ENDS.get(word, "content_filter")
            turn["finish"] = "tool_calls" if turn["calls"] and end == "stop" else end
    if usage := answer.usage_metadata:
        thought = usage.thoughts_token_count
        turn["usage"] = counts(
            (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
            (usage.candidates_token_count or 0) + (thought or 0),
            usage.cached_content_token_count,
            thought,
        )


def _gemini_config(todo):
    config = {"system_instruction": todo["system"], "max_output_tokens": 4096}
    if todo["tools"]:
        config["tools"] = [
            types.Tool(
                function_declarations=[
                    types.FunctionDeclaration(name=name, parameters_json_schema=schema)
                    for name, schema in todo["tools"]
                ]
            )
        ]
    if todo["schema"]:
        config["response_json_schema"] = todo["schema"]
        config["response_mime_type"] = "application/json"
    if todo["thinking"]:
        config["thinking_config"] = types.ThinkingConfig(
            include_thoughts=True, thinking_budget=1024
        )
    config["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(**config)


def _gemini_error(caught):
    if not isinstance(caught, errors.APIError):
        return error(caught, None, str(caught))
    headers = getattr(caught.response, "headers", None)
    return error(caught, caught.code, caught.message or str(caught), headers)


RUN_S = 60


class CutStreamError(Exception):
    """A stream that ended without a reason; the SDK itself does not say so."""


@functools.cache
def _gemini_client(root, version):
    """version None: the SDK's own choice, which is "v1"; most users' programs ask for "v1beta"."""
    options = types.HttpOptions(base_url=root, httpx_client=_http(), api_version=version)
    return genai.Client(api_key=KEY, http_options=options)


def gemini(todo):
    """google-genai, models."""
    client = _gemini_client(todo["root"], "v1beta" if todo["stream"] else None)
    config = _gemini_config(todo)
    parts = [types.Part.from_text(text=todo["prompt"])]
    if todo["image"]:
        data = base64.b64decode(todo["image"])
        parts.append(types.Part.from_bytes(data=data, mime_type="image/png"))

    def ask(contents, turn):
        arguments = {"model": todo["model"], "contents": contents, "config": config}
        said = []
        if todo["stream"]:
            for document in client.models.generate_content_stream(**arguments):
                _gemini_add(turn, document, said)
            if turn["finish"] is None:
                raise CutStreamError("no finish reason")
        else:
            _gemini_add(turn, client.models.generate_content(**arguments), said)
        contents.append(types.Content(role="model", parts=said))
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=id, name=name, response={"output": todo["results"][name]}
                )
            )
            for id, name, _ in turn["calls"]
        ]
        if results:
            contents.append(types.Content(role="user", parts=results))

    history = [types.Content(role="user", parts=parts)]
    raised = (errors.APIError, httpx2.HTTPError, CutStreamError, errors.UnknownApiResponseError)
    return _run(todo, history, ask, raised, _gemini_error)


PYTHON = {
    "python-chat": chat,
    "python-responses": responses,
    "python-messages": messages,
    "python-gemini": gemini,
}
"""The Python clients; the last word of a name is the dialect that it speaks."""


def _here(name):
    """A Python client for many jobs."""
    return lambda _folder, jobs: [PYTHON[name](todo) for todo in jobs]


def _node(name):
    """An npm client for many jobs: one process."""

    def run(folder, jobs):
        command = node_command(folder, "batch.mjs")
        given = json.dumps({"client": name, "jobs": jobs})
        done = subprocess.run(command, input=given, capture_output=True, timeout=RUN_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout.splitlines()[-1])

    return run


SPEAKS = {
    **{name: name.partition("-")[2] for name in PYTHON},
    "npm-chat": "chat",
    "npm-responses": "responses",
    "npm-messages": "messages",
    "ai-openrouter": "chat",
    "ai-openai-chat": "chat",
    "ai-openai-responses": "responses",
    "ai-anthropic": "messages",
}
"""Every client and the dialect that it speaks."""

RUN = {name: (_here if name in PYTHON else _node)(name) for name in SPEAKS}
"""Every client as a function (folder of programs, jobs) -> findings in the same order."""
