"""What is held for a person to judge, what failed for good, and what was refused."""
