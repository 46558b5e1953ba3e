"""Questions that the policy asks about class statements."""

import ast

from sandbox.python import names
from sandbox.python.names import Verdict


def is_match_args(node: ast.Assign) -> bool:
    """Does this set `__match_args__` to names, written out, that patterns may read?"""
    match node:
        case ast.Assign(targets=[ast.Name(id=names.MATCH_ARGS)], value=ast.Tuple(elts=elements)):
            return all(
                isinstance(element, ast.Constant)
                and isinstance(element.value, str)
                and names.reading(element.value) is Verdict.NATIVE
                for element in elements
            )
    return False


def may_be_metaclass(node: ast.expr) -> bool:
    """Is this called `ABCMeta`? What it is, is asked when the class is made."""
    match node:
        case ast.Name(id="ABCMeta") | ast.Attribute(value=ast.Name(), attr="ABCMeta"):
            return True
    return False
