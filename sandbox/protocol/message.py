"""What every message is."""

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of every message: an array on the wire, its kind first."""
