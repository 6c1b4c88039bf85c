"""Where nets look, and whether such a map says anything about the net."""
