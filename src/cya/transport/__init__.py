"""How files reach ``incoming/next`` and come back from the archive."""
