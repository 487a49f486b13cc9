"""Every row of the other dialects against its recorded traffic: what is sent there, what is read.

As `test_recorded.py` for chat: each interaction goes through the Plan and the exchange as a client
of the row's own dialect would send it. Its answer must mean what the recording means; its request
must be the recorded one, at the recorded address, but for members that only an edit of the body
explains (`CHANGED`). The tables count the interactions.
"""

import re
from collections import Counter
from functools import cache

import msgspec
import pytest

from arno.canon.failure import Failure
from arno.canon.response import Response
from arno.dialects import CLIENTS, DIALECTS
from arno.engine.call import Call, Caller
from arno.engine.origins import MemoryOrigins
from arno.engine.plan import Plan
from arno.engine.translation import Translation
from arno.exchange.machine import DEFAULT_LIMITS
from arno.ledger.settle import NO_PRICES
from arno.providers import Candidate
from arno.providers.environment import filled
from arno.wire import json
from arno.wire.frame import Framing
from tests.laws.corpus import answer_of, events_of, recorded
from tests.laws.harness import bare, folded
from tests.providers.asking import CATALOGUE
from tests.shared import needs_shared

pytestmark = needs_shared

COVERED = {
    # row: whole answers, streams, failures
    "amazon-bedrock": (55, 6, 3),
    "amazon-bedrock-anthropic": (3, 3, 0),
    "amazon-bedrock-mantle-responses": (1, 0, 0),
    "anthropic": (116, 12, 0),
    "azure-responses": (4, 3, 0),
    "deepseek-responses": (4, 1, 0),
    "google-ai-studio": (97, 17, 0),
    "google-vertex": (46, 5, 2),
    "google-vertex-anthropic": (3, 3, 0),
    "openai-responses": (90, 23, 1),
}
NOT_GENERATION = re.compile(r"/v1/responses/")
"""Operations of other kinds at the same host: polls and counts."""
NOT_LET_IN = {
    # Answers that are made in the background are not for a gateway without a store of its own.
    "background": 6,
}
"""Members for which a client is refused here, though the recorded upstream took them."""

ROWS = {
    ("bedrock-converse", "bedrock-runtime"): "amazon-bedrock",
    ("bedrock-invoke", "bedrock-runtime"): "amazon-bedrock-anthropic",
    ("openai-responses", "bedrock-mantle"): "amazon-bedrock-mantle-responses",
    ("anthropic", "api.anthropic.com"): "anthropic",
    ("openai-responses", "openai.azure.com"): "azure-responses",
    ("openai-responses", "api.deepseek.com"): "deepseek-responses",
    ("gemini", "generativelanguage"): "google-ai-studio",
    ("vertex-gemini", "aiplatform"): "google-vertex",
    ("vertex-anthropic", "aiplatform"): "google-vertex-anthropic",
    ("openai-responses", "api.openai.com"): "openai-responses",
}
FIELDS = {
    "resource": re.compile(r"https://([\w-]+)\.openai\.azure\.com/"),
    "region": re.compile(r"/locations/([\w-]+)/|bedrock-\w+\.([\w-]+)\.(?:amazonaws|api)"),
    "project": re.compile(r"/projects/([\w-]+)/"),
}
ROW = pytest.mark.parametrize(
    "slug", [slug for slug in COVERED if CATALOGUE.known[slug].dialect in DIALECTS]
)
NAMED_HERE = frozenset({"id", "model", "served_by", "created", "native_reason"})
"""What a gateway puts its own in the place of."""


def slug_of(case):
    other = case.spoken == "bedrock-invoke" and "anthropic_version" not in case.request
    if other or NOT_GENERATION.search(case.url):
        return None
    return next(
        (
            slug
            for (spoken, host), slug in ROWS.items()
            if spoken == case.spoken and host in case.url
        ),
        None,
    )


def row_of(case):
    """The row at the address that was recorded."""
    row = CATALOGUE.known[slug_of(case)]
    values = {
        name: next(group for group in FIELDS[name].search(case.url).groups() if group)
        for name in row.missing
    }
    return filled(msgspec.structs.replace(row, **values), {})


@cache
def by_row():
    found = {slug: [] for slug in ROWS.values() if CATALOGUE.known[slug].dialect in DIALECTS}
    for case in recorded():
        slug = slug_of(case)
        if slug is not None and not refused(case):
            found[slug].append(case)
    return found


def refused(case):
    return [name for name in NOT_LET_IN if case.request.get(name)]


class Passed(msgspec.Struct):
    sent: object
    seen: object
    body: bytes
    events: list


def passed(case, row=None):
    """One interaction through the Plan, as a client of the row's own dialect."""
    row = row or row_of(case)
    model = case.line.model or case.request["model"]
    members = dict(case.request)
    if row.dialect == "messages":
        # What a road puts in the place of model and stream is taken out again.
        members.pop("anthropic_version", None)
        members = {"model": model, **members, **({"stream": True} if case.stream else {})}
    body = json.dumps(members)
    client = CLIENTS[row.dialect]
    call = Call(
        generation_id="gen-1",
        caller=Caller(key_id="k"),
        dialect=row.dialect,
        envelope=client.peek(body, case.line),
        body=body,
        line=case.line,
        created_ns=1_800_000_000_000_000_000,
    )
    candidate = Candidate(row, model, model)
    plan = Plan(call, candidate, Translation(call, MemoryOrigins()), NO_PRICES)
    exchange = plan.exchange(DEFAULT_LIMITS, None)
    steps = [exchange.head(case.status, case.headers), exchange.data(case.body), exchange.end()]
    return Passed(
        plan.request(None, None),
        exchange.seen,
        b"".join(step.output for step in steps),
        [event for step in steps for event in step.events],
    )


def is_failure(case):
    return case.status >= 400 or not isinstance(answer_of(case), Response)


def meaning(answer):
    """The answer without names of the gateway's own, and without the layout of arguments.

    Where the wire has no call ids, ours are made from the answer's id, which the gateway changes.
    """
    said = bare(answer, without=NAMED_HERE)
    for choice in said["choices"]:
        for part in choice["parts"]:
            if "arguments" in part:
                part["arguments"] = json.loads(part["arguments"] or "{}")
            if str(part.get("call_id")).startswith("call_gemini_"):
                del part["call_id"]
    return said


def test_every_row_has_its_traffic():
    counts = {
        slug: (
            sum(not c.stream and not is_failure(c) for c in cases),
            sum(c.stream and not is_failure(c) for c in cases),
            sum(map(is_failure, cases)),
        )
        for slug, cases in by_row().items()
    }
    assert counts == {slug: COVERED[slug] for slug in by_row()}


def test_what_is_not_let_in_is_counted():
    found = Counter(name for case in recorded() if slug_of(case) for name in refused(case))
    assert found == NOT_LET_IN


@ROW
def test_the_request_is_the_recorded_one(slug):
    changed = Counter()
    for case in by_row()[slug]:
        sent = passed(case).sent
        assert sent.url == case.url.replace("?beta=true", ""), case.id
        body, asked = json.loads(sent.body), case.request
        changed.update(f"+{name}" for name in body.keys() - asked.keys())
        changed.update(f"-{name}" for name in asked.keys() - body.keys())
        both = body.keys() & asked.keys()
        changed.update(f"~{name}" for name in both if not json.equal(body[name], asked[name]))
    assert changed == {}


@ROW
def test_a_client_reads_what_was_recorded(slug):
    for case in by_row()[slug]:
        if is_failure(case):
            continue
        through, dialect = passed(case), case.dialect
        assert through.seen.complete, case.id
        if not case.stream:
            read = dialect.decode_response(through.body)
        elif dialect.framing is Framing.SSE:
            read = folded(events_of(through.body, dialect))
        else:
            read = folded(through.events)  # no client is written to in binary frames
        expected = answer_of(case)
        assert meaning(read) == meaning(expected), case.id
        assert through.seen.usage == expected.usage, case.id


@ROW
def test_failures_are_read_as_failures(slug):
    for case in filter(is_failure, by_row()[slug]):
        failure = passed(case).seen.failure
        assert isinstance(failure, Failure), case.id
