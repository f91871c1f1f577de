"""Workspaces for the dashboard's tests: those of the command line's, so that both faces are held to the same."""

from tests.cli.conftest import env, face

__all__ = ["env", "face"]
