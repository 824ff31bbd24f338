"""Grids of cells, the ledger that says which of them are finished, and the engines that compute them."""
