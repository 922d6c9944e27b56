"""Training: synthetic scenes, data sets, the simulated user and the trainer."""
