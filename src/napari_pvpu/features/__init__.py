"""Where views become features and prompts become tensors: the border to torch."""
