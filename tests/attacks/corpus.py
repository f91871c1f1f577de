"""The attacks, all of them."""

from __future__ import annotations

from tests.attacks.archived import named, tars, wheels, zips
from tests.attacks.disks import disks, packages
from tests.attacks.written import folders

ATTACKS = [*named(), *tars(), *zips(), *wheels(), *folders(), *disks(), *packages()]
