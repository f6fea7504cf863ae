"""`python -m statespace`: the command line."""

import sys

from statespace.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
