"""An assembler for the few instructions of classic BPF that a system call filter needs.

A filter is a list of rules, tried in order: `Rule(number, checks)` lets one system call through if all of its checks
hold; else the call gets an errno. Sources: seccomp(2), linux/filter.h, linux/seccomp.h.
"""

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

_ALLOW: Final = 0x7FFF_0000
_KILL_PROCESS: Final = 0x8000_0000
_ERRNO: Final = 0x0005_0000

_AT_NUMBER: Final = 0
_AT_ARCHITECTURE: Final = 4
_AT_ARGUMENTS: Final = 16
_ARGUMENT_BYTES: Final = 8

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


@dataclass(frozen=True, slots=True)
class Check:
    """One argument, masked, is one of these values.

    Only the lower 32 bits are looked at: for arguments of which the kernel reads no more, or no more that matters.
    """

    argument: int
    mask: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One system call. It is let through if every check holds; without `error`, what fails them gets EPERM."""

    number: int
    checks: tuple[Check, ...] = ()
    error: int | None = None
    """Set for a call that is refused whatever its arguments, with this errno."""


def assemble(
    architecture: int, rules: Iterable[Rule], *, foreign_from: int | None = None, default: int | None = errno.EPERM
) -> bytes:
    """An array of `struct sock_filter`.

    A call made the way of another architecture ends the process, as does one numbered `foreign_from` or above: the
    numbers would mean something else there. What no rule names gets the errno `default`, or passes if that is None.
    """
    program: list[Instruction] = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _AT_NUMBER),
    ]
    if foreign_from is not None:
        program += [(_JUMP_AT_LEAST, 0, 1, foreign_from), (_RETURN, 0, 0, _KILL_PROCESS)]
    for rule in rules:
        body = _body(rule)
        program += [(_JUMP_EQUAL, 0, len(body), rule.number), *body]
    program.append((_RETURN, 0, 0, _ALLOW if default is None else _ERRNO | default))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _body(rule: Rule) -> list[Instruction]:
    """What happens once the number is known; every way through it ends in a return."""
    if rule.error is not None:
        return [(_RETURN, 0, 0, _ERRNO | rule.error)]
    body: list[Instruction] = []
    for check in rule.checks:
        body += [(_LOAD, 0, 0, _AT_ARGUMENTS + _ARGUMENT_BYTES * check.argument), (_AND, 0, 0, check.mask)]
        for left, value in zip(range(len(check.values) - 1, -1, -1), check.values, strict=True):
            # Past the other values and the refusal after them.
            body.append((_JUMP_EQUAL, left + 1, 0, value))
        body.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
    return [*body, (_RETURN, 0, 0, _ALLOW)]
