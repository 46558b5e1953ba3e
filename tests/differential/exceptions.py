"""Raising, chaining, catching, cleaning up and leaving from everywhere; `with`, sync and async."""

from tests.differential import expressions, statements, texts
from tests.differential.writer import Writer

CAUGHT = (
    "Exception as error", "ValueError", "(KeyError, TypeError) as error", "ZeroDivisionError as error",
    "LookupError as error", "ArithmeticError", "", "BaseException as error", "(NameError, AttributeError) as error",
)  # fmt: skip


def raised(w: Writer) -> str:
    """What stands after `raise`."""
    name = w.choices.pick(("ValueError", "KeyError", "RuntimeError", "ZeroDivisionError", "StopIteration", "OSError"))
    return w.choices.pick((f"{name}({texts.text(w, 2)})", name, f"{name}({expressions.number(w, 2)}, 'two')"))


def try_statement(w: Writer) -> None:
    """`try` with handlers, `else` and `finally`, each of which may leave."""
    handled = w.choices.pick((1, 2, 0, 1))
    with w.block("try:"):
        statements.block_of(w)
        if w.choices.chance(45):
            statements.leave(w)
        if handled and w.choices.chance(45):
            w.line(f"raise {raised(w)}" if w.choices.chance(50) else f"print({w.choices.pick(expressions.WRONG)})")
    for number in range(handled):
        # A bare `except` may only be the last.
        last = number == handled - 1
        caught = w.choices.pick([text for text in CAUGHT if text or last])
        if last and w.choices.chance(65):
            caught = w.choices.pick((CAUGHT[0], "", "(Exception, asyncio.CancelledError) as error"))
        with w.block(f"except {caught}:" if caught else "except:"):
            handler(w, named=caught.endswith("error"))
    if handled and w.choices.chance(40):
        with w.block("else:"):
            statements.block_of(w, 2)
            if w.choices.chance(30):
                statements.leave(w)
    if not handled or w.choices.chance(50):
        with w.block("finally:"):
            w.line(f"print('finally', {expressions.number(w, 2)})")
            if w.choices.chance(50):
                statements.block_of(w, 2)
            if w.choices.chance(35):
                statements.leave(w)


def handler(w: Writer, *, named: bool) -> None:
    if named and w.choices.chance(80):
        told = (
            "print(type(error).__name__, error)", "print(error.args)", "print(repr(error))",
            "print(repr(error.__cause__), repr(error.__context__), error.__suppress_context__)",
            "error.add_note('noted'); print(error.__notes__)", "print(isinstance(error, (ValueError, LookupError)))",
            # Of other modules' exceptions Python has the module's name there, which is one of the listed differences.
            "import traceback; print(type(error).__module__ != 'builtins' or traceback.format_exception_only(error))",
        )  # fmt: skip
        w.line(w.choices.pick(told))
    match w.choices.below(12):
        case 0:
            w.line(f"raise {raised(w)}" + w.choices.pick((" from error" if named else " from None", " from None", "")))
        case 1:
            w.line("raise")
        case 2:
            statements.leave(w)
        case _:
            statements.block_of(w, 2)


def with_statement(w: Writer) -> None:
    """A context manager of the program's own; it may swallow what happens, or raise."""
    manager = w.fresh("cm")
    is_async = w.place.is_async and w.choices.chance(40)
    prefix, letter = ("async ", "a") if is_async else ("", "")
    if w.choices.chance(40):
        w.line(f"from contextlib import {letter and 'async'}contextmanager")
        w.line(f"@{letter and 'async'}contextmanager")
        with w.function(f"{prefix}def {manager}(x):", returns=None, is_async=is_async):
            w.bind("x", "int")
            with w.block("try:"):
                w.line(f"yield {expressions.number(w, 1)}")
            with w.block(w.choices.pick(("except ValueError as error:", "except Exception as error:"))):
                w.line(w.choices.pick(("print('swallowed', error)", "raise", "raise KeyError('other') from error")))
            with w.block("finally:"):
                w.line(f"print('leave', {expressions.number(w, 2)})")
    else:
        with w.function(f"class {manager}:", returns=None):
            with w.function("def __init__(self, x):", returns=None):
                w.line("self._x = self.__y = x")
            with w.function(f"{prefix}def __{letter}enter__(self):", returns=None, is_async=is_async):
                w.line("return self._x + self.__y")
            with w.function(
                f"{prefix}def __{letter}exit__(self, kind, error, trace):", returns="none", is_async=is_async
            ):
                w.line("print('exit', kind and kind.__name__, error, trace is None)")
                statements.block_of(w, 1)
                w.line(f"return {w.choices.pick(('False', 'True', 'None', 'kind is ValueError', 'self._x > 3'))}")
    target = w.fresh("v")
    second = f", {manager}({expressions.number(w, 1)})" if w.choices.chance(25) else ""
    with w.block(f"{prefix}with {manager}({expressions.number(w, 1)}) as {target}{second}:"):
        w.bind(target, "int")
        statements.block_of(w)
        if w.choices.chance(35):
            statements.leave(w)
        if w.choices.chance(12):
            w.line(f"raise {raised(w)}")
