"""Compressed files in the shape of Python's own: file objects, incremental compression, one model for the process."""
