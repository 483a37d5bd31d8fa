"""The solvers that fit explainers, a module for each: its `Settings`, and `fit(settings, problem)`, what was fitted."""
