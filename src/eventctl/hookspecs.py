"""The hooks of a plugin: called once when eventctl starts, each returns what the plugin brings. Nothing runs through a hook.

A plugin is a package with an entry point in the group `eventctl`. A hook that a plugin leaves out costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from eventctl.contracts import CartridgeSpec, Enricher, Executor, Guardian

hookspec = pluggy.HookspecMarker("eventctl")
hookimpl = pluggy.HookimplMarker("eventctl")


@hookspec
def eventctl_register_event_types() -> Sequence[dict[str, Any]]:  # type: ignore[empty-body]
    """Parts of the catalog: each a mapping in the form of `event_types.toml`."""


@hookspec
def eventctl_register_cartridges() -> Sequence[CartridgeSpec]:  # type: ignore[empty-body]
    """Library cartridges; they run where something requires or enables them."""


@hookspec
def eventctl_register_executors() -> Sequence[Executor]:  # type: ignore[empty-body]
    """What can answer a `context.call`. Two of one name are a clash that names both plugins."""


@hookspec
def eventctl_register_enrichers() -> Sequence[Enricher]:  # type: ignore[empty-body]
    """What knows something about events from elsewhere. Two of one name are a clash that names both plugins."""


@hookspec
def eventctl_register_guardians() -> Sequence[Guardian]:  # type: ignore[empty-body]
    """Judges of packages, for `[guardian] judge`. Two of one name are a clash that names both plugins."""


@hookspec
def eventctl_register_commands() -> Sequence[click.Command]:  # type: ignore[empty-body]
    """Commands of the `eventctl` command line."""
