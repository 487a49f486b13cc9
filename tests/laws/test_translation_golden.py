"""Golden documents: what becomes of one full set of requests between all pairs of dialects.

`tests/golden/translation/<client>.<provider>.<scenario>.json` holds what an upstream that speaks
`provider` gets for a client's request: the path, the document, and what was lost or refused, in the
client's words. The request itself is the document of the client's own dialect
(`<client>.<client>.<scenario>.json`), written by hand; all others are written anew by
`python -m tests.laws.test_translation_golden`, after which a human reads the difference.
"""

from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arno.canon.failure import RequestError
from arno.dialects import DIALECTS
from arno.dialects.translate import translate
from arno.wire import json
from tests.laws.vendor_types import READERS
from tests.laws.wire_rules import RULES

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "translation"

SCENARIOS = ("text", "tools", "images", "reasoning", "output", "sampling")
"""A conversation with a system prompt and cache marks; two calls at once with their results (one
failed, where the wire can say so) and more to say; media; the replay of artefacts of reasoning;
an answer of a given shape; sampling, limits and labels."""

MODELS = {
    "chat": "gpt-5",
    "responses": "gpt-5",
    "messages": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "converse": "anthropic.claude-sonnet-4-5-v1:0",
}
"""The model that is asked for at an upstream of each dialect."""

CASES = list(product(DIALECTS, DIALECTS, SCENARIOS))


def place(client: str, provider: str, scenario: str) -> Path:
    """Where a golden document stands."""
    return FOLDER / f"{client}.{provider}.{scenario}.json"


def kept(client: str, provider: str, scenario: str) -> Any:
    """A golden document."""
    return json.loads(place(client, provider, scenario).read_bytes())


def told(client: str, provider: str, scenario: str) -> Any:
    """What becomes of a client's request, to be compared with the golden document."""
    document = json.dumps(kept(client, client, scenario)["document"])
    try:
        done = translate(
            document, source=client, target=provider, kind="request", model=MODELS[provider]
        )
    except RequestError as error:
        return {"refused": error.path, "why": error.message}
    losses = [f"{loss.path}: {loss.action}, {loss.why}" for loss in done.losses]
    return {"path": done.path, "document": json.loads(done.body), "losses": losses}


@pytest.mark.parametrize(("client", "provider", "scenario"), CASES)
def test_what_the_upstream_gets_is_the_golden_document(
    client: str, provider: str, scenario: str
) -> None:
    found = told(client, provider, scenario)
    assert json.equal(found, kept(client, provider, scenario)), json.dumps(found).decode()
    if "document" in found:
        plain: Any = msgspec.json.decode(json.dumps(found["document"]))
        assert not list(RULES[provider](plain))
        if client != provider:
            assert not READERS[provider](plain)


@pytest.mark.parametrize(("client", "scenario"), list(product(DIALECTS, SCENARIOS)))
def test_a_request_reaches_its_own_dialect_as_it_was(client: str, scenario: str) -> None:
    """Nothing is lost, so that the golden documents are what the client has written."""
    assert kept(client, client, scenario)["losses"] == []


def test_every_file_is_of_a_pair_and_a_scenario() -> None:
    """No golden document is left behind when a scenario goes."""
    files = {path.name for path in FOLDER.iterdir()} - {"losses.json"}
    assert files == {place(*case).name for case in CASES}


def rewrite() -> None:
    """Write every golden document anew, the clients' own requests included."""
    for case in CASES:
        found = msgspec.json.format(json.dumps(told(*case)), indent=1)
        place(*case).write_bytes(found + b"\n")


if __name__ == "__main__":
    rewrite()
