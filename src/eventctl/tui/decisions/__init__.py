"""The decisions: what waits for a yes, what can be taken back, and what was made of the rest."""
