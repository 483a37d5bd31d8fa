"""The measures: information, corrections, intervals, tests, null models, phases."""
