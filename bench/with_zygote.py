"""`python -m bench.with_zygote <module>`: the `skep` command with another zygote than its own.

The door to what only a benchmark may have: workers without a jail, workers that run native code. It leads through this
process's memory; no setting and no API of the product goes there.
"""

import sys

from service import cli
from service.workers import fork_server


def main() -> int:
    """Serve with the module that the command line names. Returns the status of `skep`."""
    # Through the namespace, because the product declares it final.
    vars(fork_server)["ZYGOTE_MODULE"] = sys.argv[1]
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
