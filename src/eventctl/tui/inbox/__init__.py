"""The inbox: lives as rows, filtered, grouped, and one of them beside the list."""
