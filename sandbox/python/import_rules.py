"""What an `import` in tenant code may name."""

import ast
from collections.abc import Collection, Iterator

Complaint = tuple[ast.AST, str]
"""A node and what is wrong with it."""


def complaints(node: ast.Import | ast.ImportFrom, offered: Collection[str] | None) -> Iterator[Complaint]:
    """What is wrong with an import. `offered` are the modules that may be named; None leaves that to run time."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _module(alias, alias.name, offered)
    elif node.level:
        yield node, "relative imports are not offered: call the other functions of the workspace by name"
    elif node.module == "__future__":
        yield node, "`from __future__ import …` can stand at the beginning only, for what Python knows: leave it out"
    else:
        yield from _from(node, node.module or "", offered)


def _from(node: ast.ImportFrom, module: str, offered: Collection[str] | None) -> Iterator[Complaint]:
    for alias in node.names:
        if alias.name == "*":
            yield node, f"`from {module} import *` is not offered: name what you need"
        elif alias.name.startswith("_"):
            yield alias, f"`{alias.name}` cannot be imported: only public names can"
    # `from urllib import parse` is another way of writing `import urllib.parse`.
    if not all(_is_offered(f"{module}.{alias.name}", offered) for alias in node.names):
        yield from _module(node, module, offered)


def _is_offered(name: str, offered: Collection[str] | None) -> bool:
    return offered is not None and name in offered


def _module(node: ast.AST, name: str, offered: Collection[str] | None) -> Iterator[Complaint]:
    if any(part.startswith("_") for part in name.split(".")):
        yield node, f"the module `{name}` cannot be imported: only public modules can"
    elif offered is not None and name not in offered:
        yield node, f"the module `{name}` cannot be imported; these can: {', '.join(sorted(offered))}"
