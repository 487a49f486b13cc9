"""The soak finds what it is there to find, and a good gateway passes it."""

import random
from collections import Counter

import msgspec
import pytest

from benchmarks import soak, soak_clients, traffic
from benchmarks.fit import slope
from benchmarks.scripts import soak_scripts
from benchmarks.soak import Ending, Sample, faults, slopes
from benchmarks.soak_clients import Answer, Results, draw
from benchmarks.soak_gateway import State

GOOD = State(tasks=3, inflight=0, begun=10, appended=10, failures=0)
ROWS = [str(number) for number in range(10)]


def good_results():
    results = Results()
    results.sent, results.unsure = 10, 1
    results.heard = set(ROWS[:9])
    return results


def ended(**more):
    values = {"state": GOOD, "active": 0, "exit_code": 0, "rows": ROWS}
    return Ending(**{**values, **more})


def test_a_good_run_has_no_faults():
    assert faults(good_results(), ended()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": ROWS[1:]}, ["1 answers had an id that is not in the ledger", "9 are in"]),
        ({"rows": ROWS[:9]}, ["10 generations began, 10 were written down, 9 are in"]),
        ({"state": msgspec.structs.replace(GOOD, inflight=2)}, ["2 generations are still"]),
        ({"state": msgspec.structs.replace(GOOD, appended=9)}, ["9 were written down"]),
        ({"state": msgspec.structs.replace(GOOD, failures=1)}, ["writer failed 1 times"]),
        ({"active": 1}, ["1 answers are still read from the upstream"]),
        ({"exit_code": -9}, ["the gateway ended with -9"]),
    ],
)
def test_what_must_not_be_is_told(change, words):
    found = faults(good_results(), ended(**change))
    assert len(found) == len(words)
    for fault, word in zip(found, words, strict=True):
        assert word in fault


def test_requests_without_a_row_are_told_even_if_nobody_heard_an_id():
    results = good_results()
    results.sent, results.heard = 20, set()
    assert faults(results, ended()) == ["10 rows for 19 to 20 requests"]


def test_an_id_that_was_given_twice_is_told():
    results = good_results()
    results.twice = 1
    assert faults(results, ended()) == ["1 ids were given twice"]


def test_an_answer_that_ended_as_it_must_not_is_told():
    results = good_results()
    plan = soak_clients._good("burst")
    results.add(plan, "good", "")
    results.add(plan, "lost", "no end")
    assert results.endings == Counter({("burst", "good"): 1, ("burst", "lost"): 1})
    assert "burst (reads): lost no end" in faults(results, ended())[0]


@pytest.mark.parametrize(
    ("status", "body", "ending"),
    [
        (200, b"data: {}\n\ndata: [DONE]\n\n", "good"),
        (200, b'data: {}\n\ndata: {"error":{}}\n\n', "failed"),
        (200, b"data: {}\n\n", "lost"),
        (502, b"{}", "status"),
    ],
)
def test_how_an_answer_ended(status, body, ending):
    answer = Answer()
    answer.feed(b"HTTP/1.1 %d X\r\nX-Generation-Id: g1\r\n" % status)
    answer.feed(b"content-length: %d\r\n\r\n" % len(body))
    assert answer.ending(streamed=True) == "lost"
    answer.feed(body)
    assert answer.ending(streamed=True) == ending
    assert answer.identity == "g1"


def test_every_script_that_is_drawn_is_there_and_every_kind_is_drawn():
    chance = random.Random(7)
    plans = [draw(chance) for _ in range(4000)]
    assert {plan.script for plan in plans} <= set(soak_scripts())
    cuts = {plan.script for plan in plans if plan.script.startswith("cut")}
    assert len(cuts) == len(traffic.stream())
    assert {plan.behaviour for plan in plans} == {"reads", "slow", "cancels", "resets"}
    assert all("lost" not in plan.endings for plan in plans)


def test_the_same_seed_draws_the_same():
    first, second = (
        [draw(chance) for _ in range(50)] for chance in (random.Random("1/0"), random.Random("1/0"))
    )
    assert first == second


def test_a_slope_is_that_of_the_line_through_the_points():
    found = slope([(x, 3.0 * x + 5.0) for x in range(10)])
    assert found.rise == pytest.approx(3.0)
    assert found.error == pytest.approx(0.0, abs=1e-9)
    noisy = slope([(x, (-1) ** x) for x in range(100)])
    assert abs(noisy.rise) <= 2 * noisy.error
    assert slope([(1.0, 1.0), (2.0, 2.0)]) is None
    assert slope([(1.0, 1.0)] * 5) is None


def test_slopes_leave_out_the_start():
    samples = [
        Sample(
            at=float(at),
            answers=at * 1000,
            rss_kb=1000.0 + (9000.0 if at < 20 else 2.0 * at),
            descriptors=40,
            tasks=5,
            connections=3,
        )
        for at in range(100)
    ]
    lines = {(what, unit): rise for what, rise, unit, *_ in slopes(samples)}
    assert lines["memory", "KiB per 1,000 requests"] == "+2.0"
    assert lines["memory, second half", "KiB per 1,000 requests"] == "+2.0"
    assert lines["descriptors", "per hour"] == "+0.0"
    assert slopes([])[0][1] == "-"


@pytest.mark.slow
def test_a_short_soak_is_passed(capsys):
    assert soak.main(["--seconds", "10", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "all answers are accounted for" in out
    assert "KiB per 1,000 requests" in out
    assert "| cut " in out
