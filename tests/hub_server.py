"""A server that speaks as much of the Hugging Face hub's protocol as its client needs; no internet."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer:
    """Files of repositories: {"owner/repo": {"file.gguf": bytes}}.

    break_after: once, a download ends after so many bytes. requests: (method, path, Range header) of all requests.
    """

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        self.repositories = repositories
        self.break_after: int | None = None
        self.requests: list[tuple[str, str, str | None]] = []
        self._closed = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                server._answer(self, body=False)

            def do_GET(self) -> None:
                server._answer(self, body=True)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._http.shutdown()
        self._http.server_close()

    def _answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        if self._closed:  # on a connection that was kept open
            request.close_connection = True
            return None
        self.requests.append((request.command, request.path, request.headers.get("Range")))
        path = request.path.partition("?")[0]
        if path.startswith("/api/models/"):
            return self._describe(request, path.removeprefix("/api/models/").partition("/revision/")[0], body)
        parts = path.strip("/").split("/", 4)
        if len(parts) < 5 or parts[2] != "resolve":
            return self._fail(request, 404, "EntryNotFound")
        repository, name = "/".join(parts[:2]), parts[4]
        if repository not in self.repositories:
            return self._fail(request, 401, "RepoNotFound")
        if name not in self.repositories[repository]:
            return self._fail(request, 404, "EntryNotFound")
        content = self.repositories[repository][name]
        start, stop = 0, len(content)
        if (span := request.headers.get("Range")) and body:
            first, _, last = span.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else stop, stop)
        part = content[start:stop]
        request.send_response(206 if part is not content and span else 200)
        request.send_header("ETag", '"' + hashlib.sha256(content).hexdigest() + '"')
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Accept-Ranges", "bytes")
        request.send_header("Content-Length", str(len(part)))
        request.end_headers()
        if body:
            if self.break_after is not None:
                part, self.break_after = part[: self.break_after], None
                request.close_connection = True
            request.wfile.write(part)

    def _describe(self, request: BaseHTTPRequestHandler, repository: str, body: bool) -> None:
        if repository not in self.repositories:
            return self._fail(request, 401, "RepoNotFound")
        files = [{"rfilename": name} for name in self.repositories[repository]]
        document = json.dumps({"id": repository, "modelId": repository, "sha": COMMIT, "siblings": files}).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(document)))
        request.end_headers()
        if body:
            request.wfile.write(document)

    def _fail(self, request: BaseHTTPRequestHandler, status: int, code: str) -> None:
        request.send_response(status)
        request.send_header("X-Error-Code", code)
        request.send_header("Content-Length", "0")
        request.end_headers()
