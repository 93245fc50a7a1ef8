"""Shards in an object store: a small S3 server in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
import torch

from raynas.data.stream import EvalTransform, ImageIndex, local_batches
from raynas.errors import DataError

from .stream_sets import picture_bytes, write_shards, write_tree


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


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running server: the query that follows s3://KEY@bucket/FOLDER."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    handler = type("Handler", (S3,), {"root": tmp_path})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=us-east-1"
        server.shutdown()


def test_shards_stream_from_a_store_as_from_the_disk(tmp_path: Path, store: str):
    write_shards(tmp_path / "set")
    here = ImageIndex.find(str(tmp_path / "set"))
    there = ImageIndex.find(f"s3://right:secret@bucket/set{store}")
    assert (there.train.num_images, there.class_names) == (here.train.num_images, here.class_names)
    batches = [
        list(local_batches(index.train, EvalTransform(8), shuffle=None, num_processes=0).batches(
            epoch=0, batch_size=20
        ))
        for index in (here, there)
    ]  # fmt: skip
    assert len(batches[0]) == 2
    assert all(torch.equal(a.images_NCHW, b.images_NCHW) for a, b in zip(*batches, strict=True))


def test_a_tree_is_found_in_a_store(tmp_path: Path, store: str):
    write_tree(tmp_path / "set", {f"train/{name}/0.png": picture_bytes() for name in ("a", "b", ".c")})
    index = ImageIndex.find(f"s3://right:secret@bucket/set{store}")
    assert (index.train.num_images, index.class_names) == (2, ("a", "b"))


def test_a_store_that_refuses_is_explained_without_the_password(tmp_path: Path, store: str):
    write_shards(tmp_path / "set")
    with pytest.raises(DataError, match=r"ACCESS_DENIED.*give credentials: AWS_ACCESS_KEY_ID") as caught:
        ImageIndex.find(f"s3://wrong:secret@bucket/set{store}")
    assert "secret" not in str(caught.value)


def test_a_folder_that_is_not_in_the_store_is_named(tmp_path: Path, store: str):
    with pytest.raises(DataError, match="There is nothing at 's3://bucket/sett"):
        ImageIndex.find(f"s3://right:secret@bucket/sett{store}")
