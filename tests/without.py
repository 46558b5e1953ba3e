"""`python -m tests.without CALL=ERRNO … -- COMMAND …`: run a command on a machine that lacks something.

The calls that are named fail with that errno, for the command and all it starts. `capabilities=KEPT,…` leaves no
capabilities but those, by name, or none for a dash.
"""

import errno
import os
import sys

from sandbox.jail import kernel
from sandbox.jail.bpf import Rule, assemble
from sandbox.jail.system_calls import ARCHITECTURES

NUMBERS = {
    "x86_64": {"setresuid": 117, "mount": 165, "unshare": 272, "seccomp": 317, "landlock_create_ruleset": 444},
    "aarch64": {"setresuid": 147, "mount": 40, "unshare": 97, "seccomp": 277, "landlock_create_ruleset": 444},
}
CAPABILITIES = {"setuid": kernel.CAP_SETUID, "setgid": kernel.CAP_SETGID, "kill": kernel.CAP_KILL}
CAPABILITY_LAST = 40


def keep_capabilities(names: str) -> None:
    """What a process of root's has after an exec is what its bounding set leaves."""
    kept = {CAPABILITIES[name] for name in names.split(",") if name != "-"}
    for number in set(range(CAPABILITY_LAST + 1)) - kept:
        kernel.prctl(kernel.PR_CAPBSET_DROP, number)


def refuse(calls: dict[str, int]) -> None:
    """From now on these fail with these errnos."""
    if kernel.CAP_SYS_ADMIN not in kernel.effective_capabilities():
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    rules = [Rule(NUMBERS[kernel.MACHINE][call], error=error) for call, error in calls.items()]
    kernel.seccomp_filter(assemble(ARCHITECTURES[kernel.MACHINE], rules, default=None))


def main() -> None:
    """Give up what was named, then become the command."""
    split = sys.argv.index("--")
    missing = dict(argument.split("=") for argument in sys.argv[1:split])
    kept = missing.pop("capabilities", None)
    refuse({call: getattr(errno, name) for call, name in missing.items()})
    if kept is not None:
        keep_capabilities(kept)
    command = sys.argv[split + 1 :]
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
