"""TLS towards upstreams: certificates and host names are always verified.

Verification can be widened by a CA of one's own, never switched off. TLS 1.2 is the oldest
version spoken (Python's default). Serves fault row 40.
"""

from __future__ import annotations

import ssl
from os import PathLike, fspath

from arno.canon.failure import LocalError


def client_context(ca_file: str | PathLike[str] | None = None) -> ssl.SSLContext:
    """A context that trusts the system's CAs, and those in the PEM file `ca_file` as well.

    OpenSSL's own variables SSL_CERT_FILE and SSL_CERT_DIR say where the system's are, so a
    process that shall trust nothing but its own CA sets these. Takes milliseconds. Raises
    `LocalError`, which names the file, if it cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        _trust(context, fspath(ca_file))
    return context


def verifies(context: ssl.SSLContext) -> bool:
    """Whether `context` checks certificates and host names."""
    return context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def _trust(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError as error:
        raise LocalError(f"CA file {ca_file}: holds no valid PEM certificate") from error
    except OSError as error:
        raise LocalError(f"CA file {ca_file}: {error.strerror or 'cannot be read'}") from error
