"""A time-stamp authority for the tests: OpenSSL's, behind an HTTP server that answers as it is told to."""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_CONFIG = """
[ca]
subjectKeyIdentifier = hash
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[tsa]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa_config]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


@dataclass
class Authority:
    """Where it is, the PEM file of its root, and what it answers: `answer` turns a request into a response (DER)."""

    folder: Path
    url: str = ""
    answer: Callable[[bytes], bytes] = field(default=lambda _: b"")

    @property
    def root(self) -> Path:
        return self.folder / "ca.pem"

    def stamp(self, request: bytes) -> bytes:
        (self.folder / "request.tsq").write_bytes(request)
        words = ["ts", "-reply", "-config", "c.cnf", "-section", "tsa_config", "-queryfile", "request.tsq"]
        _openssl(self.folder, *words, "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "reply.tsr")
        return (self.folder / "reply.tsr").read_bytes()


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def _made(folder: Path) -> Authority:
    folder.mkdir()
    (folder / "serial").write_text("01\n")
    (folder / "c.cnf").write_text(_CONFIG.format(folder=folder))
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    _openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=Root",
             "-config", "/dev/null", "-addext", "basicConstraints=critical,CA:true",
             "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    _openssl(
        folder, "req", *key, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Stamps", "-config", "/dev/null"
    )
    _openssl(folder, "x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "tsa.pem",
             "-days", "30", "-extfile", "c.cnf", "-extensions", "tsa", "-set_serial", "2")  # fmt: skip
    made = Authority(folder)
    made.answer = made.stamp
    return made


@contextmanager
def authority(folder: Path) -> Iterator[Authority]:
    """Give an authority that answers until the block ends."""
    made = _made(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                data = made.answer(request)
            except ConnectionError:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}/tsa"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
