"""A registry that serves one image, over the distribution protocol, on the loopback address."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image_blobs(content: bytes) -> tuple[bytes, dict[str, bytes]]:
    """An image of one layer of one file: its manifest, and its blobs by digest."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("content")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    layer = gzip.compress(packed.getvalue(), mtime=0)
    root = {"type": "layers", "diff_ids": [digest_of(packed.getvalue())]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(config),
            "digest": digest_of(config),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": len(layer),
                "digest": digest_of(layer),
            }
        ],
    }
    return json.dumps(manifest).encode(), {digest_of(config): config, digest_of(layer): layer}


@contextmanager
def serving(content: bytes) -> Iterator[tuple[str, str]]:
    """Its address, and the digest of the manifest of its one image, `debian:trixie-slim`."""
    manifest, blobs = image_blobs(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.path.rpartition("/")[2]
            if self.path == "/v2/":
                self.answer(b"{}", "application/json")
            elif self.path.startswith("/v2/debian/manifests/") and wanted in ("trixie-slim", digest_of(manifest)):
                self.answer(manifest, MANIFEST)
            elif self.path.startswith("/v2/debian/blobs/") and wanted in blobs:
                self.answer(blobs[wanted], "application/octet-stream")
            else:
                problem = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
                self.answer(json.dumps(problem).encode(), "application/json", status=404)

        def do_HEAD(self) -> None:
            self.do_GET()

        def answer(self, body: bytes, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", digest_of(body))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Nothing: pytest's output is for the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", digest_of(manifest)
        server.shutdown()
