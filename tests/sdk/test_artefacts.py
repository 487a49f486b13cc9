"""R18: reasoning artefacts go back to their origin only. A conversation that goes on at another
provider arrives there without them, whole otherwise, and the client is told.

That they come back to their origin byte for byte is a row of the matrix (`thinking_tool`).
"""

import pytest

from tests.sdk import grammar, matrix
from tests.sdk.readers import PYTHON, SPEAKS
from tests.sdk.upstreams import DIALECTS, story
from tests.sdk.worlds import prefix, running_world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running_world(tmp_path_factory.mktemp("artefacts")) as found:
        yield found


def went_on(client, first, second, stream, world):
    """What is wrong with a conversation that begins at `first` and goes on at `second`."""
    case = matrix.Case(client, first, "thinking_tool", stream)
    case.name = f"{case.name}-then-{second}"
    after = f"{case.name}-b"
    todo = {**case.job(world.url, prefix(first)), "next_model": f"{prefix(second)}text.{after}"}
    found = PYTHON[client](todo)
    if found["error"] is not None:
        return [f"error {found['error']}"]
    [asked], [answer] = world.upstream.asked(after), world.tape(after)
    wrong = list(asked.problems)
    if asked.artefacts:
        wrong.append(f"artefacts {asked.artefacts}")
    if [name for _, name, _ in asked.calls] != ["tide"] or len(asked.results) != 1:
        wrong.append(f"calls {asked.calls}, results {asked.results}")
    if found["turns"][1]["text"] != story.TEXT:
        wrong.append(f"text {found['turns'][1]['text']!r}")
    if "x-arno-loss" not in answer.headers:
        wrong.append(f"nothing told {answer}")
    if stream:
        wrong += grammar.check(SPEAKS[client], answer.body)
    return wrong


@pytest.mark.parametrize("client", PYTHON)
def test_a_conversation_goes_on_at_another_provider_without_its_artefacts(client, world):
    problems = {}
    for first in DIALECTS:
        for second in DIALECTS:
            for stream in (True, False) if first != second else ():
                if wrong := went_on(client, first, second, stream, world):
                    problems[f"{first} to {second}, {stream}"] = wrong
    assert not problems, matrix.listed(problems)
