"""The reading half of the native engine."""
