"""cya: multi-level, unattended, encrypted backups in Duplicity's format."""
