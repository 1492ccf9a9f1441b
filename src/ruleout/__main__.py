"""`python -m ruleout`, for where the script is not on the path."""

import sys

from ruleout.cli._main import main

if __name__ == "__main__":
    sys.exit(main())
