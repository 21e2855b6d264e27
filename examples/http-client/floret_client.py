"""A client for `floret serve`, in one file and with nothing but Python 3.11's standard library.

    client = Client("http://127.0.0.1:8080")
    saved = client.put("literature/walden", b"I went to the woods", media_type="text/plain")
    walden = client.get("literature/walden")
    client.put("literature/walden", b"Simplify", if_match=walden.etag)   # Conflict, if somebody else was first

Run as a program it saves a text from several threads at once, each adding its line, and loses none.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass


class Problem(Exception):
    """An error of the server's, as RFC 9457 tells it. `code` is stable: `floret explain CODE` says what to do."""

    def __init__(self, status: int, code: str, detail: str):
        super().__init__(f"{detail} [{code}]")
        self.status, self.code, self.detail = status, code, detail
        #: Seconds after which the server wants to be asked again, if it says so.
        self.retry_after: float | None = None


class NotFound(Problem):
    """What was named is not there, or its bytes are gone."""


class Conflict(Problem):
    """Somebody else was first: read again, decide again."""


@dataclass(frozen=True)
class Version:
    """A version with its bytes."""

    content: bytes
    media_type: str
    seq: int
    version: str
    etag: str


class Client:
    """One server. Safe to use from several threads. Answers of 503 are tried again, at most `tries` times in all, after
    what the server says or a growing, jittered pause: a PUT is safe to repeat, since what is already the latest version is
    not saved twice."""

    def __init__(self, url: str, tries: int = 6, timeout_seconds: float = 30.0):
        self._url = url.rstrip("/")
        self._tries = tries
        self._timeout_seconds = timeout_seconds

    def put(
        self,
        resource: str,
        content: bytes,
        media_type: str = "application/octet-stream",
        if_match: str | int | None = None,
        if_absent: bool = False,
    ) -> dict:
        """Save a version. `if_match` is the etag or the seq that the latest version must have; with `if_absent` there
        must be none. Answers what was saved: `seq`, `version`, `data_hash`, `token`, and `is_new`."""
        headers = {"content-type": media_type}
        if if_match is not None:
            headers["if-match"] = f'"{if_match}"' if isinstance(if_match, int) else if_match
        if if_absent:
            headers["if-none-match"] = "*"
        status, _, body = self._ask("PUT", self._path(resource), headers, content)
        return {**json.loads(body), "is_new": status == 201}

    def get(self, resource: str, seq: int | None = None, at_least: int | None = None) -> Version:
        """The latest version, or the one with this `seq`; with `at_least` one that is no older than what was saved with
        that seq, on whichever host."""
        parameters = {name: value for name, value in (("seq", seq), ("at_least", at_least)) if value is not None}
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        _, headers, body = self._ask("GET", self._path(resource) + query, {}, None)
        return Version(body, headers["content-type"], int(headers["floret-seq"]), headers["floret-version"], headers["etag"])

    def log(self, resource: str, page: int = 100):
        """Every version, newest first, page by page."""
        before = None
        while True:
            query = f"?limit={page}" + (f"&before={before}" if before else "")
            entries = json.loads(self._ask("GET", f"{self._path(resource)}/log{query}", {}, None)[2])
            yield from entries
            if len(entries) < page:
                return
            before = entries[-1]["seq"]

    def is_ready(self) -> bool:
        """Whether its catalog and blob store answer."""
        try:
            self._ask_once("GET", "/readyz", {}, None)
            return True
        except (Problem, OSError):
            return False

    @staticmethod
    def _path(resource: str) -> str:
        """`TYPE/ID` or `NAMESPACE:TYPE/ID`, each part encoded, so that a `/` in an id stays in it."""
        kind, _, name = resource.partition("/")
        namespace, colon, kind_only = kind.partition(":")
        parts = (namespace, kind_only, name) if colon else ("default", kind, name)
        return "/v1/" + "/".join(urllib.parse.quote(part, safe="") for part in parts)

    def _ask(self, method: str, path: str, headers: dict, body: bytes | None):
        pause = 0.1
        for tried in range(1, self._tries + 1):
            try:
                return self._ask_once(method, path, headers, body)
            except Problem as problem:
                if problem.status != 503 or tried == self._tries:
                    raise
                wait = problem.retry_after or pause
            except (ConnectionError, urllib.error.URLError):
                # A server that is starting, or was restarted in the middle.
                if tried == self._tries:
                    raise
                wait = pause
            time.sleep(wait * random.uniform(0.5, 1.5))
            pause = min(2 * pause, 5.0)

    def _ask_once(self, method: str, path: str, headers: dict, body: bytes | None):
        request = urllib.request.Request(self._url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_seconds) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            raise problem_of(error) from None


def problem_of(error: urllib.error.HTTPError) -> Problem:
    """The server's words, or those of whatever stands between."""
    body = error.read()
    code, detail = "other", body.decode("utf-8", "replace") or error.reason
    if error.headers.get("content-type", "").startswith("application/problem+json"):
        document = json.loads(body)
        code, detail = document["code"], document["detail"]
    kind = {404: NotFound, 410: NotFound, 409: Conflict, 412: Conflict}.get(error.code, Problem)
    problem = kind(error.code, code, detail)
    retry_after = error.headers.get("retry-after", "")
    problem.retry_after = float(retry_after) if retry_after.isdigit() else None
    return problem


def append(client: Client, resource: str, line: str) -> int:
    """Add a line to a text, whoever else does the same; how often another was first."""
    lost = 0
    while True:
        try:
            before = client.get(resource)
            client.put(resource, before.content + line.encode() + b"\n", before.media_type, if_match=before.etag)
            return lost
        except NotFound:
            try:
                client.put(resource, line.encode() + b"\n", "text/plain", if_absent=True)
                return lost
            except Conflict:
                lost += 1
        except Conflict:
            lost += 1


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print("usage: python3 floret_client.py URL [RESOURCE]", file=sys.stderr)
        return 2
    client = Client(sys.argv[1])
    resource = sys.argv[2] if len(sys.argv) == 3 else "literature/guest-book"
    try:
        writers = [
            threading.Thread(target=append, args=(client, resource, f"guest {number}")) for number in range(8)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        latest = client.get(resource)
        lines = latest.content.decode().splitlines()
        print(f"{resource}@{latest.seq} has {len(lines)} lines of {len(set(lines))} guests")
        for entry in client.log(resource, page=3):
            print(f"  @{entry['seq']} {entry['version']} {entry['size_bytes']} bytes")
        # A version stays as it was.
        print(f"@1 says {client.get(resource, seq=1).content.decode().strip()!r}")
        try:
            client.put(resource, b"too late", if_match=1)
        except Conflict as conflict:
            print(f"refused: {conflict}")
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
