"""What a run is, told through HTTP: parameters in, result and logs out."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from tests.skep import Client


async def test_the_two_curls_of_the_readme(client: Client, workspace: str) -> None:
    body = {"functions": {"hello": {"code": 'return "Hello " + name;', "parameters": {"name": {"type": "string"}}}}}
    deployed = await client.call("POST", f"/v2/functions/{workspace}", json=body)
    assert (deployed.status, deployed.body) == (200, body)
    answer = await client.run(workspace, "hello", name="world")
    assert answer.status == 200
    assert set(answer.body) == {"result", "logs", "duration"}
    assert (answer.body["result"], answer.body["logs"]) == ("Hello world", [])
    assert answer.body["duration"] >= 0
    assert answer.headers["x-run-id"]


async def test_functions_call_each_other(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"funcA": 'return "world"', "funcB": 'return "hello " + (await funcA())'})
    assert (await client.run(workspace, "funcB")).result == "hello world"


async def test_siblings_take_arguments_by_position_by_keyword_and_by_default(client: Client, workspace: str) -> None:
    parameters = {"a": {"type": "number"}, "b": {"default": 10}, "c": {}}
    await client.deploy(
        workspace,
        {
            "add": {"code": "return [a, b, c]", "parameters": parameters},
            "calls": "return [await add(1, 2, 3), await add(1, c=3), await add(a=1, b=5)]",
            "wrong": "return await add(1, d=4)",
        },
    )
    assert (await client.run(workspace, "calls")).result == [[1, 2, 3], [1, 10, 3], [1, 5, None]]
    wrong = await client.run(workspace, "wrong")
    assert wrong.status == 500
    assert wrong.body["details"]["type"] == "TypeError"
    assert "'d'" in wrong.body["message"]


async def test_the_cache_is_shared_by_functions_and_kept_across_runs(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"count": 'cache["n"] = cache.get("n", 0) + 1', "read": 'return cache["n"]'})
    for _ in range(3):
        await client.run(workspace, "count")
    assert (await client.run(workspace, "read")).result == 3


@pytest.mark.parametrize("waits", ["", "import asyncio\nawait asyncio.sleep(0)\n"])
async def test_what_a_generator_says_when_it_is_let_go_is_in_the_logs(
    client: Client, workspace: str, waits: str
) -> None:
    """The traceback holds it until the run has ended; whether the run has waited for anything makes no difference."""
    code = f"""{waits}
def numbers():
    try:
        yield 1
    finally:
        print("let go")
kept = numbers()
next(kept)
raise ValueError
"""
    answer = await client.inline(workspace, code)
    assert answer.body["error"] == "FunctionError"
    assert answer.messages == ["let go"]


async def test_an_async_generator_that_is_let_go_is_closed_when_python_would_close_it(
    client: Client, workspace: str
) -> None:
    code = """
import asyncio
async def numbers():
    try:
        yield 1
    finally:
        print("let go")
kept = numbers()
await anext(kept)
del kept
for turn in range(3):
    print(turn)
    await asyncio.sleep(0)
"""
    assert (await client.inline(workspace, code)).messages == ["0", "1", "let go", "2"]


async def test_300_concurrent_runs_keep_their_logs_apart(client: Client, workspace: str) -> None:
    code = """
import asyncio
for step in range(3):
    print(me, step)
    await asyncio.sleep(0.001 * (me % 7))
log.info("end", me=me)
return me
"""
    await client.deploy(workspace, {"chatty": {"code": code, "parameters": {"me": {"type": "integer"}}}})
    answers = await asyncio.gather(*(client.run(workspace, "chatty", me=me) for me in range(300)))
    for me, answer in enumerate(answers):
        assert answer.result == me
        assert answer.messages == [f"{me} 0", f"{me} 1", f"{me} 2", "end"]
        assert answer.body["logs"][-1]["me"] == me


async def test_a_log_entry_has_time_level_message_and_its_fields(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"f": 'print("a", 1)\nlog.warning("careful", user="ada", level="mine")'})
    first, second = (await client.run(workspace, "f")).body["logs"]
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {"level": "info", "message": "a 1"}
    second.pop("time")
    assert second == {"level": "warning", "message": "careful", "user": "ada", "level_": "mine"}


async def test_output_after_the_run_goes_nowhere(client: Client, workspace: str) -> None:
    code = """
import asyncio
async def later():
    await asyncio.sleep(0.05)
    print("too late")
    cache["late"] = True
asyncio.create_task(later())
print("in time")
"""
    await client.deploy(workspace, {"f": code, "late": 'return cache.get("late", False)'})
    assert (await client.run(workspace, "f")).messages == ["in time"]
    again = await client.run(workspace, "f")
    assert again.messages == ["in time"]
    assert (await client.run(workspace, "late")).result is False


@pytest.mark.parametrize(
    ("parameters", "sent", "expected"),
    [
        ({"n": {"type": "integer"}}, {"n": 3}, {"n": 3}),
        ({"n": {"type": "integer"}}, {"n": 3.0}, {"n": 3.0}),
        ({"n": {"type": "integer", "default": 7}}, {}, {"n": 7}),
        ({"n": {"type": "integer"}}, {}, {"n": None}),
        ({"n": {"type": "integer", "required": False}}, {}, {"n": None}),
        ({"o": {"type": "object", "required": ["x"]}}, {"o": {"x": 1}}, {"o": {"x": 1}}),
        ({"from": {"type": "string"}}, {"from": "here"}, {"from": "here"}),
        ({"day": {"type": "string", "format": "date"}}, {"day": "2024-02-29"}, {"day": "2024-02-29"}),
    ],
)
async def test_parameters_that_fit(
    client: Client, workspace: str, parameters: dict[str, object], sent: dict[str, object], expected: object
) -> None:
    await client.deploy(workspace, {"f": {"code": "return parameters", "parameters": parameters}})
    assert (await client.run(workspace, "f", **sent)).result == expected


@pytest.mark.parametrize(
    ("parameters", "sent", "paths"),
    [
        ({"n": {"type": "integer"}}, {"n": "3"}, ["parameters.n"]),
        ({"n": {"type": "integer", "required": True}}, {}, ["parameters.n"]),
        ({"n": {}}, {"m": 1, "o": 2}, ["parameters.m", "parameters.o"]),
        ({"o": {"type": "object", "required": ["x"]}}, {"o": {}}, ["parameters.o"]),
        ({"l": {"items": {"type": "string"}}}, {"l": ["a", 1, 2]}, ["parameters.l.1", "parameters.l.2"]),
        ({"a": {"type": "string"}, "b": {"minimum": 5}}, {"a": 1, "b": 2}, ["parameters.a", "parameters.b"]),
        ({"day": {"type": "string", "format": "date"}}, {"day": "2023-02-29"}, ["parameters.day"]),
    ],
)
async def test_parameters_that_do_not_fit_are_all_named(
    client: Client, workspace: str, parameters: dict[str, object], sent: dict[str, object], paths: list[str]
) -> None:
    await client.deploy(workspace, {"f": {"code": "return 1", "parameters": parameters}})
    answer = await client.run(workspace, "f", **sent)
    assert (answer.status, answer.body["error"]) == (400, "RequestValidationError")
    assert sorted(problem["path"] for problem in answer.body["details"]) == paths


async def test_a_default_belongs_to_one_run(client: Client, workspace: str) -> None:
    parameters: dict[str, Any] = {"items": {"default": []}}
    await client.deploy(workspace, {"f": {"code": "items.append(1)\nreturn items", "parameters": parameters}})
    assert [(await client.run(workspace, "f")).result for _ in range(3)] == [[1], [1], [1]]


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("return float('nan')", None),
        ("return [float('inf'), -float('inf')]", [None, None]),
        ("return (1, 2)", [1, 2]),
        ("return {3, 1, 2}", [1, 2, 3]),
        ("return {1: 'a', None: 'b'}", {"1": "a", "null": "b"}),
        ("import datetime\nreturn datetime.date(2024, 2, 29)", "2024-02-29"),
        ("import decimal\nreturn decimal.Decimal('1.10')", "1.10"),
        ("import uuid\nreturn uuid.UUID(int=0)", "00000000-0000-0000-0000-000000000000"),
        ("return 2 ** 100", 2**100),
        ("result = 5", 5),
        ("# only a comment", None),
        ("", None),
        ("import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\nreturn P(1)", {"x": 1}),
        ("return env['GREETING']", "hi"),
        ("return [context.workspace == name, context.function]", [True, "f"]),
        ("return 0 < context.remaining_ms() <= 20000", True),
    ],
)
async def test_results_have_their_documented_form(client: Client, workspace: str, code: str, result: object) -> None:
    parameters = {"name": {"type": "string"}}
    await client.deploy(workspace, {"f": {"code": code, "parameters": parameters}}, env={"GREETING": "hi"})
    assert (await client.run(workspace, "f", name=workspace)).result == result


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("return {'a': [1, object()]}", "result.a[1]"),
        ("return b'x'", "result"),
        ("x = []\nx.append(x)\nreturn x", "result"),
        ("return lambda: 1", "result"),
    ],
)
async def test_what_has_no_json_form_is_named(client: Client, workspace: str, code: str, path: str) -> None:
    await client.deploy(workspace, {"f": code})
    answer = await client.run(workspace, "f")
    assert (answer.status, answer.body["error"]) == (500, "FunctionError")
    assert path in answer.body["message"]


async def test_an_error_points_at_the_line_its_author_wrote(client: Client, workspace: str) -> None:
    code = 'text = """one\n\ttwo\n"""\ndef inner(n):\n    return 1 / n\nprint("ä")\nreturn inner(0)\n'
    await client.deploy(workspace, {"f": code, "g": "return await f()"})
    answer = await client.run(workspace, "g")
    assert (answer.status, answer.body["error"]) == (500, "FunctionError")
    details = answer.body["details"]
    assert (details["type"], details["function"], details["line"]) == ("ZeroDivisionError", "f", 5)
    assert "line 7" in details["traceback"]
    assert "site-packages" not in details["traceback"]
    assert "sandbox" not in details["traceback"]
    assert answer.messages == ["ä"]
    assert answer.body["duration"] >= 0


async def test_crlf_code_keeps_its_lines(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"f": "x = 1\r\ny = 0\r\nreturn x / y\r\n"})
    assert (await client.run(workspace, "f")).body["details"]["line"] == 3


async def test_an_inline_run_sees_functions_and_cache(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"double": {"code": "return 2 * n", "parameters": {"n": {}}}})
    answer = await client.inline(workspace, "cache['x'] = await double(n)\nreturn cache['x'] + n", n=4)
    assert answer.result == 12
    assert (await client.inline(workspace, "return cache['x']")).result == 8


async def test_an_inline_run_needs_no_workspace(client: Client, workspace: str) -> None:
    assert (await client.inline(workspace, "return a + b", a=1, b=2)).result == 3
    assert (await client.call("GET", f"/v2/functions/{workspace}")).status == 404


async def test_refused_inline_code_is_a_compilation_error(client: Client, workspace: str) -> None:
    answer = await client.inline(workspace, "x = 1\nreturn x.__globals__")
    assert (answer.status, answer.body["error"]) == (400, "CompilationError")
    assert [error["line"] for error in answer.body["details"]["errors"]] == [2]


async def test_logs_beyond_their_limit_are_counted(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"f": "for i in range(30):\n    print('x' * 100_000)\nreturn 1"})
    answer = await client.run(workspace, "f")
    assert answer.result == 1
    assert "dropped" in answer.messages[-1]
    kept = len(answer.messages) - 1
    assert f"{30 - kept} " in answer.messages[-1]


async def test_a_result_beyond_its_limit_is_an_error(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"f": "return 'x' * 9_000_000"})
    answer = await client.run(workspace, "f")
    assert (answer.status, answer.body["error"]) == (500, "FunctionError")
    assert "8388608" in answer.body["message"]


async def test_a_run_that_needs_too_much_memory_fails_alone(client: Client, workspace: str) -> None:
    await client.deploy(
        workspace, {"big": "return [0] * 10**10", "keep": "cache['k'] = 1", "kept": "return cache['k']"}
    )
    await client.run(workspace, "keep")
    answer = await client.run(workspace, "big")
    assert (answer.status, answer.body["error"]) == (500, "MemoryExceeded")
    assert (await client.run(workspace, "kept")).result == 1


async def test_timing_tells_a_cold_run_from_a_warm_one(client: Client, workspace: str) -> None:
    cold = await client.inline(workspace, "return 1")
    warm = await client.inline(workspace, "return 1")
    assert "cold;dur=" in cold.headers["server-timing"]
    assert "cold;dur=" not in warm.headers["server-timing"]
    assert "run;dur=" in warm.headers["server-timing"]
    assert "queue;dur=" in warm.headers["server-timing"]
