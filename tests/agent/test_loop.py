"""The loop as a pure machine: events in, commands out, a valid history at every moment."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.agent.history import repair, user
from arno.agent.loop import (
    CANCELLED,
    NOT_RUN,
    RUNNING,
    Answered,
    CallModel,
    Cancelled,
    Command,
    Failed,
    Finish,
    Loop,
    LoopEvent,
    Outcome,
    Phase,
    RunTool,
    Start,
    ToolDone,
    is_half_written,
)
from arno.canon.failure import FailureKind, OrderError
from arno.canon.parts import OpaquePart, ReasoningPart, TextPart, ToolCallPart
from arno.canon.request import Message, Request, Role, ToolChoice, ToolChoiceMode
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.usage import Usage
from tests.agent.scripted import BROKEN, Call, outline, response, unanswered

A: Call = ("a", "add", '{"x": 1}')
B: Call = ("b", "add", '{"x": 2}')
HALF: Call = ("h", "add", '{"x": ')
STOP, LENGTH, FILTER = FinishReason.STOP, FinishReason.LENGTH, FinishReason.CONTENT_FILTER


def answered(text: str = "", calls: Sequence[Call] = (), reason: FinishReason = STOP) -> Answered:
    return Answered(response(text, calls, reason))


def started(
    *, max_steps: int = 20, choice: ToolChoice | None = None, history: Sequence[Message] = ()
) -> Loop:
    settings = Request(model="m", tool_choice=choice)
    return Loop(settings, [*history, user("hello")], max_steps=max_steps)


def play(loop: Loop, *events: LoopEvent) -> Command:
    """Feed all; the last command that came."""
    last: list[Command] = []
    for event in events:
        last = list(loop.feed(event)) or last
    return last[-1]


def say(command: Command) -> str:
    """A command in one word or two."""
    if isinstance(command, CallModel):
        return f"call model {command.step}"
    if isinstance(command, RunTool):
        return f"run {command.call.call_id}"
    return command.outcome.value


RUNS: dict[str, tuple[list[LoopEvent], str, list[str]]] = {
    "text": ([answered("hi")], "answered", ["user", "assistant"]),
    "an empty answer leaves no message": ([answered()], "answered", ["user"]),
    "text cut by the limit is an answer": (
        [answered("h", reason=LENGTH)],
        "answered",
        ["user", "assistant"],
    ),
    "calls go on whatever the finish reason says": (
        [answered("", [A], STOP), ToolDone(0, "1")],
        "call model 2",
        ["user", "assistant a", "tool a: 1"],
    ),
    "complete calls go on after length too": (
        [answered("", [A], LENGTH), ToolDone(0, "1")],
        "call model 2",
        ["user", "assistant a", "tool a: 1"],
    ),
    "results are stored in call order": (
        [answered("", [A, B]), ToolDone(1, "2"), ToolDone(0, "1")],
        "call model 2",
        ["user", "assistant a b", "tool a: 1", "tool b: 2"],
    ),
    "an error result goes on": (
        [answered("", [A]), ToolDone(0, "bad", True)],
        "call model 2",
        ["user", "assistant a", "tool a! bad"],
    ),
    "equal ids in one step": (
        [answered("", [A, A]), ToolDone(1, "2"), ToolDone(0, "1")],
        "call model 2",
        ["user", "assistant a a", "tool a: 1", "tool a: 2"],
    ),
    "to the answer": (
        [answered("", [A]), ToolDone(0, "1"), answered("done")],
        "answered",
        ["user", "assistant a", "tool a: 1", "assistant"],
    ),
    "cut inside a call": (
        [answered("t", [HALF], LENGTH)],
        "incomplete",
        ["user", "assistant"],
    ),
    "cut inside the second call: the first is not run": (
        [answered("", [A, HALF], FILTER)],
        "incomplete",
        ["user", "assistant a", f"tool a! {NOT_RUN}"],
    ),
    "cut inside the only call leaves no message": (
        [answered("", [HALF], LENGTH)],
        "incomplete",
        ["user"],
    ),
    "invalid arguments without a cut are the tool's matter": (
        [answered("", [HALF], STOP), ToolDone(0, "not JSON", True)],
        "call model 2",
        ["user", "assistant h", "tool h! not JSON"],
    ),
    "failure": ([Failed(BROKEN)], "failed", ["user"]),
    "failure in the second step": (
        [answered("", [A]), ToolDone(0, "1"), Failed(BROKEN, response("par"))],
        "failed",
        ["user", "assistant a", "tool a: 1"],
    ),
    "cancelled while the model answers": ([Cancelled()], "cancelled", ["user"]),
    "cancelled with text and a call there": (
        [Cancelled(response("t", [A]).choices[0].parts)],
        "cancelled",
        ["user", "assistant a", f"tool a! {CANCELLED}"],
    ),
    "cancelled while tools run": (
        [answered("", [A, B]), ToolDone(1, "2"), Cancelled()],
        "cancelled",
        ["user", "assistant a b", f"tool a! {CANCELLED}", "tool b: 2"],
    ),
    "cancelled in the second step": (
        [answered("", [A]), ToolDone(0, "1"), Cancelled()],
        "cancelled",
        ["user", "assistant a", "tool a: 1"],
    ),
}


@pytest.mark.parametrize(("events", "command", "history"), RUNS.values(), ids=RUNS)
def test_run(events: list[LoopEvent], command: str, history: list[str]) -> None:
    loop = started()
    assert say(play(loop, Start(), *events)) == command
    assert outline(loop.messages) == history


def test_all_calls_of_a_step_are_run_at_once_and_in_order() -> None:
    loop = started()
    loop.feed(Start())
    assert list(map(say, loop.feed(answered("", [A, B])))) == ["run a", "run b"]


def test_the_request_is_the_settings_the_instructions_and_the_history() -> None:
    leading = (Message(Role.SYSTEM, (TextPart(text="Be brief"),)),)
    loop = Loop(Request(model="m", max_output_tokens=5), [user("hello")], leading=leading)
    command = play(loop, Start(), answered("", [A]), ToolDone(0, "1"))
    assert isinstance(command, CallModel)
    assert command.request.max_output_tokens == 5
    assert outline(command.request.messages) == ["system", "user", "assistant a", "tool a: 1"]
    assert outline(loop.messages) == ["user", "assistant a", "tool a: 1"]


def test_the_answer_goes_back_as_it_came() -> None:
    """Reasoning with its signature and parts nobody knows are kept, in order."""
    parts = (
        ReasoningPart(text="hm", signature="s"),
        OpaquePart(dialect="chat", document={"x": 1}),
        ToolCallPart(call_id="a", name="add", arguments="{}", signature="t"),
    )
    loop = started()
    command = play(
        loop, Start(), Answered(Response(choices=(Choice(parts=parts),))), ToolDone(0, "1")
    )
    assert isinstance(command, CallModel)
    assert command.request.messages[1].parts == parts


def test_a_given_history_is_repaired() -> None:
    call = Message(Role.ASSISTANT, (ToolCallPart(call_id="x", name="t"),))
    loop = started(history=[call])
    assert unanswered(loop.messages) == []


class TestStepCap:
    def test_the_last_steps_tools_run_and_their_results_are_kept(self) -> None:
        loop = started(max_steps=2)
        events: list[LoopEvent] = [
            answered("", [A]),
            ToolDone(0, "1"),
            answered("", [B]),
            ToolDone(0, "2"),
        ]
        assert say(play(loop, Start(), *events)) == "step limit"
        assert outline(loop.messages) == [
            "user",
            "assistant a",
            "tool a: 1",
            "assistant b",
            "tool b: 2",
        ]

    def test_an_answer_in_the_last_step_is_an_answer(self) -> None:
        loop = started(max_steps=2)
        events: list[LoopEvent] = [answered("", [A]), ToolDone(0, "1"), answered("done")]
        assert say(play(loop, Start(), *events)) == "answered"

    def test_counts_the_steps_of_this_run_alone(self) -> None:
        earlier = started(max_steps=2)
        play(earlier, Start(), answered("", [A]), ToolDone(0, "1"), answered("done"))
        loop = started(max_steps=1, history=earlier.messages)
        assert say(play(loop, Start(), answered("again"))) == "answered"


FORCED = [
    ToolChoice(ToolChoiceMode.REQUIRED),
    ToolChoice(ToolChoiceMode.NAMED, ("add",)),
]
FREE = [None, ToolChoice(ToolChoiceMode.AUTO), ToolChoice(ToolChoiceMode.NONE)]


@pytest.mark.parametrize("choice", [*FORCED, *FREE])
def test_a_choice_is_forced_until_the_first_call(choice: ToolChoice | None) -> None:
    loop = started(choice=choice)
    first = play(loop, Start())
    second = play(loop, answered("", [A]), ToolDone(0, "1"))
    assert isinstance(first, CallModel)
    assert isinstance(second, CallModel)
    assert first.request.tool_choice == choice
    later = ToolChoice(ToolChoiceMode.AUTO) if choice in FORCED else choice
    assert second.request.tool_choice == later


def test_an_answer_that_ends_with_an_error_is_a_failure() -> None:
    loop = started()
    finish = play(loop, Start(), answered("t", reason=FinishReason.ERROR))
    assert isinstance(finish, Finish)
    assert finish.failure is not None
    assert (finish.outcome, finish.failure.kind) == (Outcome.FAILED, FailureKind.SERVER)


def test_a_failure_comes_with_what_had_arrived() -> None:
    finish = play(started(), Start(), Failed(BROKEN, response("par")))
    assert isinstance(finish, Finish)
    assert (finish.failure, finish.partial) == (BROKEN, response("par"))


def test_steps_tell_what_was_measured() -> None:
    usage = Usage(input=1, output=2)
    loop = started()
    answer = Answered(Response(served_by="S", usage=usage), "gen-9", 0.25)
    finish = play(loop, Start(), answer)
    assert isinstance(finish, Finish)
    (step,) = finish.result.steps
    assert (step.number, step.served_by, step.usage) == (1, "S", usage)
    assert (step.generation_id, step.first_token_s) == ("gen-9", 0.25)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"x": 1}', False), ("{}", False), ('{"x": 1', True), ('{"x', True), ("", True), ("{", True)],
)
def test_half_written(arguments: str, expected: bool) -> None:
    call = ToolCallPart(call_id="a", name="t", arguments=arguments)
    assert is_half_written(call) is expected


EVENTS: list[LoopEvent] = [Start(), answered("t"), Failed(BROKEN), ToolDone(0, "1"), Cancelled()]
LEGAL: dict[Phase, tuple[list[LoopEvent], set[type]]] = {
    Phase.READY: ([], {Start, Cancelled}),
    Phase.MODEL: ([Start()], {Answered, Failed, Cancelled}),
    Phase.TOOLS: ([Start(), answered("", [A])], {ToolDone, Cancelled}),
    Phase.DONE: ([Start(), answered("t")], {Cancelled}),
}


@pytest.mark.parametrize("phase", LEGAL)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_without_meaning_in_a_phase_is_refused(phase: Phase, event: LoopEvent) -> None:
    before, legal = LEGAL[phase]
    loop = started()
    for earlier in before:
        loop.feed(earlier)
    assert loop.phase is phase
    if type(event) in legal:
        loop.feed(event)
    else:
        with pytest.raises(OrderError, match=f"{type(event).__name__} means nothing"):
            loop.feed(event)


@pytest.mark.parametrize("place", [-1, 0, 2])
def test_a_result_for_no_waiting_call_is_refused(place: int) -> None:
    loop = started()
    play(loop, Start(), answered("", [A, B]), ToolDone(0, "1"))
    with pytest.raises(OrderError, match=f"place {place}"):
        loop.feed(ToolDone(place, "again"))


def test_cancelling_a_finished_run_changes_nothing() -> None:
    loop = started()
    play(loop, Start(), answered("t"))
    before = loop.result
    assert loop.feed(Cancelled()) == ()
    assert loop.result == before


def test_while_tools_run_the_history_says_so() -> None:
    loop = started()
    play(loop, Start(), answered("", [A, B]), ToolDone(1, "2"))
    assert outline(loop.messages) == ["user", "assistant a b", f"tool a! {RUNNING}", "tool b: 2"]


CALLS = st.lists(st.sampled_from([A, B, HALF, ("c", "add", "")]), max_size=4)
ANSWERS = st.builds(answered, st.sampled_from(["", "text"]), CALLS, st.sampled_from(FinishReason))
ENDS: st.SearchStrategy[LoopEvent] = st.sampled_from(
    [Cancelled(), Failed(BROKEN), Cancelled(response("t", [A, B]).choices[0].parts)]
)


@given(st.data())
def test_at_every_moment_of_any_run_the_history_is_valid(data: st.DataObject) -> None:
    loop = started(max_steps=3)
    commands = loop.feed(Start())
    waiting: list[int] = []
    while loop.phase is not Phase.DONE:
        assert unanswered(loop.messages) == []
        assert repair(loop.messages) == loop.messages
        waiting = [c.place for c in commands if isinstance(c, RunTool)] or waiting
        if loop.phase is Phase.MODEL:
            commands = loop.feed(data.draw(st.one_of(ANSWERS, ANSWERS, ENDS)))
        elif data.draw(st.integers(0, 9)) == 0:
            commands = loop.feed(Cancelled())
        else:
            place = data.draw(st.sampled_from(waiting))
            waiting = [other for other in waiting if other != place]
            commands = loop.feed(ToolDone(place, f"result {place}"))
    assert unanswered(loop.messages) == []
    assert repair(loop.messages) == loop.messages
