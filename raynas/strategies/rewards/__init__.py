"""One file per reward, registered by name. Pure Python."""
