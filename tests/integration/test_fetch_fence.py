"""What hostile code can do with `fetch` and what it returns: use it, and nothing else."""

import pytest

from tests.origin import Origin
from tests.skep import Client

HELD = [
    "fetch.own = 1",
    "del fetch.own",
    "fetch._fetches",
    "getattr(fetch, '_fetches')",
    "type(fetch)(None)",
    "(await fetch(url))._body",
    "r = await fetch(url)\nr.status = 500",
    "r = await fetch(url)\nr.headers['x'] = 'y'",
    "(await fetch(url)).headers._values",
    "type(await fetch(url))(None, max_bytes=1)",
    "fetch(url).send(None).get_loop()",
    "fetch(url).send(None).set_result(1)",
    "fetch(url).cr_frame",
]


@pytest.mark.parametrize("code", HELD)
async def test_nothing_leads_behind_it(fetching: Client, origin: Origin, code: str) -> None:
    answer = await fetching.inline("fence", code, url=f"{origin.url}/text")
    assert answer.status in {400, 500}, answer.body
    kind = answer.body["details"].get("type") or answer.body["error"]
    assert kind in {"AttributeError", "TypeError", "CompilationError", "NameError"}


BAD_ARGUMENTS = {
    "await fetch(1)": "TypeError: url must be a string, not int",
    "await fetch(None)": "TypeError: url must be a string, not NoneType",
    "await fetch(url, {'method': 'POST'})": "TypeError: method must be a string, not dict",
    "await fetch(url, 'G ET')": "ValueError: method must be a word of capital letters",
    "await fetch(url, 'CONNECT')": "ValueError: method must not be CONNECT",
    "await fetch(url, headers='a')": "TypeError: headers must be a dict, not str",
    "await fetch(url, headers={'a': None})": "TypeError: headers['a'] must be a string, not NoneType",
    "await fetch(url, headers={1: 'a'})": "TypeError: a name in headers must be a string, not int",
    "await fetch(url, headers={'a': 'x'} | {f'h{i}': '' for i in range(99)})": "ValueError: there may be 64 headers",
    "await fetch(url, params=[1])": "TypeError: params must be a dict or a list of pairs",
    "await fetch(url, json=object())": "ValueError: json has no JSON form",
    "await fetch(url, json={'a': [b'']})": "ValueError: json.a[0] has no JSON form",
    "await fetch(url, json=1, data=b'')": "TypeError: json and data are both the body",
    "await fetch(url, data=object())": "TypeError: data must be a dict, not object",
    "await fetch(url, data=bytes(2**20 + 1))": "ValueError: the body has 1048577 bytes; 1048576 are the most",
    "await fetch(url, data='\\ud800')": "ValueError: data has half of a surrogate pair",
    "await fetch(url + '\\ud800')": "ValueError: url has half of a surrogate pair",
    "await fetch(url + 'a' * 9000)": "ValueError: url has more than 8192 characters",
    "await fetch(url, timeout='1')": "TypeError: timeout must be a number of seconds, not str",
    "await fetch(url, timeout=0)": "ValueError: timeout must be a number of seconds above 0",
    "await fetch(url, timeout=float('nan'))": "ValueError: timeout must be a number of seconds above 0",
    "await fetch(url, timeout=True)": "TypeError: timeout must be a number of seconds, not bool",
    "await fetch(url, verify=False)": "TypeError: ",
    "await (await fetch(url)).json()": "",
}


@pytest.mark.parametrize(("code", "message"), BAD_ARGUMENTS.items())
async def test_a_bad_argument_is_told_to_its_author(fetching: Client, origin: Origin, code: str, message: str) -> None:
    answer = await fetching.inline("fence", code, url=f"{origin.url}/echo")
    assert answer.status == 500
    assert answer.body["message"].startswith(message)


HOSTILE = """
class Text(str):
    def __str__(self): return "x" * 10**6
    def __eq__(self, other): return True
    def __hash__(self): return 0
    def lower(self): return "y"
    def encode(self, *args): return b"z"

class Dict(dict):
    def items(self): return [("a\\r\\nb", "c")] * 100
    def __iter__(self): raise ValueError

class Bytes(bytes):
    def __len__(self): return 1
    def __getitem__(self, key): return b"z" * 10**7
"""


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("fetch(Text(url), Text('post'), data=Text('body'))", "body"),
        ("fetch(url, 'POST', headers=Dict({Text('a'): Text('b')}), data=Bytes(b'body'))", "body"),
        ("fetch(url, 'POST', data=Dict({Text('a'): Text('b')}))", "a=b"),
        ("fetch(url, 'POST', json=Dict({Text('a'): Text('b')}))", '{"a":"b"}'),
    ],
)
async def test_hostile_values_are_taken_for_what_they_are(
    fetching: Client, origin: Origin, call: str, body: str
) -> None:
    code = f"{HOSTILE}\nreturn (await {call}).json()"
    answer = await fetching.inline("fence", code, url=f"{origin.url}/echo")
    assert answer.result["body"] == body
    assert answer.result["method"] == "POST"


async def test_a_worker_lives_on_after_all_of_this(fetching: Client, origin: Origin) -> None:
    await fetching.inline("fence", "cache['here'] = 1")
    for code in HELD:
        await fetching.inline("fence", code, url=f"{origin.url}/text")
    assert (await fetching.inline("fence", "return cache['here']")).result == 1
