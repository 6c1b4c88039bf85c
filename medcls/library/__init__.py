"""The functions that ``import medcls`` offers: what the commands do, for notebooks and programs."""
