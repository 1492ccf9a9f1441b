"""`python -m ruleout.modes` prints the catalogue page of the failure modes."""

import sys

from ruleout.modes import catalogue

sys.stdout.write(catalogue())
