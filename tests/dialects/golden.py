"""Golden files: one small case each, in `tests/golden/<dialect>/<case>.<target>.json`.

source      the document as it stands on the wire
canonical   what it means, without residue
told        the meaning alone told on the same wire again: what another dialect would arrive as
losses      what that could not carry, where it is anything (messages only)
stream      the meaning alone told as the documents of a stream (answers only)

The target `told` bears the name of its dialect in the folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from arno.canon.events import Event
from arno.canon.failure import RequestError
from arno.canon.request import Request
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects.base import BODY_ONLY, Dialect, RequestLine
from arno.wire import json

FOLDER = Path(__file__).resolve().parents[1] / "golden"
KEPT = ("ext", "raw", "item")
"""What a dialect keeps for itself: residue, and which item a part stood in."""


@dataclass(frozen=True)
class GoldenFiles:
    """The golden files of one dialect, and what the code makes of them."""

    dialect: Dialect
    streamed: Callable[[Sequence[Event]], Any]
    """The documents of the stream that says some events."""
    line: RequestLine = BODY_ONLY
    losses: bool = False
    """Whether the losses of a case are kept as well."""

    @property
    def folder(self) -> Path:
        return FOLDER / self.dialect.name

    @property
    def requests(self) -> list[str]:
        return self._cases("request")

    @property
    def answers(self) -> list[str]:
        return self._cases("answer")

    def _cases(self, kind: str) -> list[str]:
        sources = self.folder.glob(f"{kind}_*.source.json")
        return sorted(path.name.split(".")[0] for path in sources)

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Every case with every target that it has a file for, beside its source."""
        both = ("canonical", self.dialect.name, *(("losses",) if self.losses else ()))
        return [
            *((case, target) for case in self.requests for target in both),
            *((case, target) for case in self.answers for target in (*both, "stream")),
        ]

    def kept(self, case: str, target: str) -> Any:
        return json.loads((self.folder / f"{case}.{target}.json").read_bytes())

    def read(self, case: str) -> Request | Response:
        body = json.dumps(self.kept(case, "source"))
        if case in self.requests:
            return self.dialect.decode_request(body, self.line)
        answer = self.dialect.decode_response(body)
        assert isinstance(answer, Response)
        return answer

    def told(self, value: Request | Response) -> tuple[Any, Any]:
        """The document and the losses; of what cannot be carried, why it is refused."""
        if isinstance(value, Response):
            document, losses = self.dialect.encode_response(value)
            return plain(document), losses
        try:
            body, losses = self.dialect.encode_request(value)
        except RequestError as error:
            return {"refused": error.path, "why": error.message}, ()
        return json.loads(body), losses

    def produced(self, case: str, target: str) -> Any:
        """What the code makes of a case for a target; JSON values all through."""
        value = self.read(case)
        if target == "canonical":
            return plain(spoken(value))
        meaning = stripped(value)
        if target == "stream":
            return plain(self.streamed(list(unfold(meaning))))
        document, losses = self.told(meaning)
        return plain(spoken(losses)) if target == "losses" else document


def stripped(value: Any) -> Any:
    """A canonical value without what its dialect kept for itself."""
    if isinstance(value, msgspec.Struct):
        names = [name for name in value.__struct_fields__ if name not in KEPT]
        return type(value)(**{name: stripped(getattr(value, name)) for name in names})
    return tuple(stripped(item) for item in value) if isinstance(value, tuple) else value


def spoken(value: Any) -> Any:
    """A canonical value as JSON, fields at their defaults left out."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        members = {f.name: (getattr(value, f.name), f.default) for f in fields}
        tag = value.__struct_config__.tag
        return ({"type": tag} if tag else {}) | {
            name: spoken(member)
            for name, (member, default) in members.items()
            if name not in KEPT and member != default
        }
    return [spoken(item) for item in value] if isinstance(value, tuple) else value


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
