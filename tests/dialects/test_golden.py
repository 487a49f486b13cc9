"""The golden files of every dialect, see `tests.dialects.golden`."""

from functools import partial

import pytest

from arno.dialects import DIALECTS
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.chat import building as chat
from tests.dialects.converse import building as converse
from tests.dialects.gemini import building as gemini
from tests.dialects.golden import GoldenFiles
from tests.dialects.messages import documents as messages
from tests.dialects.responses import building as responses
from tests.laws import messages_grammar as grammar
from tests.laws.converse_harness import CONVERSE
from tests.laws.gemini import GEMINI
from tests.laws.harness import CHAT, no_price
from tests.laws.responses import RESPONSES

HOST = Stamp(provider="Host")


def messages_stream(events):
    encoder = messages.MESSAGES.stream_encoder(HOST, no_price, include_usage=True)
    return grammar.documents(encoder.feed(events))


def converse_stream(events):
    return [{name: document} for name, document in converse.fed(events, stamp=HOST)]


FILES = {
    "chat": GoldenFiles(CHAT, partial(chat.fed, stamp=HOST)),
    "responses": GoldenFiles(RESPONSES, partial(responses.said, stamp=HOST)),
    "messages": GoldenFiles(messages.MESSAGES, messages_stream, losses=True),
    "gemini": GoldenFiles(GEMINI, gemini.fed, line=gemini.LINE),
    "converse": GoldenFiles(CONVERSE, converse_stream, line=converse.LINE),
}

CASES = [
    (name, case) for name, files in FILES.items() for case in (*files.requests, *files.answers)
]
TARGETS = [(name, *case) for name, files in FILES.items() for case in files.targets]


def test_every_dialect_has_golden_files():
    assert list(FILES) == [files.dialect.name for files in FILES.values()]
    assert set(FILES) == set(DIALECTS)


@pytest.mark.parametrize("name", FILES)
def test_there_are_cases_and_no_file_is_left_over(name):
    files = FILES[name]
    assert len(files.requests) >= 3
    assert len(files.answers) >= 3
    sources = {(case, "source") for case in (*files.requests, *files.answers)}
    found = {tuple(path.name.removesuffix(".json").split(".")) for path in files.folder.iterdir()}
    assert found == sources | set(files.targets)


@pytest.mark.parametrize(("name", "case", "target"), TARGETS)
def test_golden(name, case, target):
    ours, kept = FILES[name].produced(case, target), FILES[name].kept(case, target)
    assert json.equal(ours, kept), json.dumps(ours).decode()


@pytest.mark.parametrize(("name", "case"), CASES)
def test_sources_come_back_as_they_were(name, case):
    files = FILES[name]
    assert json.equal(files.told(files.read(case))[0], files.kept(case, "source"))


@pytest.mark.parametrize("target", ["source", "converse"])
@pytest.mark.parametrize("case", FILES["converse"].requests)
def test_the_vendors_sdk_would_send_converse_requests(case, target):
    assert converse.complaints(FILES["converse"].kept(case, target)) == ""


@pytest.mark.parametrize("case", FILES["converse"].answers)
def test_the_vendors_sdk_reads_converse_answers(case):
    source = FILES["converse"].kept(case, "source")
    assert converse.sdk_answer(source)["stopReason"] == source["stopReason"]
