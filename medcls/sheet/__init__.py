"""What finished runs know of the items of reporting checklists, and their model card."""
