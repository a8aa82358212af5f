"""Engines make and read increments. Every engine follows :class:`cya.engine.protocol.Engine`."""
