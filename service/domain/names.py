"""What workspaces, functions, parameters and variables may be called."""

import builtins
import keyword
import re
import unicodedata
from typing import Final

WORKSPACE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
FUNCTION_NAME_MAX: Final = 64
PARAMETER_NAME_MAX: Final = 64

IN_SCOPE: Final = frozenset({"parameters", "cache", "log", "fetch", "env", "secrets", "context", "print"})
"""What every body sees beside the functions of its workspace."""

# `site` puts these among the builtins of an interactive Python; no body sees them, so they are free.
_FROM_SITE: Final = frozenset({"copyright", "credits", "exit", "help", "license", "quit"})
BUILTINS: Final = frozenset(name for name in dir(builtins) if not name.startswith("_")) - _FROM_SITE


def is_workspace_name(name: str) -> bool:
    return WORKSPACE_NAME.fullmatch(name) is not None


def is_function_name(name: str) -> bool:
    return function_name_problem(name) is None


def function_name_problem(name: str) -> str | None:  # noqa: PLR0911 (one rule a return; a table would hide them)
    """Why no function may be called this, or None if one may.

    A function that was called `len` would change what `len` means in every other function of its workspace.
    """
    if not name:
        return "is no name for a function: it is empty"
    if len(name) > FUNCTION_NAME_MAX:
        return f"is too long for the name of a function: at most {FUNCTION_NAME_MAX} characters"
    if not name.isidentifier():
        return "is no name for a function: use letters, digits and underscores, and begin with a letter"
    if keyword.iskeyword(name):
        return "is no name for a function: it is a keyword of Python"
    if name.startswith("_"):
        return "is no name for a function: it begins with an underscore"
    # Python normalises identifiers when it compiles: two names that differ here would be one there.
    if (normal := unicodedata.normalize("NFKC", name)) != name:
        return f"is no name for a function: Python reads it as {normal!r}, so write that"
    if name in IN_SCOPE or name in BUILTINS:
        return "is no name for a function: it would hide a name that every function sees"
    return None


def is_parameter_name(name: str) -> bool:
    """Any short text without control characters; one that is no identifier is reached through `parameters`."""
    return 0 < len(name) <= PARAMETER_NAME_MAX and not any(unicodedata.category(char) == "Cc" for char in name)


def is_variable_name(name: str) -> bool:
    return VARIABLE_NAME.fullmatch(name) is not None


def revision_key(workspace: str, number: int) -> str:
    """What a pool of a revision that is not the live one is known by. No name of a workspace has an `@` in it."""
    return f"{workspace}@{number}"


def workspace_of(key: str) -> str:
    """The workspace that a pool belongs to."""
    return key.partition("@")[0]
