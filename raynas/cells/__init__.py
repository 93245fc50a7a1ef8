"""The cell language: genotypes, their one canonical form, search spaces, published cells. Pure Python."""
