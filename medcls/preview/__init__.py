"""Pictures of what transforms do to one image, made by the code that training uses."""
