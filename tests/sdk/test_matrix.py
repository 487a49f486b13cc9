"""Every official client, every provider dialect behind the gateway, every scenario, streamed and
whole: the client reads the story, the upstream is asked in its own grammar, and every stream has
the grammar of the client's dialect (R4, R5, R6, R7, R15, R16, R18, R21).

One test is one client and one provider dialect, since the npm clients answer all its cases in one
process; what is wrong is listed case by case.
"""

import pytest

from tests.sdk import grammar, matrix
from tests.sdk.clients import NODE
from tests.sdk.readers import PYTHON, SPEAKS
from tests.sdk.upstreams import DIALECTS, story
from tests.sdk.worlds import prefix, running_world

STATUSES = {
    "bad_request": {400},
    # The operator's fault, not the client's.
    "bad_key": {502},
    "limited": {429},
    "broken": {500, 502},
    "overloaded": {503, 529},
}
"""What a client is told of an upstream that refused before any output."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running_world(tmp_path_factory.mktemp("matrix")) as found:
        yield found


CLIENTS = [pytest.param(name, marks=() if name in PYTHON else NODE) for name in SPEAKS]


def problems_of(case, finding, world):
    """What is wrong with one cell."""
    asked, taped = world.upstream.asked(case.name), world.tape(case.name)
    fails = case.scenario in story.STATUS or case.scenario in story.BROKEN_OFF
    if fails:
        wrong = matrix.failure_problems(case, finding, STATUSES.get(case.scenario))
        wrong += [problem for one in asked for problem in one.problems]
    else:
        wrong = matrix.read_problems(case, finding)
        wrong += matrix.asked_problems(case, asked, matrix.artefacts_of(case))
    for answer in taped:
        if answer.streamed:
            found = grammar.check(SPEAKS[case.client], answer.body, failed=fails)
            wrong += [f"grammar: {problem}" for problem in found]
    streams = [answer.streamed for answer in taped if answer.status == 200]
    if set(streams) - {case.stream}:
        wrong.append(f"streamed {streams}")
    return wrong


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_reads_the_story_through_the_gateway(client, dialect, world, programs_folder):
    todo = matrix.cases(client, dialect)
    # Both places where every endpoint stands.
    roots = [world.url + ("" if case.stream else "/api") for case in todo]
    found = matrix.run_cases(client, programs_folder, todo, roots, prefix(dialect))
    problems = {}
    for case, finding in zip(todo, found, strict=True):
        if wrong := problems_of(case, finding, world):
            problems[case.name] = wrong
    assert not problems, matrix.listed(problems)
