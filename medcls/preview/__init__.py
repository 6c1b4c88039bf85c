"""Pictures of what transforms do to one image, computed by the code that training uses."""
