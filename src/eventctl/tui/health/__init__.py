"""How the workspace is: what is wrong and what to do, and who has been silent."""
