"""Everything of the search that imports Ray."""
