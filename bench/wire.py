"""The little HTTP/1.1 that the benchmarks speak: requests built once, answers cut at their content length."""

import json
import re
import socket
from dataclasses import dataclass
from typing import Final, Self

from bench.errors import MeasureError

HOST: Final = "127.0.0.1"
ANSWER_TIMEOUT_S: Final = 30.0
HEAD_MAX_BYTES: Final = 64 * 1024

_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_STATUS_AT: Final = slice(9, 12)  # "HTTP/1.1 200 …"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    head: bytes
    body: bytes


def build_request(*, port: int, method: str, path: str, document: object = None) -> bytes:
    """A whole request in bytes, with `document` as its JSON body unless it is None."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n"
    if document is None:
        return f"{head}\r\n".encode()
    body = json.dumps(document).encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def cut_answer(data: bytes) -> Answer | None:
    """The response that `data` holds, or None while some of it is missing.

    Raises: MeasureError when these bytes can never become exactly one response with a content length.
    """
    head_end = data.find(_HEAD_END)
    if head_end < 0:
        if len(data) > HEAD_MAX_BYTES:
            raise MeasureError("a response whose headers do not end")
        return None
    length = _CONTENT_LENGTH.search(data, 0, head_end)
    if length is None:
        raise MeasureError(f"a response without a content length: {data[:200]!r}")
    body_start = head_end + len(_HEAD_END)
    missing = body_start + int(length[1]) - len(data)
    if missing > 0:
        return None
    if missing < 0:
        raise MeasureError(f"more than the one response that was asked for: {data[:200]!r}")
    return Answer(status=int(data[_STATUS_AT]), head=data[:head_end], body=data[body_start:])


class Connection:
    """A blocking keep-alive connection, for what is asked one at a time: deploys, cold starts, readiness."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.create_connection((HOST, port), timeout=ANSWER_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, request: bytes) -> Answer:
        """Send a request and wait for the whole of its response.

        Raises: MeasureError if it does not come within `ANSWER_TIMEOUT_S`.
        """
        try:
            self._socket.sendall(request)
            received = b""
            while True:
                data = self._socket.recv(1 << 16)
                if not data:
                    raise MeasureError("the server closed the connection instead of answering")
                received += data
                answer = cut_answer(received)
                if answer is not None:
                    return answer
        except OSError as error:
            raise MeasureError(f"no answer from port {self.port}: {error}") from error

    def ask(self, method: str, path: str, document: object = None) -> Answer:
        """One request that must be answered with 200. Raises: MeasureError if it is not."""
        answer = self.exchange(build_request(port=self.port, method=method, path=path, document=document))
        if answer.status != 200:
            raise MeasureError(f"{method} {path} was answered with {answer.status}: {answer.body[:500]!r}")
        return answer
