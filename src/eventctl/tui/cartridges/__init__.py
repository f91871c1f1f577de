"""What is installed where, and what can be done with it."""
