"""The exception that ends a run."""


class RunExpired(BaseException):
    """The deadline of a run has passed, or nobody waits for it any more. Tenant code cannot catch it: the compiler
    puts a handler that lets it through in front of every handler of theirs.
    """
