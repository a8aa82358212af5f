"""Tests of what lies beside a backup, against the programs that people would use."""
