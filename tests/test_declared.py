"""What `why` reads instead of the catalog says the same as the catalog."""

from __future__ import annotations

from eventctl import catalog
from eventctl.declared import Declared

CATALOG = catalog.load((f"types/{part['namespace']}", part) for part in catalog.shipped_parts())[0]


def test_it_says_what_the_catalog_says_and_survives_its_text():
    held = Declared.read(Declared.of(CATALOG).text())
    for entry in CATALOG:
        assert held.declared(entry.type)
        assert entry.owner == held.owner(entry.type)
        assert list(entry.lives) == held.roles(entry.type)
    for life in CATALOG.lives():
        assert list(life.key) == held.key(life.name)
        payload = {field: number for number, field in enumerate(life.key)}
        assert life.key_of(payload) == held.key_of(life.name, payload)


def test_what_nobody_declares_has_neither_owner_nor_roles():
    held = Declared.of(CATALOG)
    assert (False, "", []) == (held.declared("no.such"), held.owner("no.such"), held.roles("no.such"))


def test_its_text_is_the_same_for_the_same_catalog():
    assert Declared.of(CATALOG).text() == Declared.read(Declared.of(CATALOG).text()).text()
