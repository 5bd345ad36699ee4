"""An image that somebody else built: a server of http or https, whose certificate names no address."""

import io
import tarfile

import docker

from tests.client.certificates import Authority

SERVER = b"""\
import os, ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        body = " ".join([os.environ.get("SAYS", "nothing"), *sys.argv[1:], str(os.path.exists("/ceiling"))]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 1024

server = Server(("0.0.0.0", int(os.environ["LISTENS"])), Handler)
if os.path.exists("/server.pem") and os.environ.get("TLS"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/server.pem", "/server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
DOCKERFILE = """\
FROM {base}
COPY server.py server.pem server.key /
ENV LISTENS={port}
ENTRYPOINT ["python3", "/server.py"]
CMD ["by", "itself"]
"""


def build_ready(client: docker.DockerClient, base: str, name: str, authority: Authority, port: int) -> None:
    """Build it from the base image, with a certificate of this authority's.

    Args:
        client: the engine.
        base: the image's id.
        name: the new image's.
        authority: signs the certificate.
        port: where it listens when nobody says another (`LISTENS`).
    """
    certificate, key = authority.certificate("DNS:api.acme.test")
    files = {
        "Dockerfile": DOCKERFILE.format(base=base, port=port).encode(),
        "server.py": SERVER,
        "server.pem": certificate.read_bytes(),
        "server.key": key.read_bytes(),
    }
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=name, rm=True)
