"""nginx, the system's or Debian's package unpacked into `build/bench`: a peer, and the end of TLS
in front of the upstream."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from benchmarks import native
from benchmarks.children import BenchmarkError, Server, free_port, launch, stop, wait_for_port

PACKAGE = "nginx"

_TEXT = Template("""
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
$user
pid $folder/pid;
error_log $folder/error.log crit;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  client_body_buffer_size 512k;
  client_max_body_size 32m;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  upstream up { server $server; keepalive 2048; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:$port $secure backlog=4096;
    $listen
    location / {
      proxy_pass $scheme://up;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
      $proxy
    }
  }
}
""")


class Front:
    """What an nginx does. upstream: an URL; certificate: chain and key files, to listen with TLS;
    authority: what an upstream with TLS is verified against."""

    def __init__(
        self,
        upstream: str,
        *,
        certificate: tuple[Path, Path] | None = None,
        authority: Path | None = None,
    ) -> None:
        self._scheme, _, self._server = upstream.partition("://")
        self._certificate = certificate
        self._authority = authority

    def text(self, folder: Path, port: int) -> str:
        """The configuration."""
        listen = proxy = ""
        if self._certificate is not None:
            chain, key = self._certificate
            listen = f"ssl_certificate {chain}; ssl_certificate_key {key};"
            listen += " ssl_protocols TLSv1.3;"
        if self._authority is not None:
            proxy = (
                f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {self._authority};"
                " proxy_ssl_name upstream; proxy_ssl_protocols TLSv1.3;"
            )
        # As root the worker would become another user, who may not read the folder.
        user = f"user {pwd.getpwuid(0).pw_name};" if os.getuid() == 0 else ""
        return _TEXT.substitute(
            user=user,
            folder=folder,
            server=self._server,
            scheme=self._scheme,
            port=port,
            secure="ssl" if listen else "",
            listen=listen,
            proxy=proxy,
        )


class Nginx:
    """An nginx that can be run."""

    def __init__(self, program: Path) -> None:
        """Raises BenchmarkError if it cannot."""
        self._program = program
        told = subprocess.run([str(program), "-v"], capture_output=True, text=True)
        found = re.search(r"nginx/(\S+)", told.stderr)
        if told.returncode != 0 or found is None:
            raise BenchmarkError(f"nginx cannot be run: {told.stderr.strip()[:200]}")
        self.version = found[1]

    @contextmanager
    def serving(self, front: Front, core: int) -> Iterator[Server]:
        """Serve until the context ends."""
        with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nowhere:
            folder, port = Path(name), free_port()
            file = folder / "nginx.conf"
            file.write_text(front.text(folder, port), encoding="utf-8")
            command = [str(self._program), "-c", str(file), "-p", name]
            child = launch(command, core, errors=nowhere)
            try:
                wait_for_port(port, child)
                yield Server(child.pid, f"http://127.0.0.1:{port}")
            finally:
                stop(child)


def found(*, fetch: bool) -> Nginx:
    """The nginx of this machine. fetch: Debian's package may be fetched.

    Raises BenchmarkError if there is none.
    """
    installed = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if installed is not None:
        return Nginx(Path(installed))
    unpacked = native.BUILD / "nginx"
    program = unpacked / "usr" / "sbin" / "nginx"
    if not program.exists() and fetch:
        _fetch(unpacked)
    if not program.exists():
        raise BenchmarkError("nginx is not installed, and was not fetched")
    return Nginx(program)


def _fetch(to: Path) -> None:
    """Debian's package, unpacked without installing it."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise BenchmarkError("nginx is not installed, and this is no Debian to fetch it from")
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            ["apt-get", "download", "-qq", PACKAGE], cwd=folder, capture_output=True, text=True
        )
        packages = list(Path(folder).glob("*.deb"))
        if run.returncode != 0 or not packages:
            raise BenchmarkError(f"Debian's nginx cannot be fetched: {run.stderr.strip()[:200]}")
        to.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(to)], check=True)
