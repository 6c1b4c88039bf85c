"""Many runs that answer one question: planned and checked together, launched by Hydra, resumed after interruptions."""
