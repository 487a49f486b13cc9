"""What the encoders of one request or answer share: where it goes, names given, losses so far."""

from __future__ import annotations

from arno.canon.ext import Loss


class Writing:
    """to_client: an answer, where everything is shown; else a request, where what the upstream
    cannot read is left out. names: of documents, each given once.
    """

    __slots__ = ("losses", "names", "to_client")

    def __init__(self, *, to_client: bool) -> None:
        self.to_client = to_client
        self.names: set[str] = set()
        self.losses: list[Loss] = []

    def drop(self, path: str, why: str) -> None:
        """Tell of something that is left out."""
        self.losses.append(Loss(path, "dropped", why))

    def approximate(self, path: str, why: str) -> None:
        """Tell of something that is said otherwise."""
        self.losses.append(Loss(path, "approximated", why))

    def rename(self, path: str, why: str) -> None:
        """Tell of something that has another name here."""
        self.losses.append(Loss(path, "renamed", why))
