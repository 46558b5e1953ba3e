"""No known way out of the language leads anywhere, and each is red when its guard is taken out."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from sandbox.python import builtins, hardening, module_tables, module_wrappers, names, ownership, policy
from tests.aside import Aside, running_aside
from tests.escapes import fence_library, fence_names, fence_objects
from tests.escapes.room import NOTHING, REFUSED, Escape, read_escapes, run_escape
from tests.skep import Answer, Client, Skep, client_of
from tests.unit.bodies import refusal

ESCAPES = read_escapes()
GUARDS = [*fence_names.GUARDS, *fence_objects.GUARDS, *fence_library.GUARDS]


def expected(escape: Escape) -> str:
    """The outcome that `must` says, as `run_escape` has it."""
    return {"refuse": REFUSED, "nothing": NOTHING}.get(escape.must) or escape.must.removeprefix("raise ")


@pytest.mark.parametrize("identifier", ESCAPES)
def test_no_program_reaches_its_goal(identifier: str) -> None:
    escape = ESCAPES[identifier]
    assert run_escape(escape) == expected(escape)


@pytest.fixture(scope="module", autouse=True)
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aside]:
    """Every program where there is no sandbox."""
    with running_aside("tests.escapes.native", tmp_path_factory.mktemp("native")) as native:
        yield native


@pytest.fixture(scope="module", autouse=True)
def mutations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aside]:
    """Every guard taken out in its turn."""
    with running_aside("tests.escapes.mutations", tmp_path_factory.mktemp("mutations")) as mutations:
        yield mutations


async def test_in_a_worker_they_end_as_they_do_here(skep: Skep, workspace: str) -> None:
    programs = [escape for escape in ESCAPES.values() if not escape.in_process and escape.must]
    async with client_of(skep) as client:
        await client.deploy(workspace, {"sibling": "return 1"})
        # All at once, in one worker: what one of them changed for the others would show as well.
        answers = await asyncio.gather(*(in_a_worker(client, workspace, escape) for escape in programs))
        assert (await client.run(workspace, "sibling")).result == 1
    ends = {escape.identifier: ended(answer) for escape, answer in zip(programs, answers, strict=True)}
    assert ends == {escape.identifier: expected(escape) for escape in programs}


LIMIT = asyncio.Semaphore(32)


async def in_a_worker(client: Client, workspace: str, escape: Escape) -> Answer:
    """Run one in a workspace's worker."""
    async with LIMIT:
        return await client.inline(workspace, escape.code)


def ended(answer: Answer) -> str:
    """How a run ended, as `run_escape` has it."""
    if answer.status == 200:
        return NOTHING if answer.result is None else f"reached {answer.result}"
    if answer.body["error"] == "CompilationError":
        return REFUSED
    kind = answer.body["details"].get("type", answer.body["error"])
    return f"reached, {answer.body['message']}" if "JSON form" in answer.body["message"] else str(kind)


# The lists of guards are complete.


def test_every_kind_of_node_that_is_checked_or_refused_is_a_guard() -> None:
    listed = {guard.name.removeprefix("policy: the node ") for guard in GUARDS if "the node" in guard.name}
    assert listed | fence_names.HELD_ELSEWHERE.keys() == policy.CHECKED.keys() | {"TryStar"}


def test_every_table_of_the_modules_is_a_guard() -> None:
    listed = {guard.name for guard in GUARDS} | fence_library.HELD_ELSEWHERE.keys()
    for module in module_tables.NEVER:
        assert {f"module_tables: never, {module}", f"NEVER {module}"} & listed
    for module in module_tables.ONLY:
        assert {f"module_tables: only, {module}", f"ONLY {module}"} & listed
    for module, wrappers in module_wrappers.WRAPPERS.items():
        for name in wrappers:
            assert {f"module_wrappers: {module}.{name}", f"{module}.{name}"} & listed


def test_every_name_that_is_guarded_or_refused_is_a_guard() -> None:
    listed = {guard.name for guard in GUARDS}
    assert {f"names: guarded, {name}" for name in names.GUARDED} <= listed
    refused = [name.removeprefix("names: refused, ").removesuffix("…") for name in listed if "names: refused, " in name]
    old = {"get_coro", "get_stack", "print_stack", "get_context", "map_to_type"}
    assert {
        name for name in names.REFUSED if not name.startswith(("_", "func_", *refused)) and name not in old
    } == set()


def test_every_builtin_that_is_replaced_or_absent_is_a_guard() -> None:
    listed = {guard.name.removeprefix("builtins: ") for guard in GUARDS}
    harmless = {"input", "breakpoint", "help", "exit", "quit"}
    assert builtins._GUARDED.keys() | builtins._ABSENT.keys() - harmless <= listed


def test_every_change_to_the_library_is_a_guard() -> None:
    changes = {name for name in vars(hardening) if name.startswith("_harden_")}
    functional = {"_harden_html_diff", "_harden_annotations"}
    listed = {"enums", "copies", "policies", "decorator", "exits", "attribute_errors"}
    assert changes - functional == {f"_harden_{name}" for name in listed}
    assert len(ownership._NEVER_BASES) == sum("never a base" in guard.name for guard in GUARDS)


def test_what_ends_a_run_cannot_be_named() -> None:
    assert refusal("try: pass\nexcept __skep_stop__: pass")


def test_every_program_reaches_its_goal_where_there_is_no_sandbox(native: Aside) -> None:
    ended = json.loads(native.output())
    assert len(ended) > 200
    assert {identifier: how for identifier, how in ended.items() if how != "reached"} == {}


def test_every_guard_is_held_by_a_program_that_gets_through_without_it(mutations: Aside) -> None:
    assert mutations.output().count("\nheld") == len(GUARDS) - 1
