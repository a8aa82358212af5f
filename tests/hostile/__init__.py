"""A client that wants to do harm: as its Unix user with a shell on the archive host, and over SFTP.

``villain.py`` is such a process, ``world.py`` is what it must not change. The attacks stand in tables, a file for each
theme: a function that does the harm, and what has to become of it.
"""
