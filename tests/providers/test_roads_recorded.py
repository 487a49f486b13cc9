"""Every recorded request to a cloud, made again: what a dialect writes, carried by the row's road.

The recordings of invocations of other models (embeddings) and one of a retired address form are
left out by name; what is left must be the very address and the very body that was recorded.
"""

import re
from collections import Counter
from functools import cache
from gzip import open as unzipped
from urllib.parse import unquote

import msgspec
import pytest

from arno.providers.counting import ask_count, read_count
from arno.providers.environment import filled
from arno.providers.roads import carry
from arno.wire import json
from tests.providers.asking import CATALOGUE, OURS
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared

EXPECTED = {
    # row: recorded requests that its road makes again
    "amazon-bedrock-anthropic": 6,
    "azure": 6,
    "azure-responses": 7,
    "google-vertex": 53,
    "google-vertex-anthropic": 6,
    "amazon-bedrock-mantle-responses": 1,
    "deepseek-responses": 5,
}
OTHERS = {"bedrock-invoke": 11}
"""Invocations that are not Messages."""

COUNTED = {"anthropic": 2, "amazon-bedrock": 2, "amazon-bedrock-anthropic": 1, "google-vertex": 1}


class Case(msgspec.Struct, frozen=True):
    id: str
    url: str
    request: dict
    stream: bool
    status: int
    body: str | None = None


MODEL = re.compile(r"/models/([^/:]+):|/model/([^/]+)/|/deployments/([^/]+)/")
PLACES = {
    # what of an address tells the fields of the row that it is of
    "resource": re.compile(r"https://([\w-]+)\.openai\.azure\.com/"),
    "region": re.compile(r"/locations/([\w-]+)/|bedrock-\w+\.([\w-]+)\.(?:amazonaws|api)"),
    "project": re.compile(r"/projects/([\w-]+)/"),
}
ROWS = {
    ("bedrock-invoke", "bedrock"): "amazon-bedrock-anthropic",
    ("openai-chat", "azure"): "azure",
    ("openai-responses", "azure"): "azure-responses",
    ("openai-responses", "bedrock-mantle"): "amazon-bedrock-mantle-responses",
    ("openai-responses", "deepseek"): "deepseek-responses",
    ("vertex-anthropic", "vertex"): "google-vertex-anthropic",
    ("vertex-gemini", "vertex"): "google-vertex",
    ("count-tokens", "anthropic"): "anthropic",
    ("count-tokens", "vertex"): "google-vertex",
}


@cache
def lines():
    with unzipped(SHARED / "corpus" / "interactions.jsonl.gz") as found:
        return [msgspec.json.decode(line) for line in found]


def cases(dialects):
    """(slug, case) of the recordings that a row stands for; those of none under ""."""
    for line in lines():
        if line["dialect"] not in dialects or line["method"].upper() != "POST":
            continue
        slug = ROWS.get((line["dialect"], line["provider"]), "")
        stream = line["body_kind"] in ("sse", "eventstream")
        yield (
            line,
            slug,
            Case(
                line["id"], line["url"], line["request"], stream, line["status"], line.get("body")
            ),
        )


def row_of(slug, url):
    """The row at the address that was recorded."""
    row = CATALOGUE.known[slug]
    fields = {
        name: next(group for group in found.groups() if group)
        for name in row.missing
        if (found := PLACES[name].search(url))
    }
    return filled(msgspec.structs.replace(row, **fields), {})


def model_of(case):
    """The model that was asked for, there in the path or in the body."""
    found = MODEL.search(case.url)
    return case.request.get("model") or unquote(next(group for group in found.groups() if group))


def made(row, case):
    """The recorded request as its dialect writes it, carried again."""
    model = model_of(case)
    asked = dict(case.request)
    if row.dialect == "messages":
        asked = {k: v for k, v in asked.items() if k != "anthropic_version"}
        asked = {"model": model, **asked, **({"stream": True} if case.stream else {})}
    body = json.dumps(asked)
    return carry(row, OURS[row.dialect], body, model=model, stream=case.stream)


CLOUDS = {"bedrock-invoke", "vertex-anthropic", "vertex-gemini", "openai-chat", "openai-responses"}


def test_every_request_to_a_cloud_is_made_again():
    found, others = Counter(), Counter()
    for line, slug, case in cases(CLOUDS):
        if not slug:
            continue
        if line["dialect"] == "bedrock-invoke" and "anthropic_version" not in case.request:
            others[line["dialect"]] += 1
            continue
        if "cognitiveservices" in case.url:
            continue
        carried = made(row_of(slug, case.url), case)
        assert carried.url == case.url, case.id
        assert json.equal(json.loads(carried.body), case.request), case.id
        found[slug] += 1
    assert found == EXPECTED
    assert others == OTHERS


def test_a_deployment_in_the_path_is_a_row_of_the_operators_own():
    [case] = [c for _, _, c in cases({"openai-chat"}) if "cognitiveservices" in c.url]
    row = msgspec.structs.replace(
        CATALOGUE.known["azure"],
        base_url="https://resource-name.cognitiveservices.azure.com",
        road="azure_deployments",
    )
    carried = carry(row, OURS["chat"], b"{}", model=model_of(case), stream=False)
    assert carried.url == case.url


def test_recorded_counts_are_asked_for_and_read_again():
    found = Counter()
    for _, slug, case in cases({"count-tokens"}):
        asked = case.request
        if not slug:
            slug = (
                "amazon-bedrock-anthropic" if "invokeModel" in asked["input"] else "amazon-bedrock"
            )
            [inner] = asked["input"].values()
            asked = json.loads(_decoded(inner)) if "body" in inner else inner
        row = row_of(slug, case.url)
        model = model_of(case)
        if case.status != 200:
            assert read_count(case.body.encode()) is None
            continue
        sent = ask_count(row, json.dumps(asked), model=model)
        assert unquote(sent.url) == unquote(case.url).removesuffix("?beta=true"), case.id
        if "invokeModel" in case.request.get("input", {}):
            body = json.loads(_decoded(json.loads(sent.body)["input"]["invokeModel"]))
            assert json.equal(body, asked)
        else:
            assert json.equal(json.loads(sent.body), case.request), case.id
        assert read_count(case.body.encode()) > 0
        found[slug] += 1
    assert found == COUNTED


def _decoded(invocation):
    return msgspec.json.decode(msgspec.json.encode(invocation["body"]), type=bytes)


@pytest.mark.parametrize(
    ("slug", "spoiled"),
    [
        ("amazon-bedrock-anthropic", lambda row: msgspec.structs.replace(row, road=None)),
        ("google-vertex", lambda row: msgspec.structs.replace(row, road=None)),
        ("azure", lambda row: msgspec.structs.replace(row, base_url=row.base_url + "/x")),
    ],
)
def test_a_row_that_says_it_wrong_is_noticed(slug, spoiled):
    """The control of the first test."""
    case = next(
        c
        for _, s, c in cases(CLOUDS)
        if s == slug
        and "cognitive" not in c.url
        and ("anthropic" in c.url or slug != "amazon-bedrock-anthropic")
    )
    row = row_of(slug, case.url)
    assert made(row, case).url == case.url
    assert made(spoiled(row), case).url != case.url
