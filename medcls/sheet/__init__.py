"""What finished runs record for the items of reporting checklists, and their model card."""
