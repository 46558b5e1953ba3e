"""`python -m tests.lean_service`: `skep` as it is where nothing is installed but what it needs.

structlog imports rich where there is one, for tracebacks on a terminal; tools of development bring it along. That is a
fifth of what a start costs, and tests start many.
"""

import sys

sys.modules["rich"] = None  # type: ignore[assignment] # what the import system takes for "there is none"

from service.__main__ import main  # noqa: E402  # after what keeps it from being imported

if __name__ == "__main__":
    main()
