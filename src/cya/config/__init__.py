"""The TOML files as typed, validated structures: a client's, an archive host's, and the settings of one root.

Each key is declared once, with its type, what is expected of it and its comment (:mod:`cya.config.keys`); reading,
the messages for mistakes, and the commented files that cya writes all come from that declaration.
"""
