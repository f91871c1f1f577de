"""Test suites that whoever implements a contract can run: subclass one in a test file and give it its fixture."""
