"""Trained nets handed over: one file that needs no medcls, with all that was fixed on validation images inside."""
