"""From files and generators to batches of token ids."""
