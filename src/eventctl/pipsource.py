"""Fetches a package that is named `pip:NAME` or `pip:NAME==VERSION` with pip: the wheel is downloaded and read, never installed."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "pip:"


def fetch(source: str, *, env: Mapping[str, str], timeout_s: float = 120.0) -> tuple[dict[str, bytes], str]:
    """The files of the wheel, and `pip:NAME==VERSION` of what was found. `env` is the environment pip gets.

    Raises UsageError for what is no such name, Unavailable (no pip, no network, no wheel) with what to do, and BadPackage.
    """
    raise NotImplementedError
