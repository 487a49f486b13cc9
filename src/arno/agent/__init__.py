"""The agent: a model that calls typed functions, step by step, until it has an answer.

agent.py    Agent: the settings; starts runs
run.py      Run: the driver of one run, an iterator of events (events.py)
loop.py     the decisions, sans-IO; history.py: histories every upstream accepts
tools.py    functions as tools (schema.py, docstring.py); execute.py runs one call
model.py    what answers requests; http.py: over HTTP (settings.py: where and with which key)
result.py   steps, usage and cost; errors.py: what can go wrong
"""

from arno.agent.agent import Agent, Prompt
from arno.agent.errors import (
    IncompleteAnswer,
    ModelError,
    RunError,
    SettingsError,
    StepLimit,
    ToolDefinitionError,
)
from arno.agent.events import (
    AgentEvent,
    ReasoningDelta,
    RefusalDelta,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
)
from arno.agent.history import repair, user
from arno.agent.http import HttpModel
from arno.agent.model import Model, ModelStream
from arno.agent.result import RunResult, Step
from arno.agent.run import Run
from arno.agent.tools import Tool, tool

__all__ = [
    "Agent",
    "AgentEvent",
    "HttpModel",
    "IncompleteAnswer",
    "Model",
    "ModelError",
    "ModelStream",
    "Prompt",
    "ReasoningDelta",
    "RefusalDelta",
    "Run",
    "RunError",
    "RunFinished",
    "RunResult",
    "SettingsError",
    "Step",
    "StepFinished",
    "StepLimit",
    "StepStarted",
    "TextDelta",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallStarted",
    "ToolDefinitionError",
    "ToolResult",
    "repair",
    "tool",
    "user",
]
