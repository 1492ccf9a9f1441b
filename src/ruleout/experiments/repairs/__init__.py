"""Repairs, one a file: each undoes one kind of fault on logged data."""
