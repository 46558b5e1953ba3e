"""Objects that tenants hold and cannot change."""

from typing import NoReturn


class Closed:
    """Base of objects that tenants hold: nothing can be set on them, so that no function changes them for another."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")
