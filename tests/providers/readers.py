"""How a client reads chat answers, written without the dialect's own code.

It does what common SDKs do: text and arguments are appended in order, a tool call is found by its
index, what is said last of id, name and end reason counts.
"""

from arno.wire import SSEDecoder, json


def documents(body):
    """The JSON documents of an event stream."""
    decoder = SSEDecoder()
    frames = decoder.feed(body) + decoder.close()
    return [json.loads(f.data) for f in frames if f.data and f.data != b"[DONE]"]


def read_stream(body):
    """What a stream says, by choice."""
    found = {}
    for document in documents(body):
        for choice in document.get("choices") or ():
            said = found.setdefault(choice["index"], {"text": "", "calls": {}, "finish": None})
            _delta(said, choice.get("delta") or {})
            said["finish"] = choice.get("finish_reason") or said["finish"]
    return {number: _told(said) for number, said in found.items()}


def _delta(said, delta):
    said["text"] += _text(delta.get("content"))
    for entry in delta.get("tool_calls") or ():
        call = said["calls"].setdefault(entry["index"], {"id": "", "name": "", "arguments": ""})
        call["id"] = entry.get("id") or call["id"]
        function = entry.get("function") or {}
        call["name"] = function.get("name") or call["name"]
        call["arguments"] += function.get("arguments") or ""


def read_whole(body):
    """What a whole answer says, by choice."""
    found = {}
    for choice in json.loads(body)["choices"]:
        message = choice["message"]
        calls = {
            number: {"id": call["id"], **_function(call["function"])}
            for number, call in enumerate(message.get("tool_calls") or ())
        }
        said = {
            "text": _text(message.get("content")),
            "calls": calls,
            "finish": choice.get("finish_reason"),
        }
        found[choice["index"]] = _told(said)
    return found


def _function(function):
    return {"name": function["name"], "arguments": function["arguments"]}


def _text(content):
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _told(said):
    calls = [tuple(call.values()) for _, call in sorted(said["calls"].items())]
    return said["text"], calls, said["finish"]
