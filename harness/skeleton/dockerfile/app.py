"""A tiny HTTP server, so that the skeleton runs as it is: put your own program in its place."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080  # as in model.yaml
BODY = b"x" * 128


class Handler(BaseHTTPRequestHandler):
    """Answers every GET alike."""

    protocol_version = "HTTP/1.1"  # connections are kept
    wbufsize = -1  # head and body leave together
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Not a line per request: that would be measured, too."""


class Server(ThreadingHTTPServer):
    """A thread per connection."""

    request_queue_size = 4096  # connections that wait to be accepted
    daemon_threads = True


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(("0.0.0.0", PORT), Handler).serve_forever()  # noqa: S104 - within a container, whoever reaches it may ask


if __name__ == "__main__":
    main()
