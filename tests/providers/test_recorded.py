"""Every row against its recorded traffic: what is sent there, and what a client reads.

Text, tool calls (id, name, arguments), end reason and usage that a client gets through a row are
those of the recording. The tables count the interactions, so that no row loses its traffic and no
traffic its row without a test that fails.
"""

from collections import Counter

import pytest

from arno.canon.failure import RequestError
from arno.canon.response import Response
from arno.providers.auth import key_headers
from arno.wire import json
from tests.laws.harness import bare, decode, folded, frames_of
from tests.laws.recordings import BAD_STATUS, FAILED_STREAMS, answers, streams
from tests.providers.readers import read_stream, read_whole
from tests.providers.recorded import CATALOGUE, CHAT, KEY, by_row, host_of, passed
from tests.shared import needs_shared

pytestmark = needs_shared

COVERED = {
    # slug: whole answers, streams, answers with a bad status, streams that end as a failure
    "azure": (3, 3, 0, 0),
    "cerebras": (5, 0, 0, 0),
    "groq": (25, 8, 0, 2),
    "huggingface": (3, 0, 0, 0),
    "llama-cpp": (3, 3, 0, 0),
    "mistral": (15, 0, 0, 0),
    "ollama": (1, 0, 0, 0),
    "openai": (65, 23, 4, 0),
    "openrouter": (25, 13, 3, 1),
    "vercel": (5, 5, 0, 0),
    "xai": (1, 1, 0, 0),
    "z-ai": (8, 8, 0, 0),
}
NOT_RECORDED = {
    "amazon-bedrock-mantle": "the recordings hold its Responses only",
    "deepinfra": "the recordings hold it only behind another gateway",
    "deepseek": "the recordings hold no chat traffic of it, only another dialect's",
    "fireworks": "no recordings",
    "moonshotai": "the recordings hold it only behind another gateway",
    "replay": "it answers from cassettes: case 0 is its test",
    "together": "the recordings hold it only behind another gateway",
    "vllm": "no recordings",
}
NO_ROW = {
    "azure": (1, "an address that names the deployment: tests/providers/test_roads_recorded.py"),
    "crusoe": (2, "not among the providers that are shipped"),
    "snowflake": (4, "the address is the customer's own"),
}
ELSEWHERE = {
    # The same host, at the address of another plan or of one host behind the router.
    "https://api.z.ai/api/coding/paas/v4/chat/completions": 14,
    "https://router.huggingface.co/together/v1/chat/completions": 3,
}
CHANGED = {
    # slug: members of requests that are sent in another way than they were asked
    "groq": {"+stream_options": 5},
    "openai": {"+max_completion_tokens": 14, "-max_tokens": 14, "+stream_options": 1},
}
NOT_LET_IN = {
    # The recorded upstream refused it too.
    "envoy/tests/internal/testopenai/cassettes/chat-bad-request.yaml#0": "max_tokens",
}
UNDERCOUNTED = {"vercel": 6}
"""Answers whose total is told without the reasoning (the gateway in between, over Gemini)."""
REFUSED = {"openai": ("invalid_request", 400), "openrouter": ("rate_limit_exceeded", 429)}

GOOD = {case.id for case in answers() + streams()}
ROWS = pytest.mark.parametrize("slug", COVERED)


def good(slug, *, stream):
    """The interactions of a row that went well."""
    return [case for case in by_row()[slug] if case.id in GOOD and case.stream is stream]


def test_every_row_has_its_traffic():
    counts = {
        slug: (
            len(good(slug, stream=False)),
            len(good(slug, stream=True)),
            sum(case.id in BAD_STATUS for case in cases),
            sum(case.id in FAILED_STREAMS for case in cases),
        )
        for slug, cases in by_row().items()
        if slug
    }
    assert counts == COVERED
    assert {slug: sum(counts[slug]) for slug in counts} == {
        slug: len(by_row()[slug]) for slug in counts
    }


def test_every_row_is_tested_or_it_is_said_why_not():
    chat = [row.slug for row in CATALOGUE.known.values() if row.dialect == "chat"]
    assert sorted([*COVERED, *NOT_RECORDED]) == sorted(chat)
    left = Counter(case.provider for case in by_row()[""])
    assert left == {name: count for name, (count, _) in NO_ROW.items()}


def test_the_address_is_the_recorded_one():
    other = Counter()
    for slug in COVERED:
        for case in by_row()[slug]:
            if case.id not in NOT_LET_IN and passed(slug, case).request.url != case.url:
                other[case.url] += 1
                assert host_of(case.url) == host_of(CATALOGUE.known[slug].base_url)
    assert other == ELSEWHERE


def changes(slug, case):
    """Members of a request that are new, gone or different."""
    request = passed(slug, case).request
    sent, asked = json.loads(request.body), case.request
    assert key_headers(CATALOGUE.known[slug].auth, KEY)[0] in request.headers
    if "stream_options" in sent:
        assert sent["stream_options"] == {"include_usage": True}
    if "max_tokens" in asked and "max_tokens" not in sent:
        assert sent["max_completion_tokens"] == asked["max_tokens"]
    yield from (f"+{name}" for name in sent.keys() - asked.keys())
    yield from (f"-{name}" for name in asked.keys() - sent.keys())
    both = sent.keys() & asked.keys()
    yield from (f"~{name}" for name in both if not json.equal(sent[name], asked[name]))


@ROWS
def test_the_request_is_the_recorded_one_but_for_what_the_row_says(slug):
    found = Counter()
    for case in by_row()[slug]:
        if case.id not in NOT_LET_IN:
            found.update(changes(slug, case))
    assert found == CHANGED.get(slug, {})


@pytest.mark.parametrize("name", NOT_LET_IN)
def test_a_request_that_the_upstream_refused_is_refused_here(name):
    [case] = [case for case in by_row()["openai"] if case.id == name]
    with pytest.raises(RequestError) as refused:
        passed("openai", case)
    assert refused.value.path == NOT_LET_IN[name]


def meaning(answer):
    """The canonical answer without the names that a gateway puts its own in the place of."""
    assert isinstance(answer, Response)
    return bare(answer, without=frozenset({"id", "model", "served_by", "created", "native_reason"}))


@ROWS
def test_a_client_reads_of_a_stream_what_was_recorded(slug):
    for case in good(slug, stream=True):
        through = passed(slug, case)
        assert through.exchange.seen.complete, case.id
        assert read_stream(through.body) == read_stream(case.body), case.id
        recorded = folded(decode(case.body))
        assert meaning(folded(decode(through.body))) == meaning(recorded), case.id
        assert through.exchange.seen.usage == recorded.usage, case.id
        assert through.body.endswith(b"data: [DONE]\n\n")


@ROWS
def test_a_client_reads_of_a_whole_answer_what_was_recorded(slug):
    for case in good(slug, stream=False):
        through = passed(slug, case)
        assert through.exchange.seen.complete, case.id
        assert read_whole(through.body) == read_whole(case.body), case.id
        recorded = CHAT.decode_response(case.body)
        assert meaning(CHAT.decode_response(through.body)) == meaning(recorded), case.id
        assert through.exchange.seen.usage == recorded.usage, case.id


@ROWS
def test_what_went_in_and_came_out_is_the_total_that_the_upstream_tells(slug):
    """Whatever its convention: reasoning beside the completion or in it.

    Where a total is too small to hold both, it leaves the reasoning out: that is counted here.
    """
    beside = 0
    for case in good(slug, stream=True) + good(slug, stream=False):
        usage = passed(slug, case).exchange.seen.usage
        if usage is None:
            assert "stream_options" not in case.request, case.id
        else:
            told, ours = usage.raw["chat"], usage.input + usage.output
            if ours != told["total_tokens"]:
                assert usage.reasoning > told["completion_tokens"], case.id
                assert ours == told["total_tokens"] + usage.reasoning, case.id
                beside += 1
    assert beside == UNDERCOUNTED.get(slug, 0)


@ROWS
def test_bytes_of_a_contract_row_pass_and_others_are_stamped(slug):
    row = CATALOGUE.known[slug]
    for case in good(slug, stream=True) + good(slug, stream=False):
        body = passed(slug, case).body
        if row.contract:
            assert body == case.body, case.id
        elif case.stream:
            stamps = {(d["id"], d["provider"]) for d in map(json.loads, data_of(body))}
            assert stamps == {("gen-1", row.name)}, case.id
        else:
            document = json.loads(body)
            assert document["model"] == f"{slug}/{case.request['model']}"
            assert (document["id"], document["provider"]) == ("gen-1", row.name), case.id


def data_of(body):
    return [f.data for f in frames_of(body) if f.data and f.data != b"[DONE]"]


@ROWS
def test_failures_are_read_as_failures(slug):
    for case in by_row()[slug]:
        if case.id in BAD_STATUS and case.id not in NOT_LET_IN:
            failure = passed(slug, case).exchange.seen.failure
            assert (failure.kind, failure.status) == REFUSED[slug], case.id
        elif case.id in FAILED_STREAMS:
            failure = passed(slug, case).exchange.seen.failure
            assert (failure.kind, failure.code) == FAILED_STREAMS[case.id]


def test_the_reader_notices_a_frame_that_is_missing():
    """The control of the tests above: whatever a client's stream loses is seen."""
    [case, *_] = [c for c in good("groq", stream=True) if read_stream(c.body)[0][1]]
    body = passed("groq", case).body
    whole = read_stream(body)
    frames = frames_of(body)
    noticed = 0
    for number in range(len(frames)):
        cut = b"".join(frame.raw for frame in frames[:number] + frames[number + 1 :])
        noticed += read_stream(cut) != whole
    assert noticed >= 2
