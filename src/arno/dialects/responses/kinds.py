"""The kinds of items, as tables: which tools they are calls of, who runs those, where content is.

Source: OpenAI API reference, "Responses", items of `input` and `output`; recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.canon.ext import Json
from arno.canon.parts import Executor
from arno.dialects.residue import text

MESSAGE = "message"
REASONING = "reasoning"
FUNCTION_CALL = "function_call"
CUSTOM_CALL = "custom_tool_call"
IMAGE_CALL = "image_generation_call"

CLIENT, PROVIDER = Executor.CLIENT, Executor.PROVIDER


class Call(msgspec.Struct, frozen=True):
    """A kind of item that is a call of a tool.

    name: the tool's, "" where the item names it itself; arguments: the member that says what is
    asked; is_text: that member holds the arguments' text as it is, else a document; result: the
    member that says what came of it, where the item holds that too; executor: who runs it, unless
    the item says otherwise (`executor_of`).
    """

    name: str
    arguments: str
    executor: Executor = PROVIDER
    is_text: bool = False
    result: str | None = None


CALLS: dict[str, Call] = {
    FUNCTION_CALL: Call("", "arguments", CLIENT, is_text=True),
    CUSTOM_CALL: Call("", "input", CLIENT, is_text=True),
    "mcp_call": Call("", "arguments", is_text=True, result="output"),
    "web_search_call": Call("web_search", "action"),
    "file_search_call": Call("file_search", "queries", result="results"),
    "code_interpreter_call": Call("code_interpreter", "code", result="outputs"),
    "tool_search_call": Call("tool_search", "arguments"),
    "computer_call": Call("computer", "action", CLIENT),
    "local_shell_call": Call("local_shell", "action", CLIENT),
    "shell_call": Call("shell", "action", CLIENT),
    "apply_patch_call": Call("apply_patch", "operation", CLIENT),
}

ASKED = frozenset({FUNCTION_CALL, CUSTOM_CALL})
"""Calls that every dialect has; the others are tools of this wire."""

RESULTS: dict[str, str] = {
    "function_call_output": "output",
    "custom_tool_call_output": "output",
    "computer_call_output": "output",
    "local_shell_call_output": "output",
    "shell_call_output": "output",
    "apply_patch_call_output": "output",
    "tool_search_output": "tools",
}
"""Kinds of items that are results on their own, and the member that holds what came out."""

RESULT_OF: dict[str, str] = {
    "function": "function_call_output",
    "custom": "custom_tool_call_output",
}
"""Kind of a call to the kind of item that answers it."""

PREFIXES: dict[str, str] = {
    MESSAGE: "msg",
    REASONING: "rs",
    FUNCTION_CALL: "fc",
    CUSTOM_CALL: "ctc",
    IMAGE_CALL: "ig",
}
"""How ids of items begin; upstream checks it."""

STREAMED_CALLS: dict[str, str] = {
    FUNCTION_CALL: "response.function_call_arguments",
    CUSTOM_CALL: "response.custom_tool_call_input",
}
"""Calls whose arguments come in pieces, and how the events are named that bring them."""


def executor_of(kind: str, item: Mapping[str, Json]) -> Executor:
    """Who runs the tool that `item` is a call or a result of."""
    execution = text(item.get("execution"))
    if execution is not None:
        return CLIENT if execution == "client" else PROVIDER
    environment = item.get("environment")
    if kind in ("shell_call", "shell_call_output") and isinstance(environment, Mapping):
        return CLIENT if environment.get("type") == "local" else PROVIDER
    call = CALLS.get(kind)
    return CLIENT if call is None else call.executor
