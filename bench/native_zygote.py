"""A zygote whose workers compile code that begins with the line `# native` as ordinary Python, in the jail as it is.

For `bench.neighbours`, whose attackers count as having left the language already; started by `bench.with_zygote`.
"""

import textwrap
from collections.abc import Sequence
from types import CodeType
from typing import Any

from bench.attacks import NATIVE
from sandbox import workspace, zygote
from sandbox.python.compiler import BODY, compile_body, filename_of


def compile_native(name: str, code: str, parameters: Sequence[str], **rules: Any) -> CodeType:
    """In place of `compile_body`; the function takes whatever it is given."""
    if not code.startswith(NATIVE):
        return compile_body(name, code, parameters, **rules)
    source = f"async def {BODY}(*parameters):\n{textwrap.indent(code, '    ')}"
    compiled: CodeType = compile(source, filename_of(name), "exec", dont_inherit=True)
    return compiled


if __name__ == "__main__":
    # Through the namespace: a type checker knows functions of a module as what cannot be replaced.
    vars(workspace)["compile_body"] = compile_native
    zygote.main()
