"""Errors of the agent. Two families, as everywhere: our caller's mistakes, and runs that failed.

    LocalError (arno.canon.failure)
      ToolDefinitionError   a function that cannot become a tool; raised where it is decorated
      SettingsError         an agent that cannot work as it is set up
    RunError                a run that ended without an answer; `.messages` is a valid history
      ModelError            the upstream failed: `.failure` says how
      IncompleteAnswer      the answer stopped (length, content filter) inside a tool call
      StepLimit             the step cap was reached while the model still asked for tools

A failing tool is none of these: the model reads the error as the call's result.
"""

from __future__ import annotations

from arno.agent.result import RunResult
from arno.canon.failure import Failure, LocalError
from arno.canon.request import Message
from arno.canon.response import Response


class ToolDefinitionError(LocalError):
    """A function whose signature cannot be told to a model; the message names the parameter."""


class SettingsError(LocalError):
    """Settings of an agent or a run that contradict each other or are missing."""


class RunError(Exception):
    """A run that ended without an answer. `result` holds the steps that were completed."""

    def __init__(self, message: str, result: RunResult) -> None:
        super().__init__(message)
        self.message = message
        self.result = result

    @property
    def messages(self) -> tuple[Message, ...]:
        """The history so far: every call in it has its result, so a new run can go on from it."""
        return self.result.messages


class ModelError(RunError):
    """The upstream failed.

    failure: what happened, with the upstream's own words. partial: what had arrived of the
    answer; it is not part of `messages`, so a run from `messages` repeats the failed step.
    """

    def __init__(self, failure: Failure, partial: Response, result: RunResult) -> None:
        more = "" if failure.detail is None else f" ({failure.detail})"
        super().__init__(f"{failure.kind.value}: {failure.message}{more}", result)
        self.failure = failure
        self.partial = partial


class IncompleteAnswer(RunError):
    """The answer was cut by a limit or a filter inside a tool call; no tool of it was run."""


class StepLimit(RunError):
    """The step cap was reached; the last step's tools have run and their results are kept."""
