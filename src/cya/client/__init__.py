"""The client's side, one file a job. It knows nothing of how the archive works."""
