"""Contests: other compressors and other models beside this one, on the same texts."""
