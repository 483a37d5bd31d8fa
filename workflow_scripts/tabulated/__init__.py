"""The tables, a module for each kind: rows to write, and a page to read."""
