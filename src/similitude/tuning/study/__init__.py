"""Studies in their storages: opened, looked at, exported, and warmed by other studies."""
