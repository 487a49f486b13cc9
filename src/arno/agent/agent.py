"""The agent: a model, its tools and its settings, given once; every run is independent.

    agent = Agent("vendor/model", tools=[weather], base_url="http://127.0.0.1:8080/api/v1")
    result = agent.run_sync("What is the weather in Florence?")
    print(result.text, result.cost_usd)

Only what is set is sent: a setting left at None is not in the request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from arno.agent.errors import SettingsError
from arno.agent.history import user
from arno.agent.http import HttpModel
from arno.agent.loop import Loop
from arno.agent.model import Model
from arno.agent.result import RunResult
from arno.agent.run import Clock, Run
from arno.agent.tools import Tool, as_tools
from arno.canon.ext import NO_EXT, Json
from arno.canon.failure import LocalError
from arno.canon.parts import TextPart
from arno.canon.request import (
    Message,
    Reasoning,
    Request,
    Role,
    Sampling,
    ToolChoice,
    ToolChoiceMode,
)
from arno.transport.base import Transport

Prompt = str | Sequence[Message]
"""A user's words, or messages of any roles."""


class Agent:
    """Runs a model with tools.

    model: the model's id. tools: functions (`@tool` or plain). instructions: a system message
    sent first and kept out of the history. base_url, api_key, headers, transport: as in
    `HttpModel`; `via` replaces all four. tool_choice: "auto", "none", "required" or a tool's
    name (a forced choice holds until the first call). reasoning_effort: "low", "high", ...
    include_usage: ask for token counts in streams. extra: members of the request document that
    have no setting here, sent as they are. max_steps: model calls in one run. clock: seconds.

    Raises SettingsError or ToolDefinitionError. Use `async with` (or `aclose`) to let go of
    connections; `run_sync` does so itself.
    """

    def __init__(
        self,
        model: str,
        *,
        tools: Sequence[Callable[..., Any]] = (),
        instructions: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        via: Model | None = None,
        tool_choice: str | None = None,
        parallel_tool_calls: bool | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        reasoning_effort: str | None = None,
        include_usage: bool = True,
        extra: Mapping[str, Json] | None = None,
        max_steps: int = 20,
        max_parallel_tools: int = 16,
        clock: Clock = time.monotonic,
    ) -> None:
        _check_model(model)
        _check_extra(extra or {})
        _at_least_one(max_steps=max_steps, max_parallel_tools=max_parallel_tools)
        self._tools: dict[str, Tool[..., Any]] = as_tools(tools)
        self._leading = _instructions(instructions)
        self._max_steps = max_steps
        self._max_parallel_tools = max_parallel_tools
        self._clock = clock
        self._settings = Request(
            model=model,
            tools=tuple(tool.definition for tool in self._tools.values()),
            tool_choice=_tool_choice(tool_choice, self._tools),
            parallel_tool_calls=parallel_tool_calls,
            sampling=Sampling(temperature=temperature, top_p=top_p, seed=seed),
            reasoning=Reasoning(effort=reasoning_effort) if reasoning_effort else None,
            max_output_tokens=max_output_tokens,
            stop=tuple(stop),
            stream=True,
            include_usage=True if include_usage else None,
            ext={HttpModel.dialect.name: dict(extra)} if extra else NO_EXT,
        )
        own = (base_url, api_key, headers, transport)
        if via is not None and any(setting is not None for setting in own):
            raise SettingsError("`via` takes the place of base_url, api_key, headers and transport")
        self._model: Model = via or HttpModel(
            base_url, api_key=api_key, headers=headers, transport=transport
        )

    def stream(self, prompt: Prompt, *, history: Sequence[Message] = ()) -> Run:
        """Begin a run: iterate over it for its events.

        history: an earlier run's `messages` to go on from; gaps in it are repaired.
        Raises SettingsError if there is nothing to send.
        """
        words = _words(prompt)
        messages = (*history, *words)
        if not messages:
            raise SettingsError("there is nothing to send: the prompt and the history are empty")
        loop = Loop(self._settings, messages, leading=self._leading, max_steps=self._max_steps)
        return Run(loop, self._model, self._tools, self._clock, self._max_parallel_tools)

    async def run(self, prompt: Prompt, *, history: Sequence[Message] = ()) -> RunResult:
        """Run to the end. Raises RunError where the run fails.

        To keep the history of a run that may be cancelled, use `stream`.
        """
        async with self.stream(prompt, history=history) as run:
            async for _ in run:
                pass
            return run.result

    def run_sync(self, prompt: Prompt, *, history: Sequence[Message] = ()) -> RunResult:
        """`run` for programs without an event loop. Raises LocalError inside of one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._run_and_close(prompt, history))
        raise LocalError("run_sync cannot be used inside an event loop: await agent.run(...)")

    async def aclose(self) -> None:
        """Let connections go; the agent can still be used and opens new ones."""
        await self._model.aclose()

    async def __aenter__(self) -> Agent:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run_and_close(self, prompt: Prompt, history: Sequence[Message]) -> RunResult:
        try:
            return await self.run(prompt, history=history)
        finally:
            await self.aclose()


OWN_MEMBERS = frozenset(
    "model messages tools tool_choice parallel_tool_calls stream stream_options max_tokens"
    " temperature top_p seed stop".split()
)
"""Members of the request that settings of their own write."""


def _words(prompt: object) -> tuple[Message, ...]:
    """The prompt as messages. Raises SettingsError for what is neither text nor messages."""
    if isinstance(prompt, str):
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise SettingsError(f"the prompt is no valid text: {error.reason}") from error
        return (user(prompt),)
    messages = list(prompt) if isinstance(prompt, Sequence) else [prompt]
    words = tuple(message for message in messages if isinstance(message, Message))
    if len(words) < len(messages):
        raise SettingsError("the prompt must be a text or a list of messages")
    return words


def _check_model(model: object) -> None:
    if not isinstance(model, str) or not model:
        raise SettingsError("model must be a model's id, a non-empty text")


def _check_extra(extra: Mapping[str, Json]) -> None:
    clash = sorted(OWN_MEMBERS & extra.keys())
    if clash:
        raise SettingsError(f"extra cannot hold {', '.join(clash)}: there is a setting for that")


def _at_least_one(**settings: int) -> None:
    for name, value in settings.items():
        if value < 1:
            raise SettingsError(f"{name} must be at least 1, not {value}")


def _instructions(text: str | None) -> tuple[Message, ...]:
    return (Message(Role.SYSTEM, (TextPart(text=text),)),) if text else ()


def _tool_choice(choice: str | None, tools: Mapping[str, object]) -> ToolChoice | None:
    """The word or the tool's name as a value. Raises SettingsError for anything else."""
    if choice is None:
        return None
    if choice in (ToolChoiceMode.AUTO, ToolChoiceMode.NONE, ToolChoiceMode.REQUIRED):
        return ToolChoice(ToolChoiceMode(choice))
    if choice in tools:
        return ToolChoice(ToolChoiceMode.NAMED, (choice,))
    raise SettingsError(f"tool_choice {choice!r} is no mode and no tool of this agent")
