"""Sample requests in every dialect, and the way each dialect's own path looks."""

import msgspec

from arno.dialects import DIALECTS
from arno.providers import Endpoint, load_catalogue
from arno.providers.environment import filled
from arno.wire import json
from arno.wire.frame import Framing

FIELDS = {"region": "us-east-1", "project": "my-project", "resource": "my-resource"}
CATALOGUE = load_catalogue()


class Spoken(msgspec.Struct, frozen=True):
    """What a road reads of a dialect; where the dialect itself is there, it is asked instead."""

    framing: Framing
    headers: tuple
    whole: str
    streamed: str

    def path(self, model, *, stream):
        return (self.streamed if stream else self.whole).replace("ID", model)


CHAT = Spoken(Framing.SSE, (), "/chat/completions", "/chat/completions")
RESPONSES = Spoken(Framing.SSE, (), "/responses", "/responses")
MESSAGES = Spoken(Framing.SSE, (("anthropic-version", "2023-06-01"),), "/messages", "/messages")
GEMINI = Spoken(
    Framing.SSE, (), "/models/ID:generateContent", "/models/ID:streamGenerateContent?alt=sse"
)
CONVERSE = Spoken(Framing.EVENT_STREAM, (), "/model/ID/converse", "/model/ID/converse-stream")

OURS = {
    "chat": CHAT,
    "responses": RESPONSES,
    "messages": MESSAGES,
    "gemini": GEMINI,
    "converse": CONVERSE,
}
MODELS = {
    "azure": "my-deployment",
    "google-vertex-anthropic": "claude-sonnet-4-5@20250929",
    "amazon-bedrock": "us.amazon.nova-micro-v1",
    "amazon-bedrock-anthropic": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
}


def dialect(name):
    return DIALECTS.get(name, OURS[name])


def ready(row: Endpoint) -> Endpoint:
    """A row with an address that can be sent to."""
    fields = {name: FIELDS[name] for name in row.missing}
    return filled(msgspec.structs.replace(row, **fields), {})


def body(name, model, *, stream):
    """What a dialect writes to ask for a short answer."""
    said = {"role": "user", "content": "Hi"}
    whole = {"model": model, "stream": True} if stream else {"model": model}
    bodies = {
        "chat": {**whole, "messages": [said], "max_tokens": 9},
        "responses": {**whole, "input": [said], "max_output_tokens": 9},
        "messages": {**whole, "messages": [said], "max_tokens": 9},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        "converse": {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
    }
    return json.dumps(bodies[name])
