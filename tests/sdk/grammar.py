"""The grammar of each client dialect's streams, as functions from a stream's bytes to problems.

    check("messages", body) == []          # a stream that ended well
    check("messages", body, failed=True)   # one that must end with the dialect's own failure

Serves R6 (Messages), R7 (Responses), and the same for chat and Gemini. Written from the vendors'
references, not from our encoders. A stream is complete: cut ones are read by the SDKs' tests.
"""

import itertools

import pydantic
from anthropic.types import Message
from google.genai import types
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from arno.wire import json
from arno.wire.errors import MalformedJSON


def sse(body):
    """(event name or None, data) of each event of a stream, comments left out."""
    events = []
    for block in body.decode().replace("\r\n", "\n").split("\n\n"):
        name, data = None, []
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        if data:
            events.append((name, "\n".join(data)))
    return events


class Notes(list):
    """Problems found so far."""

    def require(self, right, problem):
        """Note a problem unless `right`."""
        if not right:
            self.append(problem)
        return bool(right)


def check(dialect, body, *, failed=False):
    """The problems of a stream in a dialect; failed: it must end as a failure."""
    return check_events(dialect, sse(body), failed=failed)


def check_events(dialect, events, *, failed=False):
    """The same of events, (name, data) each."""
    try:
        return CHECKS[dialect](events, failed)
    except (KeyError, IndexError, TypeError, AttributeError) as fault:
        return [f"unreadable: {fault!r}"]


# Chat completions: chunks of one id, dense call indexes, one end, `[DONE]` after a good one.


def check_chat(events, failed):
    """A stream of chat completion chunks."""
    notes = Notes()
    datas = [data for _, data in events]
    done = datas[-1:] == ["[DONE]"]
    notes.require(all(name is None for name, _ in events), "named events")
    chunks = [json.loads(data.encode()) for data in (datas[:-1] if done else datas)]
    if not notes.require(chunks, "no chunks"):
        return notes
    errors = [chunk for chunk in chunks if chunk.get("error")]
    notes.require(done != failed, f"[DONE] {done}, failed {failed}")
    notes.require(len(errors) == failed, f"{len(errors)} errors")
    notes.require(not errors or chunks[-1] is errors[-1], "chunks after the error")
    for name in ("id", "model", "object", "created"):
        # A failure may be told at a time of its own.
        said = [chunk for chunk in chunks if name != "created" or chunk not in errors]
        values = {chunk.get(name) for chunk in said or chunks}
        notes.require(len(values) == 1 and None not in values, f"{name}: {values}")
    notes.require(chunks[0].get("object") == "chat.completion.chunk", "object")
    choices = [choice for chunk in chunks for choice in chunk.get("choices", ())]
    notes.require(all(choice["index"] == 0 for choice in choices), "another choice")
    ends = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    notes.require(ends == ["error"] if failed else len(ends) == 1, f"finish reasons {ends}")
    usages = [chunk for chunk in chunks if chunk.get("usage")]
    notes.require(len(usages) <= (not failed), f"usage {len(usages)} times")
    _check_chat_calls(notes, choices)
    return notes


def _check_chat_calls(notes, choices):
    known = []
    for choice in choices:
        for call in choice["delta"].get("tool_calls") or ():
            index = call["index"]
            if index == len(known):
                named = call.get("id") and call.get("function", {}).get("name")
                notes.require(named and call.get("type") == "function", f"call {call} begins so")
                known.append("")
            notes.require(index < len(known), f"call index {index} of {len(known)}")
            known[index] += call.get("function", {}).get("arguments") or ""
    for text in known:
        notes.require(_is_object(text), f"arguments {text!r}")


def _is_object(text):
    try:
        return isinstance(json.loads(text.encode()), dict)
    except MalformedJSON:
        return False


# Messages (R6).

DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "redacted_thinking": set(),
}


STARTS = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}
"""What a block has not got yet when it starts."""


class _Messages:
    """The state of a Messages stream."""

    def __init__(self):
        self.notes = Notes()
        self.open = None
        self.blocks = 0
        self.order = []

    def feed(self, event):
        """One event."""
        kind = event["type"]
        if kind != "ping":
            self.order.append(kind)
        handle = getattr(self, f"on_{kind}", None)
        if handle is not None:
            handle(event)
        elif kind not in ("ping", "message_stop", "error"):
            self.notes.append(f"event {kind}")

    def on_message_start(self, event):
        """The message, empty."""
        message = event["message"]
        for name in ("id", "type", "role", "content", "model", "usage"):
            self.notes.require(name in message, f"message_start without {name}")
        self.notes.require(message.get("content") == [], "content in message_start")
        self.notes.require(message.get("stop_reason") is None, "an end in message_start")
        self.notes.require("input_tokens" in message.get("usage", {}), "no input_tokens")

    def on_content_block_start(self, event):
        """One block at a time, numbered from 0."""
        self.notes.require(self.open is None, "a block starts in an open one")
        self.notes.require(event["index"] == self.blocks, f"block {event['index']}")
        self.open = {**event["content_block"], "json": "", "signed": False}
        self.notes.require(self.open["type"] in DELTAS, f"block of type {self.open['type']}")
        wanted = STARTS.get(self.open["type"], {})
        begun = {name: self.open.get(name) for name in wanted}
        self.notes.require(begun == wanted, f"block begins {begun}")
        sealed = self.open["type"] == "redacted_thinking"
        self.notes.require(bool(self.open.get("data")) == sealed, "data that is out of place")
        self.blocks += 1

    def on_content_block_delta(self, event):
        """Of the open block and its kind."""
        self.notes.require(event["index"] == self.blocks - 1, "a delta of another block")
        if not self.notes.require(self.open is not None, "a delta of no block"):
            return
        delta = event["delta"]
        legal = DELTAS.get(self.open["type"], set())
        self.notes.require(delta["type"] in legal, f"{delta['type']} in {self.open['type']}")
        self.notes.require(not self.open["signed"], "a delta after the signature")
        self.open["signed"] = delta["type"] == "signature_delta"
        self.open["json"] += delta.get("partial_json", "")

    def on_content_block_stop(self, event):
        """The open block ends."""
        self.notes.require(event["index"] == self.blocks - 1, "another block stops")
        if self.open and self.open["type"] == "tool_use":
            text = self.open["json"]
            self.notes.require(not text or _is_object(text), f"input {text!r}")
            self.notes.require(self.open.get("id") and self.open.get("name"), "a nameless call")
        self.open = None

    def on_message_delta(self, event):
        """The end reason and the usage."""
        self.notes.require(self.open is None, "an end in an open block")
        self.notes.require(event["delta"].get("stop_reason"), "no stop_reason")
        self.notes.require("output_tokens" in event.get("usage", {}), "no output_tokens")


def check_messages(events, failed):
    """A stream of Messages events."""
    state = _Messages()
    for name, data in events:
        event = json.loads(data.encode())
        state.notes.require(name == event["type"], f"event {name} says {event['type']}")
        state.feed(event)
    order, notes = state.order, state.notes
    ends = ["error"] if failed else ["message_delta", "message_stop"]
    notes.require(order[-len(ends) :] == ends, f"the end is {order[-2:]}")
    rest = order[: -len(ends)]
    notes.require(not {"error", "message_delta", "message_stop"} & set(rest), "an end before it")
    notes.require(order[0] in ("message_start", "error"), f"begins with {order[0]}")
    notes.require(order.count("message_start") <= 1, "message_start twice")
    return notes


# Responses (R7).

ITEM_IDS = {"message": "msg_", "function_call": "fc_", "reasoning": "rs_"}
DONE_TEXT = {
    "output_text": "text",
    "refusal": "refusal",
    "function_call_arguments": "arguments",
    "reasoning_summary_text": "text",
    "reasoning_text": "text",
    "custom_tool_call_input": "input",
}
"""Kinds of deltas, and the member of their `done` event that holds the whole."""


class _Responses:
    """The state of a Responses stream."""

    def __init__(self):
        self.notes = Notes()
        self.items = {}
        self.closed = {}
        self.texts = {}
        self.finished = {}

    def feed(self, event):
        """One event, its type without the prefix."""
        kind = event["type"].removeprefix("response.")
        if kind == "output_item.added":
            self._added(event)
        elif kind == "output_item.done":
            self._done(event)
        elif "output_index" in event:
            self._inside(kind, event)

    def _added(self, event):
        index, item = event["output_index"], event["item"]
        self.notes.require(index == len(self.items), f"item {index} of {len(self.items)}")
        prefix = ITEM_IDS.get(item["type"], "")
        self.notes.require(
            item.get("id", "").startswith(prefix), f"{item['type']} {item.get('id')}"
        )
        self.items[index] = item

    def _done(self, event):
        index, item = event["output_index"], event["item"]
        self.notes.require(index not in self.closed, f"item {index} done twice")
        self.notes.require(self.items[index]["id"] == item["id"], "another id at the end")
        self.notes.require(self.items[index]["type"] == item["type"], "another type at the end")
        self.closed[index] = item

    def _inside(self, kind, event):
        index = event["output_index"]
        if not self.notes.require(index in self.items, f"{kind} before its item"):
            return
        self.notes.require(index not in self.closed, f"{kind} after its item")
        if "item_id" in event:
            self.notes.require(event["item_id"] == self.items[index]["id"], f"{kind}: item_id")
        name, _, step = kind.rpartition(".")
        place = (index, name, event.get("content_index", event.get("summary_index")))
        if step == "delta":
            self.notes.require(place not in self.finished, f"{kind} after its done")
            self.texts[place] = self.texts.get(place, "") + event["delta"]
        elif step == "done" and name in DONE_TEXT:
            self.finished[place] = event[DONE_TEXT[name]]
            self.notes.require(self.texts.get(place, "") == self.finished[place], f"{kind}: text")

    def settle(self, response):
        """What the last event says must be what was streamed."""
        self.notes.require(self.texts.keys() <= self.finished.keys(), "deltas without a done")
        output = [self.closed.get(index) for index in range(len(self.items))]
        self.notes.require(output == response["output"], "output is not the items that were done")
        for (index, name, part), text in self.finished.items():
            said = _text_of(response["output"][index], name, part)
            self.notes.require(said == text, f"{name} of item {index}: {said!r}, not {text!r}")


def _text_of(item, name, part):
    if name == "function_call_arguments":
        return item["arguments"]
    if name == "custom_tool_call_input":
        return item["input"]
    if name == "reasoning_summary_text":
        return item["summary"][part]["text"]
    return item["content"][part]["refusal" if name == "refusal" else "text"]


def check_responses(events, failed):
    """A stream of Responses events."""
    state = _Responses()
    notes = state.notes
    documents = []
    for name, data in events:
        event = json.loads(data.encode())
        notes.require(name == event["type"], f"event {name} says {event['type']}")
        documents.append(event)
        state.feed(event)
    kinds = [event["type"] for event in documents]
    numbers = [event.get("sequence_number") for event in documents]
    if notes.require(all(isinstance(one, int) for one in numbers), "no sequence_number"):
        rising = all(a < b for a, b in itertools.pairwise(numbers))
        notes.require(rising, f"sequence numbers {numbers}")
    begins = ["response.created", "response.in_progress"]
    notes.require(
        kinds[: min(2, len(kinds) - 1)] == begins[: len(kinds) - 1], f"begins {kinds[:2]}"
    )
    ends = {"response.failed", "error"} if failed else {"response.completed", "response.incomplete"}
    notes.require(kinds[-1] in ends, f"the end is {kinds[-1]}")
    last = documents[-1].get("response")
    if last is not None:
        for name in ("id", "object", "model", "output", "status"):
            notes.require(name in last, f"the end without {name}")
        ids = {event["response"]["id"] for event in documents if "response" in event}
        notes.require(len(ids) == 1, f"response ids {ids}")
    if not failed and last is not None:
        notes.require(last.get("usage"), "no usage")
        state.settle(last)
    return notes


# Gemini.

PARTS = {"text", "functionCall", "inlineData", "fileData", "executableCode", "codeExecutionResult"}


ALIVE = [{"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0}]


def check_gemini(events, failed):
    """A stream of generateContent documents."""
    notes = Notes()
    notes.require(all(name is None for name, _ in events), "named events")
    documents = [json.loads(data.encode()) for _, data in events]
    errors = [document for document in documents if "error" in document]
    notes.require(len(errors) == failed, f"{len(errors)} errors")
    # An empty text alone is a sign of life.
    good = [d for d in documents if "error" not in d and d.get("candidates") != ALIVE]
    notes.require(len({d.get("responseId") for d in good}) <= 1, "response ids")
    notes.require(all(d.get("modelVersion") for d in good), "no modelVersion")
    ends = []
    for document in good:
        for candidate in document.get("candidates", ()):
            notes.require(not ends, "a candidate after the end")
            if candidate.get("finishReason"):
                ends.append(candidate["finishReason"])
            for part in candidate.get("content", {}).get("parts", ()):
                kinds = PARTS & part.keys()
                signed = "thoughtSignature" in part
                notes.require(len(kinds) == 1 or (signed and not kinds), f"part {part}")
    notes.require(len(ends) == (not failed), f"finish reasons {ends}")
    if failed and errors:
        error = errors[0]["error"]
        told = {"code", "message", "status"} <= error.keys()
        notes.require(told and documents[-1] is errors[0], f"error {error}")
    return notes


CHECKS = {
    "chat": check_chat,
    "responses": check_responses,
    "messages": check_messages,
    "gemini": check_gemini,
}
"""Client dialect to its check: (events, whether it must end as a failure) -> problems."""


# Whole answers, as the vendors' own models take them.

WHOLE = {
    "chat": ChatCompletion.model_validate,
    "responses": Response.model_validate,
    "messages": Message.model_validate,
    "gemini": types.GenerateContentResponse.model_validate,
}


def check_whole(dialect, body):
    """What the vendor's model of a whole answer finds wrong; members of ours may stand in it."""
    try:
        WHOLE[dialect](json.loads(body))
    except pydantic.ValidationError as caught:
        found = [one for one in caught.errors() if not _is_ours(one)]
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found]
    return []


def _is_ours(found):
    """A member of ours, or a count that nobody told and that is not invented."""
    kind, place = found["type"], found["loc"]
    unknown = kind == "missing" and place[0] == "usage" and "details" in place[1]
    return kind == "extra_forbidden" or unknown
