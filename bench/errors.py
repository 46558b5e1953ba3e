"""What a benchmark can fail at."""


class MeasureError(Exception):
    """A figure cannot be had: a server died or did not start, an answer was wrong, a run was warm that had to be cold.

    A missed target is not a failure; it is a figure.
    """
