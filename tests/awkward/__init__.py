"""A tree with all that a backup tends to lose, and what tells whether it came back."""
