"""Files that score the items of a user's nearest cells only: cells, their search in the graph, and how it is made."""
