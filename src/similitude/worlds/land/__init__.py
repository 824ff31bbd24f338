"""Land of generated worlds: islands, biomes, trees, and the rings around which obstacles are built."""
