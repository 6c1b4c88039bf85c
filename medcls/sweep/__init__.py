"""Many runs that answer one question: planned and checked together, run here or by a launcher, and resumed."""
