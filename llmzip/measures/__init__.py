"""What code lengths tell about texts (docs/measures.md)."""
