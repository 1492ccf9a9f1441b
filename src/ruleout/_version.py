"""The version, apart from the door, so that every room may know it."""

__version__ = "0.1.0"
