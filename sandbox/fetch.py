"""`fetch`, as functions have it in scope: arguments to one request, and the answer to a `Response` or an exception.

Workers have no sockets. The service fetches on their behalf, under the operator's egress policy.
"""

import math
from typing import Any, Final
from urllib.parse import urlencode

from sandbox.closed import Closed
from sandbox.expired import RunExpired
from sandbox.fetches import Fetches, RunFetches
from sandbox.protocol import Fetched, header_problem, method_problem
from sandbox.protocol.fetches import HEADERS_MAX, HEADERS_MAX_CHARACTERS, TIMEOUT_MAX_MS, URL_MAX_CHARACTERS
from sandbox.python.plain_values import ResultRefused
from sandbox.python.tracebacks import type_name
from sandbox.python.values import encode_result
from sandbox.response import FetchError, FetchTimeout, Response
from sandbox.runs import RUNNING

_MS: Final = 1000
Pairs = list[tuple[str, str]]


class Fetch(Closed):
    """`await fetch(url)`."""

    __slots__ = ("_fetches",)

    _fetches: Fetches

    def __init__(self, fetches: Fetches) -> None:
        object.__setattr__(self, "_fetches", fetches)

    async def __call__(  # noqa: PLR0913  # as everybody knows it from other clients
        self,
        url: str,
        method: str = "GET",
        *,
        headers: object = None,
        params: object = None,
        json: object = None,
        data: object = None,
        timeout: object = None,  # noqa: ASYNC109  # it is passed on to the service
    ) -> Response:
        """One request, redirects followed; `timeout` in seconds.

        Raises: FetchError (an OSError; TimeoutError when it took too long), TypeError and ValueError for arguments
        that cannot be sent.
        """
        run = RUNNING.run
        if run is None or run.expired:
            raise RunExpired
        limits = self._fetches.limits
        verb = _text("method", method).upper()
        problem = method_problem(verb)
        if problem is not None:
            raise ValueError(f"method {problem}")
        given = _headers(headers)
        body = _body(given, json, data, max_bytes=limits.body_max_bytes)
        address = _address(url, params)
        timeout_ms = _timeout_ms(timeout)
        if run.fetches is None:
            run.fetches = RunFetches()
        if run.fetches.count >= limits.count:
            raise FetchError(f"a run may fetch {limits.count} times, and this one has", "refused")
        run.fetches.count += 1
        answer = await self._fetches.exchange(
            run.number, run.fetches, method=verb, url=address, headers=given, body=body, timeout_ms=timeout_ms
        )
        if isinstance(answer, Fetched):
            return Response(answer, max_bytes=limits.response_max_bytes)
        raise (FetchTimeout if answer.reason == "timeout" else FetchError)(answer.message, answer.reason)

    def __repr__(self) -> str:
        return "<fetch>"


def _text(name: str, value: object) -> str:
    if not issubclass(type(value), str):
        raise TypeError(f"{name} must be a string, not {type_name(value)}")
    return str.__str__(value)


def _written(name: str, value: object) -> str:
    """The text of what stands for itself in a query, a form or a header."""
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return str(value)
    return _text(name, value)


def _pairs(name: str, value: object) -> Pairs:
    """A dict, or pairs in a list or tuple; a value that is a list stands for several."""
    kind = type(value)
    items: list[Any]
    if issubclass(kind, dict):
        items = list(dict.items(value))  # type: ignore[arg-type]  # it is a dict
    elif kind is list or kind is tuple:
        items = list(value)  # type: ignore[call-overload]  # it is one of the two
    else:
        raise TypeError(f"{name} must be a dict, not {type_name(value)}")
    found: Pairs = []
    for item in items:
        if type(item) is not tuple or len(item) != 2:  # noqa: PLR2004
            raise TypeError(f"{name} must be a dict or a list of pairs")
        key = _text(f"a name in {name}", item[0])
        several = item[1] if type(item[1]) is list or type(item[1]) is tuple else [item[1]]
        found += [(key, _written(f"{name}[{key[:80]!r}]", one)) for one in several]
    return found


def _headers(headers: object) -> Pairs:
    found = [] if headers is None else _pairs("headers", headers)
    if len(found) > HEADERS_MAX or sum(len(name) + len(value) for name, value in found) > HEADERS_MAX_CHARACTERS:
        raise ValueError(f"there may be {HEADERS_MAX} headers of {HEADERS_MAX_CHARACTERS} characters together")
    found = [(name, value.strip(" \t")) for name, value in found]
    for name, value in found:
        problem = header_problem(name, value)
        if problem is not None:
            raise ValueError(f"headers: {problem}")
    return found


def _address(url: object, params: object) -> str:
    address = _text("url", url)
    if params is not None:
        query = _urlencoded("params", params)
        before, mark, fragment = address.partition("#")
        joint = "" if not query or before.endswith(("?", "&")) else "&" if "?" in before else "?"
        address = f"{before}{joint}{query}{mark}{fragment}"
    if len(address) > URL_MAX_CHARACTERS:
        raise ValueError(f"url has more than {URL_MAX_CHARACTERS} characters")
    _characters("url", address)
    return address


def _body(headers: Pairs, json: object, data: object, *, max_bytes: int) -> bytes:
    """The body; adds its type to the headers unless one is given."""
    if json is not None and data is not None:
        raise TypeError("json and data are both the body: give one of them")
    kind = type(data)
    body, content_type = b"", ""
    if json is not None:
        try:
            body, content_type = encode_result(json, max_bytes=max_bytes), "application/json"
        except ResultRefused as refused:
            path = f"json{refused.path.removeprefix('result')}"
            raise ValueError(f"{path} {refused.message}") from None
    elif issubclass(kind, bytes):
        body = bytes.__getitem__(data, slice(None))  # type: ignore[call-overload]  # it is bytes
    elif issubclass(kind, bytearray):
        body = bytes(bytearray.__getitem__(data, slice(None)))  # type: ignore[call-overload]  # it is a bytearray
    elif issubclass(kind, str):
        body, content_type = _characters("data", str.__str__(data)), "text/plain; charset=utf-8"
    elif data is not None:
        body, content_type = _urlencoded("data", data).encode(), "application/x-www-form-urlencoded"
    if len(body) > max_bytes:
        raise ValueError(f"the body has {len(body)} bytes; {max_bytes} are the most")
    if content_type and all(name.lower() != "content-type" for name, _ in headers):
        headers.append(("Content-Type", content_type))
    return body


def _urlencoded(name: str, value: object) -> str:
    pairs = _pairs(name, value)
    for key, text in pairs:
        _characters(name, key + text)
    return urlencode(pairs)


def _characters(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} has half of a surrogate pair in it, which is no character") from None


def _timeout_ms(timeout: object) -> int:
    """0 for as long as the service allows."""
    if timeout is None:
        return 0
    kind = type(timeout)
    if kind is not int and kind is not float:
        raise TypeError(f"timeout must be a number of seconds, not {type_name(timeout)}")
    seconds: float = timeout  # type: ignore[assignment]  # it is a number
    if math.isnan(seconds) or seconds <= 0:
        raise ValueError("timeout must be a number of seconds above 0")
    return max(1, int(min(seconds, TIMEOUT_MAX_MS / _MS) * _MS))
