"""What a user reads of a streamed answer, by hand: what SDKs are compared with."""

from arno.wire import json


def empty():
    """Nothing read yet; `call` is [id, name] of the first tool call."""
    return {"text": "", "call": None, "arguments": "", "reason": None, "usage": None}


def recorded(step):
    """What the recorded body of an interaction says, read without any decoder of ours."""
    answer = empty()
    for event in step.response.body.split(b"\n\n"):
        data = event.removeprefix(b"data:").strip()
        if data.startswith(b"{"):
            _add(answer, json.loads(data))
    assert answer["usage"]["cost"] > 0
    return answer


def _add(answer, chunk):
    answer["usage"] = chunk.get("usage") or answer["usage"]
    for choice in chunk["choices"]:
        answer["text"] += choice["delta"].get("content") or ""
        answer["reason"] = choice["finish_reason"] or answer["reason"]
        for call in choice["delta"].get("tool_calls") or ():
            if answer["call"] is None:
                answer["call"] = [call["id"], call["function"]["name"]]
            answer["arguments"] += call["function"].get("arguments") or ""
