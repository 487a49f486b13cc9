"""What the scripted models say, whatever their dialect: the story that every client must read.

A scenario is one conversation of one or two turns. `SCENARIOS[name]` are the neutral facts of its
answers; a dialect module says them in its own words. A scenario that a dialect cannot say is in
the module's `CANNOT`.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.transport.upstream import End, Framing, Script

TEXT = "Good morning from the harbour: 12 °C 🌊"
BEFORE_CALL = "I look it up."
AFTER = "The tide rises and the wind is north-east."
REASONING = "First the tide, then the wind."
REFUSAL = "I cannot help with that."
SHORT = "It begins with"
STRUCTURED = '{"port":"Genoa","depth":11}'
SCHEMA = {
    "type": "object",
    "properties": {"port": {"type": "string"}, "depth": {"type": "integer"}},
    "required": ["port", "depth"],
    "additionalProperties": False,
}
IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
"""A PNG of one pixel."""

TIDE = ("tide", '{"port":"Genoa","hours":6}')
WIND = ("wind", '{"port":"Trieste"}')
RESULTS = {"tide": "rising", "wind": "north-east 4"}
TOOLS = {
    "tide": {
        "type": "object",
        "properties": {"port": {"type": "string"}, "hours": {"type": "integer"}},
        "required": ["port"],
    },
    "wind": {
        "type": "object",
        "properties": {"port": {"type": "string"}},
        "required": ["port"],
    },
}
"""The tools that clients offer: name to JSON schema."""

PROMPT = "How is the sea today?"
SYSTEM = "You keep a harbour."


@dataclass(frozen=True)
class Usage:
    """Canonical counts: inclusive totals. None: this dialect has no place for it."""

    input: int = 120
    output: int = 30
    cached: int | None = 40
    reasoning: int | None = None


@dataclass(frozen=True)
class Turn:
    """What one answer says. calls: (name, arguments); finish: canonical."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = "stop"
    images: int = 0
    refused: bool = False


SCENARIOS: dict[str, tuple[Turn, ...]] = {
    "text": (Turn(TEXT),),
    "tool": (Turn(BEFORE_CALL, calls=(TIDE,), finish="tool_calls"), Turn(AFTER)),
    "parallel": (Turn(calls=(TIDE, WIND), finish="tool_calls"), Turn(AFTER)),
    "thinking": (Turn(TEXT, REASONING),),
    "thinking_tool": (Turn("", REASONING, (TIDE,), "tool_calls"), Turn(AFTER)),
    "image_in": (Turn(TEXT),),
    "image_out": (Turn(BEFORE_CALL, images=1),),
    "schema": (Turn(STRUCTURED),),
    "refusal": (Turn(REFUSAL, finish="content_filter", refused=True),),
    "length": (Turn(SHORT, finish="length"),),
    "bad_request": (),
    "bad_key": (),
    "limited": (),
    "broken": (),
    "overloaded": (),
    "mid_error": (Turn(SHORT),),
    "cut": (Turn(SHORT),),
}


def calls_tools(scenario):
    """Whether the model calls tools in a scenario."""
    return any(turn.calls for turn in SCENARIOS[scenario])


STATUS = {"bad_request": 400, "bad_key": 401, "limited": 429, "broken": 500, "overloaded": 529}
"""Scenarios that end before any output, and the status they end with."""

BROKEN_OFF = ("mid_error", "cut")
"""Scenarios that exist as streams only."""

STREAMED_TEXT_SIZE = 7


def pieces(text):
    """A text as a stream delivers it: some characters at a time."""
    return [text[at : at + STREAMED_TEXT_SIZE] for at in range(0, len(text), STREAMED_TEXT_SIZE)]


def standard(base64):
    """Base64 in its standard alphabet."""
    return base64.translate(str.maketrans("-_", "+/"))


def counted(scenario, *, reasoning=True):
    """The usage of a scenario; reasoning: whether the dialect tells its share."""
    thought = scenario.startswith("thinking") and reasoning
    return Usage(reasoning=12 if thought else None)


@dataclass
class Asked:
    """One request, read in its dialect's grammar. Lists are in the order of the conversation.

    calls: [id, name, arguments as text] of the history; results: [id, text]; images: base64;
    artefacts: signatures and sealed reasoning of the history; problems: what the grammar forbids.
    """

    document: Any
    model: str
    stream: bool
    headers: dict[str, str]
    scenario: str = ""
    turn: int = 0
    system: str = ""
    texts: list[str] = field(default_factory=list)
    tools: dict[str, Any] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    results: list[list[str]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    artefacts: list[str] = field(default_factory=list)
    schema: Any = None
    problems: list[str] = field(default_factory=list)
    sse: bool = True
    counts: bool = False
    """Only the tokens are asked for."""

    def require(self, right, problem):
        """Note a problem unless `right`."""
        if not right:
            self.problems.append(problem)

    def known(self, document, names, where):
        """Every member of a document has a name that the dialect knows."""
        for name in document:
            self.require(name in names, f"{where}: unknown member {name}")


def headers_of(request):
    """The headers of a request by name."""
    return dict(request.headers)


def stream_of(frames, scenario, *, failed=b""):
    """A stream of frames. `mid_error` ends with `failed`, `cut` without a goodbye."""
    if scenario == "cut":
        return Script.sse(*frames, end=End.CUT)
    return Script.sse(*frames, *([failed] if scenario == "mid_error" else []))


def error_of(body, status, *headers):
    """An answer with a bad status."""
    fields = [("content-type", "application/json"), *headers]
    if status == 429:
        fields.append(("retry-after", "7"))
    return Script([body], status, fields, framing=Framing.LENGTH)
