"""The command line: options, safe files, progress, reports. Nothing heavy is imported before it is needed."""
