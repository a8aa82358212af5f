"""The multi-level tree as pure functions: which period a time belongs to, what a chain is, what goes where."""
