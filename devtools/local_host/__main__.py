"""`python -m devtools.local_host host start`."""

import sys

from devtools.local_host.main import main

if __name__ == "__main__":
    sys.exit(main())
