"""The filter of system calls, run by an interpreter of classic BPF: what it lets through, and what it answers."""

import errno
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.jail import system_calls
from sandbox.jail.bpf import Check, Rule, assemble

ALLOW = 0x7FFF0000
KILL = 0x80000000
X86_64 = system_calls.ARCHITECTURES["x86_64"]
I386 = 0x40000003
CALLS = system_calls.NUMBERS["x86_64"]


def refused(code: int) -> int:
    return 0x00050000 | code


def run(program: bytes, number: int, *arguments: int, architecture: int = X86_64) -> int:
    """What the kernel would be told about this call."""
    given_arguments = (*arguments, *([0] * 6))[:6]
    data = struct.pack("=iIQ6Q", number, architecture, 0, *(value % 2**64 for value in given_arguments))
    instructions = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(f"an instruction nobody writes: {code:#x}")


@pytest.fixture(scope="module")
def program() -> bytes:
    """The filter for x86_64, on whatever machine the test runs."""
    rules = [*system_calls.rules("x86_64")]
    return assemble(X86_64, rules, foreign_from=system_calls.X32_BIT)


def _dangerous() -> Iterator[int]:
    listed = set(CALLS.values())
    return (number for number in range(600) if number not in listed)


def test_whatever_is_not_listed_gets_eperm(program: bytes) -> None:
    for number in _dangerous():
        assert run(program, number, 1, 2, 3) == refused(errno.EPERM), number


def test_clone3_is_said_not_to_exist(program: bytes) -> None:
    assert run(program, CALLS["clone3"]) == refused(errno.ENOSYS)


def test_calls_made_the_way_of_another_architecture_end_the_process(program: bytes) -> None:
    for number in (*range(600), 0x40000000, 0x40000001, 0x7FFFFFFF, -1):
        assert run(program, number, architecture=I386) == KILL
    for number in (0x40000000, 0x40000000 + CALLS["read"], 0x7FFFFFFF, -1):
        assert run(program, number) == KILL


PRIVATE, SHARED, SHARED_VALIDATE, ANONYMOUS, FIXED, NORESERVE = 2, 1, 3, 0x20, 0x10, 0x4000
READ, WRITE, EXECUTE = 1, 2, 4

ARGUMENTS: list[tuple[str, tuple[int, ...], bool]] = [
    ("mmap", (0, 4096, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0), True),
    ("mmap", (0, 4096, READ | WRITE, PRIVATE | ANONYMOUS | NORESERVE, -1, 0), True),
    ("mmap", (0, 4096, READ | EXECUTE, PRIVATE | ANONYMOUS, -1, 0), False),
    ("mmap", (0, 4096, READ | WRITE | EXECUTE | 2**40, PRIVATE | ANONYMOUS, -1, 0), False),
    ("mmap", (0, 4096, READ | WRITE, SHARED | ANONYMOUS, -1, 0), False),
    ("mmap", (0, 4096, READ | WRITE, SHARED_VALIDATE | ANONYMOUS, -1, 0), False),
    ("mmap", (0, 4096, READ, PRIVATE, 0, 0), False),
    ("mprotect", (4096, 4096, READ), True),
    ("mprotect", (4096, 4096, READ | EXECUTE), False),
    ("madvise", (4096, 4096, 4), True),
    ("madvise", (4096, 4096, 12), False),
    ("madvise", (4096, 4096, 100), False),
    ("ioctl", (3, 0x5421, 0), True),
    ("ioctl", (3, 0x5421 | 2**32, 0), True),  # the kernel reads 32 bits too
    ("ioctl", (0, 0x5401, 0), False),
    ("futex", (0, 0x80, 0), True),
    ("futex", (0, 0x189, 0), True),
    ("futex", (0, 6, 0), False),
    ("futex", (0, 12, 0), False),
]


@pytest.mark.parametrize(("call", "arguments", "passes"), ARGUMENTS, ids=str)
def test_arguments_decide_where_the_kernel_would_do_more_than_is_needed(
    program: bytes, call: str, arguments: tuple[int, ...], passes: bool
) -> None:
    assert run(program, CALLS[call], *arguments) == (ALLOW if passes else refused(errno.EPERM))


@given(
    values=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8, unique=True),
    mask=st.integers(0, 2**32 - 1),
    argument=st.integers(0, 5),
    value=st.integers(0, 2**32 - 1),
)
def test_a_check_lets_its_values_through_and_no_other(values: list[int], mask: int, argument: int, value: int) -> None:
    program = assemble(X86_64, [Rule(7, (Check(argument, mask, tuple(values)),)), Rule(9)])
    for candidate in (value, *values):
        arguments = [0] * 6
        arguments[argument] = candidate
        expected = ALLOW if candidate & mask in values else refused(errno.EPERM)
        assert run(program, 7, *arguments) == expected
    assert run(program, 9, value) == ALLOW
    assert run(program, 8, value) == refused(errno.EPERM)


def test_every_call_of_the_list_has_a_number_on_some_machine() -> None:
    known = {name for numbers in system_calls.NUMBERS.values() for name in numbers}
    assert set(system_calls.ALLOWED) <= known
    for machine, numbers in system_calls.NUMBERS.items():
        assert len(set(numbers.values())) == len(numbers), machine
        assert set(numbers) <= {*system_calls.ALLOWED, "clone3"}
