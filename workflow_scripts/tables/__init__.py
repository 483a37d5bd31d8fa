"""The tables, a module for each kind."""
