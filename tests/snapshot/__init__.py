"""Snapshots: the logic with stand-ins, and real file systems."""
