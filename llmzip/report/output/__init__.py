"""Results as tables, CSV, JSON documents, pictures and pages."""
