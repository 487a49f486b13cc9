"""Case 0, items 3 and 4: our agent, through the real gateway, into the real ledger.

The gateway is a process of its own (`arno serve`) over each cassette; the agent gets all its
settings through its public API; the ledger is read from the files that the process left behind.
"""

import asyncio
import signal
from decimal import Decimal

import pytest

from arno import Agent
from arno.cassette.govcr import dump
from arno.cli.serve import open_ledger
from arno.ledger.money import format_usd
from arno.transport.live import LivePool
from arno.wire import json
from tests.case0.cases import every_case
from tests.cli.commands import server

PATIENCE_SECONDS = 20


class Listening:
    """A transport that notes what is sent through it."""

    def __init__(self):
        self.sent = []
        self._pool = LivePool()

    async def send(self, request):
        self.sent.append(request.body)
        return await self._pool.send(request)

    async def aclose(self):
        await self._pool.aclose()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """By case: the run's result, the bodies sent, the ledger's records (oldest first)."""
    done = {}

    def play(case):
        if case.name not in done:
            done[case.name] = _play(case, tmp_path_factory.mktemp(case.name))
        return done[case.name]

    return play


def _play(case, folder):
    tape = folder / "tape.yaml"
    tape.write_bytes(dump(case.cassette.cassette))
    arguments = ("serve", "--cassette", tape, "--scale", "0", "--data", folder / "data")
    listening = Listening()
    with server(*arguments) as (process, url):
        agent = Agent(case.model, base_url=f"{url}/api/v1", transport=listening, **case.agent)
        result = asyncio.run(_run(agent, case.prompt, listening))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    with open_ledger(folder / "data") as sink:
        return result, listening.sent, list(reversed(sink.recent(10)))


async def _run(agent, prompt, transport):
    try:
        return await agent.run(prompt)
    finally:
        await transport.aclose()


@every_case
def test_the_agent_sends_the_recorded_requests(case, played):
    _, sent, _ = played(case)
    recorded = [item.request.body for item in case.cassette.cassette.interactions]
    assert len(sent) == len(recorded)
    for mine, theirs in zip(sent, recorded, strict=True):
        assert json.equal(json.loads(mine), json.loads(theirs))


@every_case
def test_the_agent_ends_with_the_recorded_text_and_the_sum(case, played):
    result, _, _ = played(case)
    assert result.text == case.steps[-1].text
    assert [step.served_by for step in result.steps] == [step.served_by for step in case.steps]
    assert result.cost_usd == Decimal(case.cost)


@every_case
def test_the_ledger_has_one_row_a_step_with_its_exact_cost(case, played):
    """R24: reported and recomputed from the price rows the same, in integers."""
    result, _, records = played(case)
    rows = [record.generation for record in records]
    assert [row.id for row in rows] == [step.generation_id for step in result.steps]
    for row, step in zip(rows, case.steps, strict=True):
        assert row.served_by == step.served_by
        assert row.upstream_id == step.id
        assert row.state == "success"
        assert (row.cost_nano, row.cost_basis) == (step.cost_nano, "reported")
        assert row.cost_reported == step.cost
        assert (row.cost_computed_nano, row.cost_differs) == (step.cost_nano, False)
        counts = (row.input_tokens, row.cache_read_tokens, row.output_tokens)
        assert counts == (step.input, step.cached, step.output)
        assert (row.finish_reason, row.http_status, row.streamed) == (step.finish, 200, True)
    assert sum(row.cost_nano for row in rows) == case.cost_nano
    assert format_usd(case.cost_nano) == case.cost


@every_case
def test_the_ledger_has_one_row_an_attempt(case, played):
    """R27."""
    _, _, records = played(case)
    for record, step in zip(records, case.steps, strict=True):
        [exchange] = record.exchanges
        assert (exchange.attempt, exchange.state, exchange.http_status) == (1, "success", 200)
        assert (exchange.served_by, exchange.cost_nano) == (step.served_by, step.cost_nano)
