"""How a stage runs as a job: its command, its scratch folder, its lock."""
