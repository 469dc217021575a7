"""The command line: one file for each command, and nothing but words and printing in any of them."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
