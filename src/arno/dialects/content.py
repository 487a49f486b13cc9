"""Content that must not be left out: a request that holds it is refused where it cannot be carried.

A member that is dropped is told, and the answer is still one to the question. Words that the model
was to read, a reference to them, a file that only its own provider has: without them the answer
would be one to another question, and look like a success.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from arno.canon.failure import RequestError
from arno.canon.parts import MediaPart, OpaquePart, Part, ToolResultPart
from arno.canon.request import Request, Role

REFERRED: Mapping[str, Mapping[str, str]] = {
    "responses": {"item_reference": "only who made an item can look it up: send the item itself"},
    "messages": {
        "search_result": "its text cannot be carried: send it as text",
        "document": "a document made of blocks cannot be carried: send its text",
        "container_upload": "the file is known to its own provider only",
    },
}
"""Kinds of documents that stand for content, by the dialect that has them, and what to do instead.
Others that nobody else understands are dropped and told (R14)."""

SAME_FILES = frozenset({"chat", "responses"})
"""Dialects of one vendor: a file id means the same in both."""

FOREIGN_FILE = "a file id means something to the provider that gave it only: send the file itself"
NOTHING = "nothing of the conversation can be said to this upstream"


def check_content(request: Request, client: str, target: str) -> None:
    """Raise RequestError (its path a pointer) for content of `client` that `target` cannot have."""
    for path, part in _parts(request):
        if isinstance(part, OpaquePart) and part.dialect != target:
            kind = part.document.get("type") if isinstance(part.document, Mapping) else None
            why = REFERRED.get(part.dialect, {}).get(str(kind))
            if why is not None:
                raise RequestError(why, path)
        elif isinstance(part, MediaPart) and part.file_id and not {client, target} <= SAME_FILES:
            raise RequestError(FOREIGN_FILE, path)
    _check_that_something_is_left(request, target)


def _check_that_something_is_left(request: Request, target: str) -> None:
    """Raise RequestError if every part that could be a turn is one that must be dropped."""
    said = [
        (path, part)
        for path, part in _parts(request)
        if request.messages[int(path.split("/")[2])].role not in (Role.SYSTEM, Role.DEVELOPER)
    ]
    lost = [isinstance(part, OpaquePart) and part.dialect != target for _, part in said]
    if said and all(lost):
        raise RequestError(NOTHING, said[0][0])


def _parts(request: Request) -> Iterator[tuple[str, Part]]:
    """Every part with its place; those inside of a result stand at the result's."""
    for number, message in enumerate(request.messages):
        for place, part in enumerate(message.parts):
            path = f"/messages/{number}/parts/{place}"
            yield path, part
            if isinstance(part, ToolResultPart):
                for inner in part.parts:
                    yield path, inner
