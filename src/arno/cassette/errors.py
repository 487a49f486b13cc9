"""Errors of the cassette layer. All are the caller's: a bad file, or a write that must not happen.

ValueError
    CassetteError      a file cannot be read, or a value cannot be written
        SecretFound    redaction refused a write; names the place, never the value
"""

from arno.canon.failure import LocalError


class CassetteError(LocalError, ValueError):
    """A cassette that cannot be read or written.

    `line` is the 1-based line of the file where reading stopped, None where there is no line.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        """Prefix the message with the line, where one is known."""
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


class SecretFound(CassetteError):
    """Something that looks like a credential would have been written.

    `where` names the place (`interaction 0 response.body`), `kind` the pattern that matched.
    """

    def __init__(self, where: str, kind: str) -> None:
        """Keep the place and the kind; the secret itself is never held."""
        super().__init__(f"{where} holds what looks like {kind}; the cassette was not written")
        self.where = where
        self.kind = kind
