"""From probabilities to decisions: a threshold and a temperature fixed on validation images, and how well they do."""
