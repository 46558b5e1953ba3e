"""Access without a key: for this machine, and not for what a browser on it is made to send."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.errors import Forbidden
from service.http.local import check_local
from tests.keyed import call
from tests.skep import Client


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:4000"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "[::1]:4000"}, 200),
        ({"Host": "skep:4000"}, 200),
        ({"Host": "app.localhost"}, 200),
        ({"Host": "rebound.example:4000"}, 403),
        ({"Host": "localhost.rebound.example"}, 403),
        ({"Host": "127.0.0.1.rebound.example"}, 403),
        ({"Host": "localhost."}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://127.0.0.1:3000"}, 200),
        ({"Origin": "http://[::1]"}, 200),
        ({"Origin": "https://page.example"}, 403),
        ({"Origin": "http://localhost.page.example"}, 403),
        ({"Origin": "http://localhost@page.example"}, 403),
        ({"Origin": "http://192.0.2.1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
    ],
)
async def test_no_page_of_elsewhere_comes_in(client: Client, headers: dict[str, str], status: int) -> None:
    answer = await call(client, "GET", "/v2/functions?limit=1", headers)
    assert answer.status == status
    for path in ("/v2/functions/nowhere/run/f", "/v2/functions/nowhere/run"):
        ran = await call(client, "POST", path, headers, {})
        assert (ran.status == 403) == (status == 403)


@pytest.mark.parametrize(
    ("ours", "is_let_in"),
    [
        (("127.0.0.1", 4000), True),
        (("127.9.9.9", 4000), True),
        (("::1", 4000, 0, 0), True),
        (("::ffff:127.0.0.1", 4000, 0, 0), True),
        ("/run/skep.sock", True),
        (("192.0.2.1", 4000), False),
        (("2001:db8::1", 4000, 0, 0), False),
    ],
)
def test_in_another_application_each_connection_is_looked_at(ours: object, is_let_in: bool) -> None:
    request = _request(ours)
    if is_let_in:
        check_local(request, is_on_loopback=False)
    else:
        with pytest.raises(Forbidden):
            check_local(request, is_on_loopback=False)


class _Transport:
    """A connection of which only our own address is known."""

    def __init__(self, ours: object) -> None:
        self._ours = ours

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._ours if name == "sockname" else default

    def is_closing(self) -> bool:
        return False


def _request(ours: object) -> web.Request:
    return make_mocked_request("GET", "/", transport=_Transport(ours))
