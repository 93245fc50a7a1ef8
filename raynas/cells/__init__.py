"""The language of cells: genotypes, their canonical form, search spaces, published cells.

Pure Python. May import registry and what is below it.
"""
