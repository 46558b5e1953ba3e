"""The workspaces that the benchmarks deploy and the requests that run them."""

from typing import Final

from bench.wire import Connection, build_request

RUN_BODY: Final = {"parameters": {"name": "world"}}
GREETING: Final = (b'{"result":"Hello world"', b'{"result": "Hello world"')
"""How the answer to `RUN_BODY` begins; spaces are the server's choice."""

PARAMETERS: Final = {"name": {"type": "string"}}
HELLO: Final = {"functions": {"hello": {"code": 'return "Hello " + name', "parameters": PARAMETERS}}}

# Greets in a new worker only: the proof that a start was cold comes from the cache, not from what the service says.
HELLO_ONCE: Final = {
    "functions": {
        "hello": {
            "code": 'if cache:\n    return "warm"\ncache["met"] = True\nreturn "Hello " + name',
            "parameters": PARAMETERS,
        }
    }
}

# Takes time and no processor.
WAIT: Final = 'import asyncio\nawait asyncio.sleep(0.02)\nreturn "Hello " + name'
_LOOPS_PER_MS: Final = 30_000
"""About, on the machine these benchmarks were written on; what is compared with what does the same number."""


def burn(about_ms: int) -> str:
    """The body of a function that keeps a processor busy."""
    return f'total = 0\nfor number in range({about_ms * _LOOPS_PER_MS}):\n    total += number\nreturn "Hello " + name'


def deploy(connection: Connection, workspace: str, document: object) -> None:
    """Create or replace a workspace. Raises: MeasureError unless it is accepted."""
    connection.ask("POST", f"/v2/functions/{workspace}", document)


def run_request(port: int, workspace: str) -> bytes:
    """The request that runs `hello` of a workspace."""
    path = f"/v2/functions/{workspace}/run/hello"
    return build_request(port=port, method="POST", path=path, document=RUN_BODY)


def floor_request(port: int) -> bytes:
    """The same body for the floor."""
    return build_request(port=port, method="POST", path="/echo", document=RUN_BODY)
