"""The whole request. System prompts are messages; hoisting them is an encoder's work."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from arno.canon.ext import NO_EXT, Ext, Json
from arno.canon.parts import CacheHint, Executor, Part


class Role(StrEnum):
    """Who speaks; `tool` messages carry exactly one tool result each."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Message(msgspec.Struct, frozen=True):
    """One turn of the conversation."""

    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    ext: Ext = NO_EXT


class Tool(msgspec.Struct, frozen=True):
    """A tool the model may call.

    parameters: a JSON Schema document, None if none was given; kind: function, custom or
    provider (then type names it and its settings live in ext); format: what a custom tool's input
    looks like; executor: who runs it (a provider-typed tool may still be the client's to run).
    """

    name: str
    description: str | None = None
    parameters: Json = None
    strict: bool | None = None
    kind: str = "function"
    type: str | None = None
    format: Json = None
    executor: Executor = Executor.CLIENT
    deferred: bool = False
    cache: CacheHint | None = None
    ext: Ext = NO_EXT


class ToolChoiceMode(StrEnum):
    """How free the model is: auto, none, required (any tool), named (one tool)."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class ToolChoice(msgspec.Struct, frozen=True):
    """mode, and the tools it is limited to: exactly one name for `named`."""

    mode: ToolChoiceMode
    names: tuple[str, ...] = ()


class Sampling(msgspec.Struct, frozen=True):
    """Sampling parameters; None is "not sent"."""

    temperature: Json = None
    top_p: Json = None
    top_k: Json = None
    min_p: Json = None
    frequency_penalty: Json = None
    presence_penalty: Json = None
    repetition_penalty: Json = None
    seed: int | None = None
    logit_bias: Json = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class Output(msgspec.Struct, frozen=True):
    """The shape asked for: kind is text, json or schema."""

    kind: str
    schema: Json = None
    name: str | None = None
    strict: bool | None = None
    ext: Ext = NO_EXT


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think: effort as a word, budget in tokens; summary auto, concise, detailed."""

    effort: str | None = None
    budget: int | None = None
    summary: str | None = None
    exclude: bool | None = None
    enabled: bool | None = None
    ext: Ext = NO_EXT


class Request(msgspec.Struct, frozen=True):
    """One request to a model.

    routing: the gateway's own members (which providers, which fallback models); it never reaches
    an upstream that is not a gateway of the same contract. cache: a breakpoint behind the last part
    that can be cached; cache_key: requests with the same one share a cache; store: the upstream
    may keep the answer.
    """

    model: str
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    sampling: Sampling = Sampling()
    output: Output | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    stream: bool = False
    include_usage: bool | None = None
    user: str | None = None
    metadata: Json = None
    service_tier: str | None = None
    verbosity: str | None = None
    safety_identifier: str | None = None
    cache: CacheHint | None = None
    cache_key: str | None = None
    store: bool | None = None
    routing: Json = None
    ext: Ext = NO_EXT
