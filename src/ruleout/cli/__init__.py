"""The command line: parse, call, render. No statistics and no decisions."""
