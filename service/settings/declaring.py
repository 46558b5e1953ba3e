"""How a setting is declared, and what can be told of one afterwards."""

from collections.abc import Callable
from dataclasses import Field, field, fields
from typing import Any, NamedTuple


class InvalidSettings(ValueError):
    """The environment has values that cannot be used; `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Description(NamedTuple):
    """What documentation says about one setting."""

    names: tuple[str, ...]
    """In the environment; the first that is set wins."""
    default: str
    """As one would write it there."""
    unit: str
    doc: str


def setting(  # noqa: PLR0913 (one argument for each thing a setting declares)
    default: Any,
    *,
    env: str | tuple[str, ...],
    doc: str,
    parse: Callable[[str], Any],
    unit: str = "",
    shown: str | None = None,
    is_secret: bool = False,
) -> Any:
    """Declare one setting. `parse` raises ValueError with what the value must be; `shown` is the default as text.

    What is secret is in no message and in no `repr` of the settings.
    """
    names = (env,) if isinstance(env, str) else env
    metadata = {"names": names, "doc": doc, "parse": parse, "unit": unit, "shown": shown, "is_secret": is_secret}
    return field(default=default, repr=not is_secret, metadata=metadata)


def describe_settings(settings: type) -> list[Description]:
    """Every setting, in the order of its declaration, for the documentation and the test that holds it to this."""
    return [
        Description(
            names_of(declared),
            str(declared.default) if declared.metadata["shown"] is None else declared.metadata["shown"],
            declared.metadata["unit"],
            declared.metadata["doc"],
        )
        for declared in fields(settings)
    ]


def names_of(declared: Field[Any]) -> tuple[str, ...]:
    names: tuple[str, ...] = declared.metadata["names"]
    return names
