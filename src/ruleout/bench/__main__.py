"""`python -m ruleout.bench`."""

import sys

from ruleout.bench._cli import main

sys.exit(main())
