"""A canonical part as a wire part: in a request, and in an answer.

In a request a reasoning artefact of another wire stays away (R18); in an answer everything is shown
(`signatures`). A tool that the provider ran is told in its own wire's form or not at all, since a
client would take it for a call to run.
"""

from __future__ import annotations

from arno.canon.ext import Loss
from arno.canon.parts import (
    Executor,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects.arguments import to_object
from arno.dialects.gemini import signatures
from arno.dialects.gemini.media import encode_media, media_losses, media_member
from arno.dialects.gemini.pieces import GOES_ON
from arno.dialects.gemini.residue import DIALECT, give, is_native, note, respell
from arno.dialects.residue import Document
from arno.wire import json

NO_PLACE = "this wire has no place for it"


class Told:
    """What encoding parts gives beside the parts: losses.

    cut: of an answer that stopped before it had said all.
    """

    __slots__ = ("cut", "losses", "path", "to_client")

    def __init__(self, path: str, *, to_client: bool, cut: bool = False) -> None:
        self.path = path
        self.to_client = to_client
        self.cut = cut
        self.losses: list[Loss] = []

    def lose(self, action: str, why: str, below: str = "") -> None:
        """Report a loss at the part, or at one of its fields."""
        self.losses.append(Loss(self.path + below, action, why))


def encode_part(part: Part, told: Told, *, with_id: bool = True) -> Document | None:
    """The wire part, None if there is none for it; a result of a client's tool is not written here.

    with_id: whether a call's id is written; not one that the wire never had.
    """
    document = _encode(part, told, with_id=with_id)
    if document is None or isinstance(part, OpaquePart):
        return document
    proof = _proof(part, told)
    if proof is not None:
        document["thoughtSignature"] = proof
    if part.cache is not None and not told.to_client:
        told.lose("dropped", "this wire caches without marks", "/cache")
    return respell(document, note(part.ext, "snake"))


def _encode(part: Part, told: Told, *, with_id: bool) -> Document | None:
    if isinstance(part, TextPart):
        return _encode_text(part, told)
    if isinstance(part, ReasoningPart):
        return {"text": part.text, "thought": True, **give(part.ext)}
    if isinstance(part, ToolCallPart):
        return encode_call(part, told, with_id=with_id)
    if isinstance(part, MediaPart):
        return _encode_media(part, told)
    if isinstance(part, RefusalPart):
        if not told.to_client:
            told.lose("approximated", "a refusal is told as text")
        return {"text": part.text}
    if isinstance(part, ToolResultPart):
        return _encode_provider_result(part, told)
    if part.dialect == DIALECT and isinstance(part.document, dict):
        return part.document
    told.lose("dropped", f"a document of {part.dialect} goes back to it only")
    return None


def _encode_text(part: TextPart, told: Told) -> Document:
    if part.annotations and not told.to_client:
        told.lose("dropped", "a turn of a request holds no citations", "/annotations")
    document = give(part.ext)
    return document if note(part.ext, "bare") else {"text": part.text, **document}


def encode_call(part: ToolCallPart, told: Told, *, with_id: bool) -> Document | None:
    """A call, of the client's tools or of the provider's own ones."""
    if part.executor is Executor.PROVIDER:
        return _encode_provider_call(part, told)
    arguments, exact = to_object(part.arguments)
    if not exact and not is_native(part.ext):
        told.lose("approximated", "arguments that are no object stand in one", "/arguments")
    if part.kind != "function":
        told.lose("approximated", "a call of text is told as one of an object", "/kind")
    if part.namespace is not None:
        told.lose("dropped", "a function of this wire has no name space", "/namespace")
    document = give(part.ext)
    inner: Document = {"id": part.call_id} if with_id else {}
    inner["name"] = part.name
    if told.cut and not part.arguments.strip():
        # Arguments that never came are none, and not the empty object.
        inner[GOES_ON] = True
        if not is_native(part.ext):
            told.lose("approximated", "a call that was cut short is told as one that goes on")
    else:
        inner["args"] = arguments
    return _nested(part, document, "functionCall", inner)


def _nested(part: Part, outer: Document, member: str, inner: Document) -> Document:
    """`outer` with `inner` at `member`, over what was kept there."""
    kept = outer.pop(member, {})
    if "args" in inner:
        kept = {name: value for name, value in kept.items() if name != GOES_ON}
    if note(part.ext, ".args") == "absent" and bytes(inner.get("args", b"")) == b"{}":
        del inner["args"]
    if kept.get("args", "") is None and bytes(inner.get("args", b"")) == b"{}":
        inner["args"] = None
    return {member: respell({**kept, **inner}, note(part.ext, ".snake")), **outer}


def _encode_provider_call(part: ToolCallPart, told: Told) -> Document | None:
    if not is_native(part.ext):
        told.lose("dropped", "a tool that another provider ran has no form on this wire")
        return None
    document = give(part.ext)
    arguments, _ = to_object(part.arguments)
    made = note(part.ext, ".id") == "made"
    named: Document = {} if made else {"id": part.call_id}
    if note(part.ext, "code"):
        given = json.loads(bytes(arguments))
        return _nested(part, document, "executableCode", {**named, **_object(given)})
    return _nested(part, document, "toolCall", {**named, "toolType": part.name, "args": arguments})


def _encode_provider_result(part: ToolResultPart, told: Told) -> Document | None:
    if part.executor is not Executor.PROVIDER or not is_native(part.ext):
        told.lose("dropped", "a tool that another provider ran has no form on this wire")
        return None
    document = give(part.ext)
    named: Document = {} if note(part.ext, ".id") == "made" else {"id": part.call_id}
    if note(part.ext, "code"):
        inner = {**named, **_object(part.value)}
        return _nested(part, document, "codeExecutionResult", inner)
    named["toolType"] = part.name
    if part.value is not None:
        named["response"] = part.value
    return _nested(part, document, "toolResponse", named)


def _object(value: object) -> Document:
    return dict(value) if isinstance(value, dict) else {}


def _encode_media(part: MediaPart, told: Told) -> Document | None:
    member = media_member(part)
    if member is None:
        told.lose("dropped", NO_PLACE)
        return None
    told.losses += media_losses(part, told.path)
    inner = encode_media(part, native=is_native(part.ext))
    return _nested(part, give(part.ext), member, inner)


def _proof(part: Part, told: Told) -> str | None:
    """What stands as `thoughtSignature`."""
    if told.to_client:
        return signatures.for_client(part)
    if part.signature is not None and not signatures.is_own(part):
        told.lose("dropped", "a signature goes back to its origin only", "/signature")
    return signatures.own_signature(part)
