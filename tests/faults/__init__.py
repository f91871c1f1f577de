"""Faults on purpose: kills, power cuts, hangs, full disks. Slow, so they run in a session of their own (`nox -s faults`)."""
