"""The recordings that the cassette tests read, and a short way to make one."""

from pathlib import Path

from arno.cassette.model import Interaction, RecordedRequest, RecordedResponse, WireTiming
from tests.shared import SHARED

SEED = "seed/tool_streaming.yaml"


def recording(name: str) -> bytes:
    """The bytes of a shared file."""
    assert SHARED is not None
    return (SHARED / name).read_bytes()


def go_vcr_files() -> list[str]:
    """Every shared go-vcr file and the seed, as names under the shared folder."""
    if SHARED is None:
        return []
    folder: Path = SHARED / "cassettes" / "go-vcr"
    return [SEED, *sorted(str(path.relative_to(SHARED)) for path in folder.rglob("*.yaml"))]


def interaction(
    body: bytes = b"",
    *,
    number: int = 0,
    method: str = "POST",
    url: str = "https://api.example.com/v1/chat/completions",
    answer: bytes = b"{}",
    content_type: str = "application/json",
    wire: WireTiming | None = None,
) -> Interaction:
    """An interaction with what a test cares about; the rest is plausible."""
    return Interaction(
        id=number,
        request=RecordedRequest(
            method, url, {"Content-Type": ["application/json"]}, body, content_length=len(body)
        ),
        response=RecordedResponse(
            "200 OK", 200, {"Content-Type": [content_type]}, answer, duration_ns=1_500_000
        ),
        wire=wire,
    )
