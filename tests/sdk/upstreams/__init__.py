"""Scripted upstreams: one real HTTP server that speaks every provider dialect.

    with scripted() as upstream:
        ...                       # ask upstream.url + "/v1/messages" for the model "tool.c7"
        upstream.asked("c7")      # what it was asked in case c7: one `Asked` a turn

The path says the dialect; the model says the scenario (`story.SCENARIOS`) and the case, with a dot
between them. The answers are the vendors' documented wire shapes, written by hand in one module a
dialect (never made by our own encoders). A request is read in the dialect's own grammar; what
breaks it stands in `Asked.problems`.
"""

import re
from collections import defaultdict
from contextlib import contextmanager

from arno.wire import json
from tests.sdk.upstreams import chat, converse, gemini, messages, responses
from tests.sdk.upstreams.story import SCENARIOS
from tests.transport.upstream import Script, ThreadedUpstream

DIALECTS = {module.NAME: module for module in (chat, responses, messages, gemini, converse)}
"""Each has PATH (a pattern), read(request, document, found) -> Asked, answer(asked) -> Script, and

BASE               what a base URL of the dialect ends with
CANNOT             scenarios that it cannot say
ARTEFACTS          the signatures and sealed reasoning of `thinking_tool`
TELLS_REASONING    its usage tells the share of reasoning
TELLS_USAGE_EARLY  usage stands in every document of a stream
HAS_IDS            its calls and results have ids
"""


class Scripted:
    """A running scripted upstream; `cases` may be read from any thread."""

    def __init__(self, upstream, cases):
        self.url = upstream.url
        self._cases = cases

    def asked(self, case):
        """What was asked in a case, in order."""
        return list(self._cases.get(case, ()))


def _find(path):
    for module in DIALECTS.values():
        if found := re.fullmatch(module.PATH, path.partition("?")[0]):
            return module, found
    return None, None


@contextmanager
def scripted():
    """A scripted upstream in a thread of its own."""
    cases = defaultdict(list)

    def serve(request):
        module, found = _find(request.path)
        if module is None:
            return Script.json(json.dumps({"error": f"nothing is scripted at {request.path}"}), 404)
        document = json.loads(request.body)
        asked = module.read(request, document, found)
        name, _, case = asked.model.partition(".")
        asked.scenario, asked.turn = name, len(cases[case])
        cases[case].append(asked)
        if name not in SCENARIOS:
            return Script.json(b'{"error": "no such scenario"}', 404)
        return module.answer(asked)

    with ThreadedUpstream(serve) as upstream:
        yield Scripted(upstream, cases)
