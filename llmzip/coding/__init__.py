"""The hard side: integers only, the same on every machine, from cells to bits."""
