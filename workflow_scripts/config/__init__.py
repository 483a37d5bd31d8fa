"""The configuration: what a config file may say, and what each job reads of it."""
