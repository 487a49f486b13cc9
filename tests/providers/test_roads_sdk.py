"""The roads against the vendors' own clients: the same question, asked by both, side by side.

The official clients talk to a server on this machine; what they sent must be what a row sends,
path and body, but for the version's date, which each client knows by itself.
"""

import anthropic
import msgspec
import pytest
from google import genai
from google.oauth2.credentials import Credentials

from arno.providers.roads import carry
from arno.wire import json
from tests.providers.asking import CATALOGUE, dialect, ready
from tests.transport.upstream import Script, ThreadedUpstream

CLAUDE = {
    "model": "claude-1@20250219",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}
BEDROCK = {**CLAUDE, "model": "us.anthropic.claude-1-v1:0"}
CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
GEMINI = {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 9}}
BETAS = {"anthropic-beta": "one-1,two-2"}
NO = Script.json(b'{"error": {"message": "no", "code": 400, "status": "X"}}', 400)
"""The answer does not matter here, only the question."""


def ask_bedrock(url, *, stream):
    client = anthropic.AnthropicBedrock(
        api_key="k", aws_region="us-east-1", base_url=url, max_retries=0
    )
    client.messages.create(**BEDROCK, stream=stream, extra_headers=BETAS)


def ask_vertex(url, *, stream):
    client = anthropic.AnthropicVertex(
        access_token="t",
        project_id="my-project",
        region="us-east-1",
        base_url=f"{url}/v1",
        max_retries=0,
    )
    client.messages.create(**CLAUDE, stream=stream, extra_headers=BETAS)


def ask_gemini(url, *, stream):
    client = genai.Client(
        vertexai=True,
        project="my-project",
        location="us-east-1",
        credentials=Credentials(token="t"),
        http_options={"base_url": url},
    )
    way = client.models.generate_content_stream if stream else client.models.generate_content
    answer = way(model="gemini-1", contents=CONTENTS, config={"max_output_tokens": 9})
    if stream:
        next(iter(answer))


ASKED = [
    ("amazon-bedrock-anthropic", BEDROCK, ask_bedrock),
    ("google-vertex-anthropic", CLAUDE, ask_vertex),
    ("google-vertex", GEMINI, ask_gemini),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("slug", "body", "ask"), ASKED, ids=[case[0] for case in ASKED])
def test_a_row_asks_as_the_vendors_client_does(slug, body, ask, stream):
    row = ready(CATALOGUE.known[slug])
    with ThreadedUpstream([NO]) as upstream:
        with pytest.raises((anthropic.APIError, genai.errors.APIError)):
            ask(upstream.url, stream=stream)
        [seen] = upstream.requests
    written = dict(body, stream=True) if stream and row.dialect == "messages" else body
    forward = tuple(BETAS.items()) if row.dialect == "messages" else ()
    model = body.get("model", "gemini-1")
    ours = carry(
        row, dialect(row.dialect), json.dumps(written), model=model, stream=stream, forward=forward
    )
    assert path_of(ours.url) == plain(seen.path)
    assert undated(ours.body) == undated(seen.body)
    assert dict(ours.headers).get("anthropic-beta") == seen_betas(row, seen)


def seen_betas(row, seen):
    """Where a body names them, the client's header is one too many."""
    return None if row.road == "bedrock_invoke" else seen.header("anthropic-beta")


def plain(path):
    """A colon may be escaped or not."""
    return path.replace("%3A", ":").replace("%40", "@")


def path_of(url):
    return plain("/" + url.partition("://")[2].partition("/")[2])


def undated(body):
    """A body without what each client knows by itself."""
    members = msgspec.json.decode(body)
    members.pop("anthropic_version", None)
    # This client says `stream` of a whole answer too.
    if members.get("stream") is False:
        del members["stream"]
    return members
