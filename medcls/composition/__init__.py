"""conf/ and the user's own folders, composed by Hydra: what the commands and the library start from."""
