"""Arno: an LLM gateway, a streaming agent library and record/replay cassettes on one core.

    from arno import Agent, tool

The names below are the library's front door. Each is loaded when it is first used, so that
`import arno` costs next to nothing (a gateway or a test plugin may need none of them).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from arno.version import VERSION

if TYPE_CHECKING:
    from arno.agent import (
        Agent,
        HttpModel,
        IncompleteAnswer,
        ModelError,
        RunError,
        RunFinished,
        RunResult,
        StepFinished,
        StepLimit,
        StepStarted,
        TextDelta,
        Tool,
        ToolCall,
        ToolResult,
        tool,
        user,
    )
    from arno.canon.failure import Failure, LocalError
    from arno.canon.parts import MediaPart, TextPart
    from arno.canon.request import Message, Role
    from arno.dialects.translate import Translation, TranslationError, translate

__version__ = VERSION

__all__ = [
    "Agent",
    "Failure",
    "HttpModel",
    "IncompleteAnswer",
    "LocalError",
    "MediaPart",
    "Message",
    "ModelError",
    "Role",
    "RunError",
    "RunFinished",
    "RunResult",
    "StepFinished",
    "StepLimit",
    "StepStarted",
    "TextDelta",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolResult",
    "Translation",
    "TranslationError",
    "__version__",
    "tool",
    "translate",
    "user",
]

_HOMES: Mapping[str, str] = {
    "Failure": "arno.canon.failure",
    "LocalError": "arno.canon.failure",
    "MediaPart": "arno.canon.parts",
    "Message": "arno.canon.request",
    "Role": "arno.canon.request",
    "TextPart": "arno.canon.parts",
    "Translation": "arno.dialects.translate",
    "TranslationError": "arno.dialects.translate",
    "translate": "arno.dialects.translate",
}
"""Where a name lives; the others live in `arno.agent`."""


def __getattr__(name: str) -> object:
    """Load a public name from its home (PEP 562) and keep it for the next time."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES.get(name, "arno.agent")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
