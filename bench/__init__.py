"""Benchmarks: every figure is a ratio with a hand-written floor that is measured in the same run (`nox -s bench`)."""
