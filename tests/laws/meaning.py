"""What a request means, laid out place by place, so that two of them can be compared.

The laws over translated requests (`test_translation_requests`) compare what went out with what
came back. Wires have several ways to say one thing, and some things that need not be said; each
such equivalence is a rule here, by name, with its reason. Nothing else is forgiven: what differs
must have been told as a Loss at its place or above.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from arno.canon.ext import Loss, is_empty
from arno.canon.parts import MediaKind, MediaPart, Part, ReasoningPart, TextPart, ToolResultPart
from arno.canon.request import (
    Message,
    Output,
    Reasoning,
    Request,
    Role,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from arno.wire import json
from arno.wire.errors import MalformedJSON
from tests.laws.harness import bare

WIRE_ONLY = frozenset({"id", "item", "origin"})
"""Fields of a part that say where it stood on its wire."""

HOLDS_TO_SCHEMA = frozenset({"messages", "gemini", "converse"})
"""Wires on which every answer keeps to the schema asked for, so that nothing need say `strict`."""

CALLS_FORCED = frozenset({ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED, ToolChoiceMode.NONE})
"""Choices under which gemini's calls keep to their schemas (its mode ANY), or there are none."""

HOW_MUCH = ("/reasoning/effort", "/reasoning/budget", "/reasoning/enabled")
"""Three words for how much to think: a loss at one of them tells of all."""

ASSUMED_LIMIT = 24_576

SHARES = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}
"""An effort as percent of the limit on the answer, where a wire counts tokens of thinking (the
contract of the gateway, section 3.5); no effort is a medium one."""

MEMBERS = tuple(
    name
    for name in Request.__struct_fields__
    # The model and whether to stream may stand in a path; what a gateway reads is no upstream's.
    if name not in {"model", "stream", "include_usage", "messages", "tools", "routing", "ext"}
)


def parts(request: Request) -> list[tuple[str, str, Part]]:
    """Every part with its path and who says it, in the order in which a model reads them.

    Messages of one speaker in a row are one turn, in which results stand first (R16).
    """
    found: list[tuple[str, str, Part]] = []
    turn: list[tuple[str, str, Part]] = []
    for number, message in enumerate(request.messages):
        who = _who(message)
        pieces = [(f"/messages/{number}/parts/{n}", who, p) for n, p in enumerate(message.parts)]
        if who.startswith("user"):
            turn += pieces
        else:
            found += [*_results_first(turn), *pieces]
            turn = []
    return [*found, *_results_first(turn)]


def _who(message: Message) -> str:
    """Developer and system are two words for the operator; results are told by the user."""
    role = {Role.DEVELOPER: Role.SYSTEM, Role.TOOL: Role.USER}.get(message.role, message.role)
    return " ".join(filter(None, (role.value, message.name)))


def _results_first(turn: list[tuple[str, str, Part]]) -> list[tuple[str, str, Part]]:
    return sorted(turn, key=lambda piece: not isinstance(piece[2], ToolResultPart))


def members(request: Request) -> dict[str, Any]:
    """Every other field by its path, those of objects one by one; what says nothing is left out."""
    found: dict[str, Any] = {}
    for name in MEMBERS:
        value = RULES.get(name, _as_it_is)(getattr(request, name))
        plain = bare(value)
        if isinstance(value, msgspec.Struct):
            found |= {f"/{name}/{key}": inner for key, inner in plain.items() if key}
        else:
            found[f"/{name}"] = plain
    return {path: value for path, value in found.items() if not is_empty(value)}


def tool(value: Tool) -> dict[str, Any]:
    """The fields of one tool."""
    told = msgspec.structs.replace(
        value,
        # A tool that is not strict is what every wire has by default.
        strict=value.strict or None,
        # No schema, the empty one and an object without members: the tool takes nothing.
        parameters=None if _takes_nothing(value.parameters) else value.parameters,
    )
    return {key: inner for key, inner in bare(told).items() if key and not is_empty(inner)}


def _takes_nothing(schema: Any) -> bool:
    return is_empty(schema) or schema in (
        {"type": "object"},
        {"type": "object", "properties": {}},
    )


def part(value: Part) -> dict[str, Any]:
    """The fields of one part, those of the parts of a result as a list."""
    if isinstance(value, ToolResultPart):
        value = _result(value)
        inner = [part(each) for each in value.parts if not says_nothing(each)]
        value = msgspec.structs.replace(value, parts=())
    elif isinstance(value, MediaPart):
        # Wires tell documents and other files apart by their media type alone.
        kind = MediaKind.FILE if value.kind is MediaKind.DOCUMENT else value.kind
        value, inner = msgspec.structs.replace(value, kind=kind), []
    else:
        inner = []
    plain = {**bare(value, without=WIRE_ONLY), "parts": inner}
    return {key: each for key, each in plain.items() if key == "parts" or not is_empty(each)}


def _result(value: ToolResultPart) -> ToolResultPart:
    """A result: its call names the tool, a good one need not say so, and a document is one as a
    value and as JSON text."""
    plain = msgspec.structs.replace(value, name=None, is_error=value.is_error or None)
    only = value.parts[0] if len(value.parts) == 1 else None
    if value.value is None and isinstance(only, TextPart) and not only.cache:
        try:
            document = json.loads(only.text)
        except MalformedJSON:
            return plain
        return msgspec.structs.replace(plain, parts=(), value=document)
    return plain


def says_nothing(value: Part) -> bool:
    """True for a part without content, which wires are free to leave out."""
    if isinstance(value, TextPart):
        return not value.text and not value.signature
    return isinstance(value, ReasoningPart) and not (value.text or value.signature or value.sealed)


def _as_it_is(value: Any) -> Any:
    return value


def _one_answer(n: int | None) -> int | None:
    """One answer is what every wire gives where nothing is said."""
    return None if n == 1 else n


def _several_calls(parallel: bool | None) -> bool | None:
    """Several calls at once are every wire's default."""
    return None if parallel else parallel


def _free(choice: ToolChoice | None) -> ToolChoice | None:
    """A free choice between all tools is every wire's default."""
    return None if choice == ToolChoice(ToolChoiceMode.AUTO) else choice


def _shape(output: Output | None) -> Output | None:
    """Text is what every wire answers with; the name of a schema is a label that two of the wires
    demand and no answer shows."""
    if output is None or output.kind == "text":
        return None
    return msgspec.structs.replace(output, name=None, strict=output.strict or None)


def _reasoning(reasoning: Reasoning | None) -> Reasoning | None:
    """Whether to think is said by an effort and by a budget as well; none at all is off. Thoughts
    are shown unless they are excluded."""
    if reasoning is None:
        return None
    if reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0:
        return Reasoning(enabled=False)
    asked = reasoning.effort is not None or reasoning.budget is not None
    return msgspec.structs.replace(
        reasoning,
        enabled=None if asked else reasoning.enabled,
        exclude=reasoning.exclude or None,
    )


RULES: dict[str, Callable[[Any], Any]] = {
    "n": _one_answer,
    "parallel_tool_calls": _several_calls,
    "tool_choice": _free,
    "output": _shape,
    "reasoning": _reasoning,
    # Not to keep an answer is what wires do that have no word for it.
    "store": lambda store: store or None,
}
"""Members with several ways to say one thing."""


def told(path: str, losses: Iterable[Loss]) -> bool:
    """True if a loss stands at a place or above it."""
    return any(path == loss.path or path.startswith(f"{loss.path}/") for loss in losses)


def _dropped(losses: Iterable[Loss]) -> list[Loss]:
    return [loss for loss in losses if loss.action == "dropped"]


def changes(before: Request, after: Request, losses: Sequence[Loss], target: str) -> list[str]:
    """What is different after a way through the wire of `target` and was not told."""
    if before.cache is not None and after.cache is None and not told("/cache", losses):
        before = _with_mark(before, losses)
    return [
        *_changed_parts(before, after, losses),
        *_changed_tools(before, after, losses, target),
        *_changed_members(before, after, losses, target),
    ]


def _with_mark(request: Request, losses: Sequence[Loss]) -> Request:
    """A breakpoint of the whole request is one behind the last part that is left of it."""
    messages = list(request.messages)
    for number, message in reversed(list(enumerate(messages))):
        for place, end in reversed(list(enumerate(message.parts))):
            if not told(f"/messages/{number}/parts/{place}", losses):
                end = msgspec.structs.replace(end, cache=end.cache or request.cache)
                pieces = (*message.parts[:place], end, *message.parts[place + 1 :])
                messages[number] = msgspec.structs.replace(message, parts=pieces)
                return msgspec.structs.replace(request, messages=tuple(messages), cache=None)
    return request


def _changed_members(
    before: Request, after: Request, losses: Sequence[Loss], target: str
) -> list[str]:
    wanted, got = members(before), members(after)
    if target in HOLDS_TO_SCHEMA:
        wanted.pop("/output/strict", None)
    if before.reasoning is not None:
        _think_alike(before, wanted, got, target)
    if any(loss.path in HOW_MUCH for loss in losses):
        losses = [*losses, *(Loss(path, "approximated", "") for path in HOW_MUCH)]
    return [
        f"{path}: {_short(wanted.get(path))} became {_short(got.get(path))}"
        for path in sorted({*wanted, *got})
        if wanted.get(path) != got.get(path) and not told(path, losses)
    ]


def _think_alike(before: Request, wanted: dict[str, Any], got: dict[str, Any], target: str) -> None:
    """Say as the target does what it means in other words than the request."""
    effort, budget, enabled = (wanted.get(path) for path in HOW_MUCH)
    shown = before.reasoning is not None and before.reasoning.exclude is False
    if target == "messages" and (effort or enabled) and budget is None:
        limit = before.max_output_tokens or ASSUMED_LIMIT
        share = SHARES.get(effort or "medium", 0) * limit // 100
        if got.get("/reasoning/budget") == max(min(share, 128_000), 1024):
            wanted |= {path: got.get(path) for path in HOW_MUCH}
    if target == "responses" and enabled:
        # To think, without more, is a medium effort (the contract, section 3.5).
        wanted |= {"/reasoning/effort": "medium", "/reasoning/enabled": None}
    if target == "gemini" and enabled and "/reasoning/exclude" not in got:
        # Its models think on their own; thoughts are asked for.
        wanted["/reasoning/enabled"] = None
    if target == "gemini" and wanted.get("/reasoning/summary") == "auto":
        # Its thoughts are summaries, as they come.
        wanted["/reasoning/summary"] = got.get("/reasoning/exclude") and "auto"
    if target == "responses" and shown and "/reasoning/summary" not in wanted:
        # What it shows are summaries, where they are asked for.
        wanted["/reasoning/summary"] = "auto"
    if wanted.get("/reasoning/exclude") and (target == "responses" or not (effort or budget)):
        # Nothing is shown where nothing asks for it, and nothing where no thinking is asked for.
        wanted["/reasoning/exclude"] = got.get("/reasoning/exclude")


def _changed_tools(
    before: Request, after: Request, losses: Sequence[Loss], target: str
) -> list[str]:
    kept = [(n, t) for n, t in enumerate(before.tools) if not told(f"/tools/{n}", losses)]
    if told("/tool_choice", losses) and not after.tools:
        kept = []  # where none may be called, none need be offered
    if not kept and told("/tools", losses):
        return []  # stand-ins for tools that the conversation has calls of
    if len(kept) != len(after.tools):
        return [f"/tools: {len(kept)} became {len(after.tools)}"]
    forced = target == "gemini" and after.tool_choice and after.tool_choice.mode in CALLS_FORCED
    found = []
    for (number, mine), other in zip(kept, after.tools, strict=True):
        wanted, got = tool(mine), tool(other)
        if forced:
            wanted.pop("strict", None)
        found += [
            f"/tools/{number}/{name}: {_short(wanted.get(name))} became {_short(got.get(name))}"
            for name in sorted({*wanted, *got})
            if wanted.get(name) != got.get(name) and not told(f"/tools/{number}/{name}", losses)
        ]
    return found


def _changed_parts(before: Request, after: Request, losses: Sequence[Loss]) -> list[str]:
    """Parts that did not come back in their order, and parts that came from nowhere."""
    got = [(who, part(p)) for _, who, p in parts(after) if not says_nothing(p)]
    wanted = []
    for path, who, mine in parts(before):
        unnamed = told(path.partition("/parts/")[0] + "/name", losses)
        said = part(mine)
        if not says_nothing(mine):
            wanted.append((path, (who.partition(" ")[0] if unnamed else who, said)))
    return _missing(wanted, got, losses)


def _missing(
    wanted: Sequence[tuple[str, tuple[str, Any]]],
    got: Sequence[tuple[str, Any]],
    losses: Sequence[Loss],
) -> list[str]:
    """What of `wanted` is not in `got`, in order, and how much of `got` stands for nothing.

    For what was told as dropped something else may stand there, or nothing; what is told otherwise
    has lost none of its words, and what has only another name is still there.
    """
    words = "\n".join(str(mine.get("text", "")) for _, mine in got)
    lost = [loss for loss in losses if loss.action != "renamed"]
    found: list[str] = []
    place = strangers = 0
    for path, (who, mine) in wanted:
        if told(path, lost):
            strangers -= 1
            if not told(path, _dropped(losses)) and mine.get("text", "") not in words:
                found.append(f"{path}: not even as {_short(mine['text'])}")
            continue
        at = next(
            (n for n in range(place, len(got)) if _is_it(path, (who, mine), got[n], losses)), None
        )
        if at is None:
            found.append(f"{path}: no {who} {_short(mine)}")
        else:
            strangers += at - place
            place = at + 1
    strangers += len(got) - place
    if strangers > 0 and not found:
        found.append(f"/messages: {strangers} parts came from nowhere")
    return found


def _is_it(
    path: str, wanted: tuple[str, Any], got: tuple[str, Any], losses: Sequence[Loss]
) -> bool:
    """Whether a part is the one that is wanted, but for the fields that a loss names."""
    free = {name for name in wanted[1] | got[1] if told(f"{path}/{name}", losses)}
    if "signature" in free:
        free.add("format")  # it says who can read the signature
    if "media_type" not in wanted[1]:
        free.add("media_type")  # a guess takes nothing away
    if "parts" not in free:
        mine = [(f"{path}/parts/{n}", ("", each)) for n, each in enumerate(wanted[1]["parts"])]
        if _missing(mine, [("", each) for each in got[1]["parts"]], losses):
            return False
    elif not told(f"{path}/parts", _dropped(losses)) and not _says_the_same(
        wanted[1]["parts"], got[1]
    ):
        return False
    names = {*wanted[1], *got[1]} - free - {"parts"}
    return wanted[0] == got[0] and all(wanted[1].get(n) == got[1].get(n) for n in names)


def _says_the_same(wanted: Sequence[Any], got: dict[str, Any]) -> bool:
    """Whether a result holds every text of another one and its media, however they are cut."""
    said = [each.get("text", "") for each in got["parts"]] + [_short(got.get("value"))]
    media = [each for each in got["parts"] if "text" not in each]
    whole = "\n".join(said)
    return all(each["text"] in whole if "text" in each else each in media for each in wanted)


def _short(value: Any) -> str:
    return "nothing" if value is None else json.canonical(value)[:300].decode(errors="replace")
