"""Starting the scripted upstream: in C where that can be, in Python where not; TLS in front of it.

TLS is ended by nginx on the core of the upstream, or by the upstream in Python itself where there
is no nginx. The authority of its certificate is made on the spot and trusted by nobody else.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import machine, native
from benchmarks.children import Server, first_line, launch, start, stop
from benchmarks.nginx import Front, Nginx
from benchmarks.scripts import scripts, soak_scripts, table


class Certificate:
    """A certificate for 127.0.0.1 that signs itself, which is what must be trusted, and its key."""

    def __init__(self, folder: Path) -> None:
        """Make them in `folder`, with openssl."""
        self.authority = folder / "authority.pem"
        self.key = folder / "key.pem"
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        named = ["-subj", "/CN=upstream", "-addext", "subjectAltName=IP:127.0.0.1,DNS:upstream"]
        files = ["-keyout", str(self.key), "-out", str(self.authority)]
        subprocess.run([*words.split(), *named, *files], check=True, capture_output=True)


def has_tls() -> bool:
    """Whether a certificate can be made here."""
    return shutil.which("openssl") is not None


def in_c() -> Path | None:
    """The upstream as a program, None where there is no compiler or no epoll."""
    return native.built("upstream") if sys.platform == "linux" else None


@contextmanager
def upstream(
    *, certificate: Certificate | None = None, nginx: Nginx | None = None, soak: bool = False
) -> Iterator[Server]:
    """A scripted upstream, with TLS too if there is a certificate. soak: with those scripts."""
    program = in_c()
    with tempfile.TemporaryDirectory() as folder:
        if program is None or (certificate is not None and nginx is None):
            with _in_python(certificate, soak=soak) as server:
                yield server
            return
        file = Path(folder) / "table"
        file.write_bytes(table(soak_scripts() if soak else scripts()))
        child = launch([str(program), str(file)], machine.OTHER_CORE)
        try:
            server = Server(child.pid, first_line(child), what="C, epoll")
            if certificate is None or nginx is None:
                yield server
                return
            end_of_tls = Front(server.url, certificate=(certificate.authority, certificate.key))
            with nginx.serving(end_of_tls, machine.OTHER_CORE) as front:
                secure = front.url.replace("http:", "https:")
                what = f"C, epoll; TLS ended by nginx {nginx.version}"
                yield Server(child.pid, server.url, secure=secure, what=what)
        finally:
            stop(child)


@contextmanager
def _in_python(certificate: Certificate | None, *, soak: bool) -> Iterator[Server]:
    options = ["--tls", str(certificate.authority), str(certificate.key)] if certificate else []
    options += ["--soak"] if soak else []
    child = start(["-m", "benchmarks.upstream", *options], machine.OTHER_CORE)
    try:
        plain = first_line(child)
        secure = first_line(child) if certificate else ""
        what = "Python, uvloop: no C compiler" if in_c() is None else "Python, uvloop: no nginx"
        yield Server(child.pid, plain, secure=secure, what=what)
    finally:
        stop(child)
