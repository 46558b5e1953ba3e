"""What changes of workspaces have in common: who makes them, what they say about it, what is answered."""

import unicodedata
from collections.abc import Collection
from typing import Final

from aiohttp import web

from service.domain.keys import without_keys
from service.domain.values import shown
from service.errors import InvalidRequest, Problem
from service.http.access import actor_of
from service.http.representing import etag_header
from service.usecases.deploy import Deployed
from service.usecases.ledger import Origin

MESSAGE: Final = "x-deploy-message"
MESSAGE_MAX_CHARACTERS: Final = 500
REVISION: Final = "x-revision"


def origin_of(request: web.Request) -> Origin:
    """Who changes something, with what message. Raises: InvalidRequest."""
    message = request.headers.get(MESSAGE)
    if message is None:
        return Origin(actor_of(request))
    if len(message) > MESSAGE_MAX_CHARACTERS:
        problem = f"must have at most {MESSAGE_MAX_CHARACTERS} characters"
    elif any(unicodedata.category(char) in {"Cc", "Cs"} for char in message):
        problem = "must be text in UTF-8 without control characters"
    elif without_keys(message) != message:
        problem = "has a key in it, which would be kept for ever; revoke it"
    else:
        return Origin(actor_of(request), message or None)
    raise InvalidRequest([Problem(f"header.{MESSAGE}", problem)])


def is_dry_run(request: web.Request) -> bool:
    """Whether only to check. What is not understood is refused: a misspelt `dryRun` must not deploy."""
    problems = unknown_parameters(request, ("dryRun",))
    given = request.query.getall("dryRun", ["false"])
    if len(given) > 1 or given[0] not in {"true", "false"}:
        problems.append(Problem("query.dryRun", "must be true or false"))
    if problems:
        raise InvalidRequest(problems)
    return given[0] == "true"


def unknown_parameters(request: web.Request, offered: Collection[str]) -> list[Problem]:
    """Parameters of the query that mean nothing here."""
    offer = f"there is {', '.join(offered)}" if offered else "there are none"
    return [
        Problem(f"query.{shown(name)}", f"unknown parameter; {offer}")
        for name in dict.fromkeys(request.query.keys())
        if name not in offered
    ]


def deployed_headers(deployed: Deployed, etag: str | None) -> dict[str, str]:
    """The number of the new revision, beside the tag of what was addressed."""
    number = {} if deployed.number is None else {REVISION: str(deployed.number)}
    return {**({} if etag is None else etag_header(etag)), **number}
