"""The kinds of network f, a module each: its settings, and `build(settings, input_shape, n_outputs)`.

Settings are read where PyTorch is not loaded, so only `build` imports it.
"""
