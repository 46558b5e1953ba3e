"""Connections are made to addresses; the certificate is checked against the name, and the server is told the name."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvloop

from service.broker.egress import open_egress
from service.domain.addresses import Address
from service.domain.egress import Policy, parse_rules
from service.domain.fetching import Allowance, Budget, Failure, FetchRequest, Response

OPENSSL = shutil.which("openssl")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of good.example and 127.0.0.1, and its key. Made anew, so that none in the repository expires."""
    if OPENSSL is None:
        pytest.skip("no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", str(path))
    names = ("-subj", "/CN=test", "-addext", "subjectAltName=DNS:good.example,IP:127.0.0.1")
    made = subprocess.run([OPENSSL, "req", "-x509", *key, *names], check=True, capture_output=True)  # openssl
    with path.open("ab") as file:
        file.write(made.stdout)
    return path


class _Server:
    def __init__(self) -> None:
        self.port = 0
        self.names: list[str | None] = []
        """That were asked for, one for each handshake."""

    @asynccontextmanager
    async def serving(self, certificate: Path) -> AsyncIterator[None]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(OK)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize(
    ("trusted", "expected"),
    [(True, [("good.example", "", "good.example"), ("127.0.0.1", "", None),
             ("bad.example", "mismatch", "bad.example"), ("good.example", "", "kept")]),
     (False, [("good.example", "self-signed", "good.example"), ("127.0.0.1", "self-signed", None)])],
)  # fmt: skip
def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    monkeypatch: pytest.MonkeyPatch,
    certificate: Path,
    run: Callable[[Coroutine[Any, Any, None]], None],
    *,
    trusted: bool,
    expected: list[tuple[str, str, str | None]],
) -> None:
    context = ssl.create_default_context(cafile=str(certificate) if trusted else None)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", context)

    async def resolve(_host: str) -> tuple[Address, ...]:
        return (ip_address("127.0.0.1"),)

    async def fetch_all() -> None:
        policy, server = Policy(allow=parse_rules(["127.0.0.1:*", "*:*"])), _Server()
        async with (
            server.serving(certificate),
            open_egress(policy, resolve=resolve, response_max_bytes=2**16, redirects_max=1) as egress,
        ):
            for host, problem, name in expected:
                url = f"https://{host}:{server.port}/"
                server.names.clear()
                answer = await egress.fetch(
                    FetchRequest("w", None, "r", "GET", url, [], b"", 5), Allowance(Budget(2**20))
                )
                assert server.names == ([] if name == "kept" else [name])
                if problem:
                    assert isinstance(answer, Failure)
                    assert f"the certificate of {host} is not valid" in answer.message
                    assert problem in answer.message
                else:
                    assert isinstance(answer, Response), answer

    run(fetch_all())
