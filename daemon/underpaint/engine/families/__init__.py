"""The model families that the engine runs, a file each."""
