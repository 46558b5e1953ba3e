"""Tables of names, written as text: forty names in quotation marks are no table any more."""


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())
