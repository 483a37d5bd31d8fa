"""Which simple function explains what SGD has learned so far? One module per stage, and the libraries they share."""
