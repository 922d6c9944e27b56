"""How many prompts until a mask is good: simulated users, measures, methods to compare with."""
