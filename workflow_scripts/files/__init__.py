"""Reading and writing: arrays, data frames, digests."""
