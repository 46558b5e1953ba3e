"""Every route for every kind of caller, as the table of routes has it: who is let in, and what the others are told."""

import json
import re
from typing import Literal

import pytest

from service.domain.access import MAY, Need
from service.http.route import Route
from service.http.routes import ROUTES
from tests.keyed import ABSENT, RIGHT, Keyed, Shown, call
from tests.skep import Answer, Client, client_of

Verdict = Literal["let in", "no key", "not this", "not there", "failed"]

NAMES = {"workspace": RIGHT, "function": "f"}
"""What is there. Whatever else a path may name is not, so that whoever is let in does no harm."""


def expected(route: Route, shown: Shown) -> Verdict:
    if route.needs is Need.PUBLIC:
        return "let in"
    if shown.role is None:
        return "no key"
    is_about_one = "{workspace}" in route.path
    if is_about_one and shown.reach == "wrong":
        return "not there"
    if route.needs not in MAY[shown.role] or not (is_about_one or route.is_filtered or shown.reach == "all"):
        return "not this"
    return "let in"


def verdict(answer: Answer) -> Verdict:
    if answer.status in {401, 403}:
        assert answer.body["error"] == {401: "AuthenticationError", 403: "ForbiddenError"}[answer.status]
        assert ("WWW-Authenticate" in answer.headers) == (answer.status == 401)
        return "no key" if answer.status == 401 else "not this"
    if answer.status == 404 and answer.body["message"] == _no_such(RIGHT):
        return "not there"
    return "let in" if answer.status < 500 else "failed"


async def ask(client: Client, route: Route, shown: Shown, workspace: str = RIGHT) -> Answer:
    """A request that changes nothing even where it is let in: half a body, under a condition that does not hold."""
    path = re.sub(
        r"\{(\w+)[^}]*\}", lambda found: {**NAMES, "workspace": workspace}.get(found[1], "nothing"), route.path
    )
    headers = {**shown.headers, "If-Match": '"nothing"', "Content-Type": "application/json"}
    body = b"[" if route.method in {"POST", "PUT", "PATCH"} else None
    return await client.call(route.method, path, headers=headers, data=body)


def _no_such(workspace: str) -> str:
    return f"There is no workspace named '{workspace}'."


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_who_is_let_in_at_this_route(keyed: Keyed, route: Route) -> None:
    wrong = {}
    async with client_of(keyed.skep) as client:
        for shown in keyed.shown:
            answer = await ask(client, route, shown)
            if verdict(answer) != expected(route, shown):
                wrong[shown.what] = (expected(route, shown), answer.status, answer.body)
    assert not wrong


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if "{workspace}" in route.path],
    ids=lambda route: f"{route.method} {route.path}",
)
async def test_a_workspace_one_may_not_see_is_as_one_that_is_not_there(keyed: Keyed, route: Route) -> None:
    async with client_of(keyed.skep) as client:
        for shown in keyed.shown:
            if shown.role is None or shown.reach != "wrong" or route.needs is Need.PUBLIC:
                continue
            there, absent = await ask(client, route, shown), await ask(client, route, shown, ABSENT)
            assert (there.status, absent.status) == (404, 404)
            assert json.dumps(there.body).replace(RIGHT, ABSENT) == json.dumps(absent.body)
            assert _alike(there) == _alike(absent)


def _alike(answer: Answer) -> dict[str, str]:
    """Headers, without what differs between any two answers."""
    apart = {"x-correlation-id", "date", "content-length"}
    return {name.lower(): value for name, value in answer.headers.items() if name.lower() not in apart}


async def test_a_workspace_that_is_not_there_is_told_in_the_same_words_to_who_may_see_it(keyed: Keyed) -> None:
    async with client_of(keyed.skep) as client:
        mine = await call(client, "GET", f"/v2/functions/{ABSENT}", keyed.by("admin all"))
        other = await call(client, "GET", f"/v2/functions/{ABSENT}", keyed.by("admin right"))
    assert (mine.status, mine.body, _alike(mine)) == (other.status, other.body, _alike(other))


async def test_a_malformed_name_is_a_400_to_who_may_know_of_it_and_a_404_to_others(keyed: Keyed) -> None:
    async with client_of(keyed.skep) as client:
        for name in ("%20", "a.b", "-a", "x" * 64):
            path = f"/v2/functions/{name}"
            assert (await call(client, "GET", path, keyed.by("read all"))).status == 400
            assert (await call(client, "GET", path, keyed.by("read right"))).status == 404
        # Within a prefix that the key covers there is nothing to hide.
        assert (await call(client, "GET", "/v2/functions/team-%20", keyed.by("read right"))).status == 400


def test_no_route_is_without_a_need() -> None:
    assert all(isinstance(route.needs, Need) for route in ROUTES)
    for route in ROUTES:
        if route.path.startswith(("/v2/keys", "/v2/audit")):
            assert route.needs is Need.ADMIN, route
        elif route.method != "GET":
            assert route.needs in {Need.RUN, Need.DEPLOY, Need.ADMIN}, route  # it may change something
    public = {route.path for route in ROUTES if route.needs is Need.PUBLIC}
    assert not {path for path in public if path.startswith(("/v2", "/metrics"))}


def test_the_roles_may_what_they_are_for() -> None:
    """Held here in other words than the table's, so that a slip in it is seen."""
    assert [role for role in MAY if Need.ADMIN in MAY[role]] == ["admin"]
    assert {role for role in MAY if Need.DEPLOY in MAY[role]} == {"admin", "deploy"}
    assert {role for role in MAY if Need.RUN in MAY[role]} == {"admin", "deploy", "run"}
    assert {role for role in MAY if Need.READ in MAY[role]} == {"admin", "deploy", "read"}


async def test_head_and_other_methods_open_nothing(keyed: Keyed) -> None:
    async with client_of(keyed.skep) as client:
        for route in ROUTES:
            if route.method == "GET" and route.needs is not Need.PUBLIC:
                path = re.sub(r"\{workspace\}", RIGHT, re.sub(r"\{(?!workspace)\w+[^}]*\}", "nothing", route.path))
                assert (await call(client, "HEAD", path)).status == 401
                assert (await call(client, "OPTIONS", path, {"Origin": "http://a.example"})).status == 405


async def test_the_list_shows_what_a_key_covers(keyed: Keyed) -> None:
    async with client_of(keyed.skep) as client:
        made = [f"{prefix}-{number}" for prefix in ("many", "team-list") for number in range(4)]
        for name in made:
            body = {"functions": {"f": {"code": "return 1"}}}
            assert (await call(client, "PUT", f"/v2/functions/{name}", keyed.by("admin all"), body)).status == 200
        assert await _listed(client, keyed, "read wrong") == []
        assert await _listed(client, keyed, "read right") == [*made[4:], RIGHT]
        assert set(made) < set(await _listed(client, keyed, "read all"))
        for name in made:
            assert (await call(client, "DELETE", f"/v2/functions/{name}", keyed.by("admin all"))).status == 204


async def _listed(client: Client, keyed: Keyed, who: str) -> list[str]:
    found, cursor = list[str](), ""
    while True:
        answer = await call(client, "GET", f"/v2/functions?limit=2{cursor}", keyed.by(who))
        items = [item["workspace"] for item in answer.body["items"]]
        found += items
        if "cursor" not in answer.body:
            return found
        assert len(items) == 2  # full pages, however much was left out between them
        cursor = f"&cursor={answer.body['cursor']}"


async def test_the_shortcut_past_the_router_is_as_closed_as_the_router(keyed: Keyed) -> None:
    run = f"/v2/functions/{RIGHT}/run/f"
    async with client_of(keyed.skep) as client:
        for shown in keyed.shown:
            # With an expectation it goes the ordinary way.
            answers = [
                await client.call("POST", run, headers=shown.headers, json={}, expect100=is_ordinary)
                for is_ordinary in (False, True)
            ]
            assert len({(answer.status, answer.body.get("message")) for answer in answers}) == 1
            is_good = shown.role in {"run", "deploy", "admin"} and shown.reach != "wrong"
            assert (answers[0].status == 200) == is_good
