"""How the steps of an epoch are taken: many at a time, without what Lightning does between two batches."""
