"""Jobs: one conversation of the scripted story, for any client; and what a client reads of it.

A job is {"id", "root", "model", "stream", "prompt", "system", "tools", "results", "image",
"schema", "thinking"}: root is the URL below which "/v1" and "/v1beta" stand; tools are [name,
schema] pairs, results the answers to their calls by name, image base64 or None. A finding is

    {"id": the job's,
     "turns": [{"text", "reasoning", "calls": [[id, name, arguments]], "finish", "refused",
                "images", "usage": {"input", "output", "cached", "reasoning"} or None}, ...],
     "error": {"kind": the SDK's class, "status", "message", "retry_after"} or None}

in canonical words: input and output are inclusive totals, finish is stop, length, tool_calls or
content_filter (None: the stream did not say). A turn that fails in its middle is the last one.
"""

from tests.sdk.upstreams import story

KEY = "sk-any-0123456789abcdef"


def job(root, model, scenario, case, *, stream):
    """The job of a scenario; `model` is what the client asks for, less scenario and case."""
    return {
        "id": case,
        "root": root,
        "key": KEY,
        "model": f"{model}{scenario}.{case}",
        "stream": stream,
        "system": story.SYSTEM,
        "prompt": story.PROMPT,
        "tools": list(story.TOOLS.items()) if story.calls_tools(scenario) else [],
        "results": story.RESULTS,
        "image": story.IMAGE if scenario == "image_in" else None,
        "schema": story.SCHEMA if scenario == "schema" else None,
        "thinking": scenario.startswith("thinking"),
    }


def nothing_read():
    """A turn before anything was read of it."""
    return {
        "text": "",
        "reasoning": "",
        "calls": [],
        "finish": None,
        "refused": False,
        "images": 0,
        "usage": None,
    }


def counts(input, output, cached=None, reasoning=None):
    """Usage in canonical words."""
    return {"input": input, "output": output, "cached": cached, "reasoning": reasoning}


def error(caught, status=None, message="", headers=None):
    """An SDK's exception."""
    return {
        "kind": type(caught).__name__,
        "status": status,
        "message": message,
        "retry_after": (headers or {}).get("retry-after"),
    }
