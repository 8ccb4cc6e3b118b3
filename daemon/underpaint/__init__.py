"""Underpaint's daemon, engine and command line."""

from importlib.metadata import version

__version__ = version("underpaint")
