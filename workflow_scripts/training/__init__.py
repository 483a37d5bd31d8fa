"""Training: the networks, SGD, the trajectory that it leaves."""
