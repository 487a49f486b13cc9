"""Every official client, every provider dialect behind the gateway, every scenario, streamed and
whole: the client reads the story, the upstream is asked in its own grammar, and every stream has
the grammar of the client's dialect (R4, R5, R6, R7, R15, R16, R18, R21).

One test is one client and one provider dialect, since the npm clients answer all its cases in one
process; what is wrong is listed case by case.
"""

import pytest

from tests.sdk import matrix
from tests.sdk.clients import NODE
from tests.sdk.readers import PYTHON, SPEAKS
from tests.sdk.upstreams import DIALECTS
from tests.sdk.worlds import prefix, running_world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running_world(tmp_path_factory.mktemp("matrix")) as found:
        yield found


CLIENTS = [pytest.param(name, marks=() if name in PYTHON else NODE) for name in SPEAKS]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_reads_the_story_through_the_gateway(client, dialect, world, programs_folder):
    todo = matrix.cases(client, dialect)
    # Both places where every endpoint stands.
    roots = [world.url + ("" if case.stream else "/api") for case in todo]
    found = matrix.run_cases(client, programs_folder, todo, roots, prefix(dialect))
    problems = {}
    for case, finding in zip(todo, found, strict=True):
        if wrong := matrix.problems_of(case, finding, world):
            problems[case.name] = wrong
    assert not problems, matrix.listed(problems)


def test_the_matrix_is_whole():
    """11 clients before 5 provider dialects; two of these make no images, streamed or whole."""
    cells = [case.name for client in SPEAKS for d in DIALECTS for case in matrix.cases(client, d)]
    assert len(cells) == len(set(cells)) == 11 * (3 * 32 + 2 * 30) == 1716
