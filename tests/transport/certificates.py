"""A certification authority of the test's own, by the openssl program."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: object) -> None:
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


class Authority:
    """Issues server certificates; `ca_file` is what a client must trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._issued = 0
        self.ca_file = folder / "ca.pem"
        self._ca_key = folder / "ca.key"
        files = ("-keyout", self._ca_key, "-out", self.ca_file)
        # Python 3.13 verifies strictly: an authority says what its key is for.
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        _openssl("req", "-x509", *_KEY, "-days", 2, "-subj", "/CN=test authority", *usage, *files)

    def server(self, *names: str, days: int = 2) -> ssl.SSLContext:
        """A server context for DNS names (or `IP:...`); `days` below 0: it has expired."""
        self._issued += 1
        stem = self._folder / f"server{self._issued}"
        key, request, cert, extension = (
            stem.with_suffix(end) for end in (".key", ".csr", ".pem", ".ext")
        )
        subjects = [name if name.startswith("IP:") else f"DNS:{name}" for name in names]
        lines = (
            f"subjectAltName={','.join(subjects)}",
            "subjectKeyIdentifier=hash",
            "authorityKeyIdentifier=keyid",
        )
        extension.write_text("\n".join(lines) + "\n", encoding="ascii")
        _openssl("req", *_KEY, "-subj", "/CN=server", "-keyout", key, "-out", request)
        ca = ("-CA", self.ca_file, "-CAkey", self._ca_key, "-CAcreateserial")
        _openssl(
            *("x509", "-req", "-in", request, *ca),
            *("-days", days, "-extfile", extension, "-out", cert),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context
