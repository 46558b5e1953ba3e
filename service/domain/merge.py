"""JSON merge patch, RFC 7396."""

from typing import Any


def merge_patch(target: object, patch: object) -> object:
    """What `target` becomes under `patch`; neither is changed, and what the patch does not name is shared, not copied.

    Iterative: a patch arrives before anybody has looked how deeply it is nested.
    """
    if not isinstance(patch, dict):
        return patch
    result = _object(target)
    pending: list[tuple[dict[str, Any], dict[str, Any]]] = [(result, patch)]
    while pending:
        merged, changes = pending.pop()
        for name, change in changes.items():
            if change is None:
                merged.pop(name, None)
            elif isinstance(change, dict):
                merged[name] = _object(merged.get(name))
                pending.append((merged[name], change))
            else:
                merged[name] = change
    return result


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}
