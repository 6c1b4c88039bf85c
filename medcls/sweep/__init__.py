"""Many runs that answer one question: planned and checked at once, launched by Hydra, gone on with after any end."""
