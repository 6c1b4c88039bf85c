"""Runs packed into one file, from which another machine recomputes their table and which names nothing of this one."""
