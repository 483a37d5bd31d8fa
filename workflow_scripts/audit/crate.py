"""The study behind results as a Workflow Run RO-Crate, and the check of such a crate."""
