"""``cya check``: whether a committed tree is whole, found out without any key, changing nothing in ``backups/``."""
