"""The public names, pinned: taking one away breaks somebody's program."""

import subprocess
import sys

import pytest

import arno
import arno.agent

AGENT = {
    *("Agent", "AgentEvent", "HttpModel", "IncompleteAnswer", "Model", "ModelError"),
    *("ModelStream", "Prompt", "ReasoningDelta", "RefusalDelta", "Run", "RunError"),
    *("RunFinished", "RunResult", "SettingsError", "Step", "StepFinished", "StepLimit"),
    *("StepStarted", "TextDelta", "Tool", "ToolCall", "ToolCallDelta", "ToolCallStarted"),
    *("ToolDefinitionError", "ToolResult", "repair", "tool", "user"),
}
FRONT_DOOR = {
    *("Agent", "Failure", "HttpModel", "IncompleteAnswer", "LocalError", "MediaPart", "Message"),
    *("ModelError", "Role", "RunError", "RunFinished", "RunResult", "StepFinished", "StepLimit"),
    *("StepStarted", "TextDelta", "TextPart", "Tool", "ToolCall", "ToolResult", "__version__"),
    *("Translation", "TranslationError", "tool", "translate", "user"),
}


def test_names_of_the_agent() -> None:
    assert set(arno.agent.__all__) == AGENT
    assert all(hasattr(arno.agent, name) for name in AGENT)


def test_names_of_the_package() -> None:
    assert set(arno.__all__) == FRONT_DOOR
    assert set(dir(arno)) >= FRONT_DOOR


@pytest.mark.parametrize("name", sorted(FRONT_DOOR))
def test_each_name_of_the_package_is_there(name: str) -> None:
    assert getattr(arno, name) is not None


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match="module 'arno' has no attribute 'nothing'"):
        _ = arno.nothing


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import arno, sys; print(sorted(m for m in sys.modules if m.startswith('arno')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['arno', 'arno.version']"
