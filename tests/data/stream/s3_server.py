"""A small S3 server in the process of the tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class S3(BaseHTTPRequestHandler):
    """Answers LIST, HEAD and GET with ranges for one bucket, and refuses a wrong key id."""

    root: Path
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(is_head=True)

    def do_GET(self) -> None:
        self._answer(is_head=False)

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, *, is_head: bool) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        if "Credential=right/" not in self.headers.get("Authorization", ""):
            return self._send(403, b"<Error><Code>AccessDenied</Code></Error>", is_head=is_head)
        if "list-type" in query:
            return self._send(200, self._listing(query.get("prefix", [""])[0]), is_head=is_head)
        file = self.root / key
        if not key or not file.is_file():
            return self._send(200 if not key else 404, b"", is_head=is_head)
        content = file.read_bytes()
        if "Range" not in self.headers:
            return self._send(200, content, is_head=is_head)
        first, last = (int(edge) for edge in self.headers["Range"].removeprefix("bytes=").split("-"))
        return self._send(206, content[first : last + 1], is_head=is_head)

    def _listing(self, prefix: str) -> bytes:
        files = {file.relative_to(self.root).as_posix(): file for file in sorted(self.root.rglob("*.*"))}
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{file.stat().st_size}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, file in files.items()
            if key.startswith(prefix) and file.is_file()
        )
        count = found.count("<Key>")
        return f"<ListBucketResult><KeyCount>{count}</KeyCount>{found}</ListBucketResult>".encode()

    def _send(self, status: int, content: bytes, *, is_head: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if not is_head:
            self.wfile.write(content)


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serves a folder as a bucket: the query that follows s3://right:secret@bucket/FOLDER."""
    handler = type("Handler", (S3,), {"root": root})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=us-east-1"
        server.shutdown()
