"""The configuration: typed models, one module per concern so that a stage depends only on what it reads."""
