"""Repairs, one file each; importing one registers it."""
