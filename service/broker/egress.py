"""Fetches on behalf of runs: every hop is parsed, resolved, held against the policy, and sent to what was checked."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from service.broker.client import Client, Hop, NotConnected, Received, Stopped, is_method_kept, open_client
from service.broker.fetch_log import FetchLog, Trail
from service.broker.resolver import Names, Resolve
from service.broker.shares import Shares
from service.broker.timeouts import Timeouts
from service.domain.addresses import Address
from service.domain.egress import Policy
from service.domain.fetching import Allowance, Failure, FetchRequest, Headers, Response
from service.domain.urls import Target, UrlRefused, parse_url, redirected

ADDRESSES_TRIED: Final = 4
_CREDENTIALS: Final = frozenset({"authorization", "cookie"})
_OF_A_BODY: Final = frozenset({"content-encoding", "content-language", "content-location", "content-type"})

_log = structlog.get_logger()


class Egress:
    """The broker for HTTP. Safe to ask from any number of tasks; whoever is cancelled takes its connection along."""

    def __init__(self, client: Client, policy: Policy, names: Names, log: FetchLog, *, redirects_max: int) -> None:
        self._client = client
        self._policy = policy
        self._names = names
        self._fetch_log = log
        self._redirects_max = redirects_max
        self._timeouts = Timeouts()
        self._shares = Shares()

    def close(self) -> None:
        """Nobody asks any more."""
        self._timeouts.close()

    async def fetch(self, request: FetchRequest, allowance: Allowance) -> Response | Failure:
        """One fetch, redirects followed, within its time. One line in the log, whatever becomes of it."""
        trail = Trail()
        started = time.perf_counter()
        answer: Response | Failure | None = None
        try:
            async with self._timeouts.within(request.timeout_s):
                answer = await self._within_share(request, trail, allowance)
        except TimeoutError:
            answer = Failure("timeout", f"no response from {trail.host or 'anywhere'} within {request.timeout_s:.3g} s")
        except Stopped as stopped:
            answer = Failure(stopped.kind, stopped.message)
        except Exception:  # noqa: BLE001  # the worker waits for an answer, and this is the last to know of it
            _log.exception(
                "fetch failed", workspace=request.workspace, run=request.run_id, host=request.hide(trail.host)
            )
            trail.reason = "an error of the service"
            answer = Failure("failed", "the service could not fetch this")
        finally:
            self._fetch_log.record(request, trail, answer, (time.perf_counter() - started) * 1000)
        return answer

    async def _within_share(self, request: FetchRequest, trail: Trail, allowance: Allowance) -> Response:
        if not self._shares.take(request.workspace):
            trail.reason = "too many fetches under way"
            raise Stopped("failed", "the service is too busy for more fetches of this workspace: try again in a moment")
        try:
            return await self._follow(request, trail, allowance)
        finally:
            self._shares.give_back(request.workspace)

    async def _follow(self, request: FetchRequest, trail: Trail, allowance: Allowance) -> Response:
        try:
            target = parse_url(request.url)
        except UrlRefused as refused:
            trail.reason = "the URL cannot be read"
            raise Stopped("refused", str(refused)) from None
        method, headers, body = request.method, request.headers, request.body
        while True:
            trail.host = target.authority
            hop = Hop(request.workspace, method, target, headers, body)
            received = await self._send(hop, request, trail, allowance)
            if received.location is None or not request.follows_redirects:
                return Response(received.status, target.url, received.headers, received.body)
            trail.redirects += 1
            if trail.redirects > self._redirects_max:
                trail.reason = "too many redirects"
                raise Stopped("failed", f"more than {self._redirects_max} redirects, the last one to {target.host}")
            before, target = target, _redirect(target, received.location, trail)
            if not is_method_kept(received.status, method):
                method, body, headers = "GET", b"", _without(headers, _OF_A_BODY)
            if target.origin != before.origin:
                headers = _without(headers, _CREDENTIALS)

    async def _send(self, hop: Hop, request: FetchRequest, trail: Trail, allowance: Allowance) -> Received:
        addresses = await self._checked(hop.target, request, trail)
        reason = ""
        for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            try:
                return await self._client.send(hop, address, allowance, hurry=left > 0)
            except NotConnected as error:
                reason = str(error)
        trail.reason = "no connection"
        raise Stopped("failed", f"no connection to {hop.target.authority}: {reason}")

    async def _checked(self, target: Target, request: FetchRequest, trail: Trail) -> list[Address]:
        """The addresses that the next connection may go to. Raises: Stopped if there are none."""
        network = request.network
        if target.address is not None:
            problem = self._policy.literal_problem(target.host, target.port, network)
            if problem is not None:
                raise _refused(problem, trail)
            return [target.address]
        problem = self._policy.host_problem(target.host, target.port, network)
        if problem is not None:
            raise _refused(problem, trail)
        try:
            found = await self._names.addresses(target.host, workspace=request.workspace)
        except OSError as error:
            reason = error.strerror or str(error) or "nobody knows it"
            trail.reason = "the name cannot be resolved"
            raise Stopped("failed", f"the name {target.host} cannot be resolved: {reason}") from None
        allowed: list[Address] = []
        for address in found:
            problem = self._policy.address_problem(target.host, address, target.port, network)
            if problem is None:
                allowed.append(address)
        if not allowed:
            raise _refused(problem or f"the name {target.host} has no address", trail)
        return allowed[:ADDRESSES_TRIED]


@asynccontextmanager
async def open_egress(
    policy: Policy, *, resolve: Resolve, response_max_bytes: int, redirects_max: int
) -> AsyncIterator[Egress]:
    """Fetch for others; on exit every connection is closed and every line of the log written."""
    names, log = Names(resolve), FetchLog()
    async with open_client(response_max_bytes=response_max_bytes) as client:
        egress = Egress(client, policy, names, log, redirects_max=redirects_max)
        try:
            yield egress
        finally:
            log.flush()
            egress.close()
            await names.close()


def _redirect(target: Target, location: str, trail: Trail) -> Target:
    try:
        return redirected(target, location)
    except UrlRefused as refused:
        trail.reason = "the redirect leads to a URL that cannot be read"
        raise Stopped("refused", f"redirected by {target.host}: {refused}") from None


def _refused(problem: str, trail: Trail) -> Stopped:
    """As the policy says it, of the host, its address and the port, and nothing else: that may be in the log."""
    trail.reason = problem
    return Stopped("refused", problem)


def _without(headers: Headers, names: frozenset[str]) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in names]
