"""The data sets, a module for each kind: its `Settings`, and `make(settings, data_root)`, the arrays of its file.

data_root: the folder of downloaded data sets, which only published ones need.
"""
