"""Claude Code and Codex, as scripted clients, before every provider dialect (R6, R7, R14, R18)."""

import pytest

from tests.sdk import agents, matrix
from tests.sdk.agents import AGENTS
from tests.sdk.readers import count_tokens
from tests.sdk.upstreams import DIALECTS, story
from tests.sdk.worlds import prefix, running_world

pytestmark = pytest.mark.slow

SCENARIOS = (
    *("text", "tool", "parallel", "thinking", "thinking_tool", "length"),
    *("limited", "overloaded", "mid_error", "cut"),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running_world(tmp_path_factory.mktemp("agents")) as found:
        yield found


every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def case_of(agent, dialect, scenario):
    """A cell of an agent."""
    return matrix.Case(agent, dialect, scenario, stream=True)


@every_dialect
@pytest.mark.parametrize("agent", AGENTS)
def test_each_agent_reads_the_story(agent, dialect, world):
    problems = {}
    for scenario in SCENARIOS:
        case = case_of(agent, dialect, scenario)
        finding = AGENTS[agent](case.job(world.url, prefix(dialect)))
        wrong = matrix.problems_of(case, finding, world)
        if wrong:
            problems[case.name] = wrong
    assert not problems, matrix.listed(problems)


def asked_for(world, agent, dialect, scenario, name):
    """The requests of one conversation."""
    case = case_of(agent, dialect, scenario)
    todo = {**case.job(world.url, prefix(dialect)), "model": f"up-{dialect}/{scenario}.{name}"}
    found = AGENTS[agent](todo)
    assert found["error"] is None
    return world.upstream.asked(name)


def test_what_claude_code_says_to_its_own_dialect_arrives(world):
    first, second = asked_for(world, "claude-code", "messages", "thinking_tool", "claude-own")
    assert first.document["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert first.document["messages"][0]["content"][1]["cache_control"] == {"type": "ephemeral"}
    assert second.document["messages"][2]["content"][0]["cache_control"] == {"type": "ephemeral"}
    # Users of a gateway are known to upstreams by a name that leads nowhere, the same each time.
    [name] = first.document["metadata"].values()
    assert second.document["metadata"] == first.document["metadata"] == {"user_id": name}
    assert name not in ("", agents.USER_ID)
    assert first.document["thinking"] == {"type": "enabled", "budget_tokens": 31999}
    assert first.headers["anthropic-beta"] == agents.BETAS


def test_what_codex_says_to_its_own_dialect_arrives(world):
    first, second = asked_for(world, "codex", "responses", "thinking_tool", "codex-own")
    assert first.document["prompt_cache_key"] == agents.SESSION
    assert first.document["include"] == ["reasoning.encrypted_content"]
    assert (first.document["store"], first.document["parallel_tool_calls"]) == (False, True)
    kinds = [item.get("type") for item in second.document["input"]]
    assert kinds[2:] == ["reasoning", "function_call", "function_call_output"]


@every_dialect
def test_claude_code_counts_tokens(dialect, world):
    """Forwarded where the provider can count, else an estimate that says so."""
    case = case_of("claude-code", dialect, "text")
    counted = agents.claude_code_count(case.job(world.url, prefix(dialect)))
    assert counted["input_tokens"] > 0
    if dialect == "messages":
        assert counted == {"input_tokens": story.counted("text").input}


@every_dialect
def test_the_sdk_counts_tokens(dialect, world):
    case = matrix.Case("python-messages", dialect, "tool", stream=True)
    case.name = f"{case.name}-counted"
    assert count_tokens(case.job(world.url, prefix(dialect))) > 0
