"""Explainers: a module for each family."""
