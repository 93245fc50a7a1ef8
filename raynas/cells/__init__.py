"""The language of cells: genotypes, their canonical form, search spaces, published cells. Pure Python."""
