"""What commands ask the wiring for: the catalog, the pipelines, the mistakes. Costs a pydantic, so lists and `emit` stay away."""

from __future__ import annotations

from eventctl.breadcrumb import NoCrumb
from eventctl.catalog import Catalog
from eventctl.cli.session import Session
from eventctl.house import House


def house_of(session: Session) -> House:
    """What the workspace's pipelines are built from."""
    return House(session.paths(), session.env, NoCrumb(), no_plugins=session.no_plugins)


def catalog_of(session: Session) -> Catalog:
    """The declared event types and lives; what does not load is left out (`config check` names it)."""
    return house_of(session).catalog()[0]
