"""The engine of our own: reads the source, and writes and reads the format by itself."""
