"""How deep homogeneous networks leave the saddle at the origin: directions, speeds, ranks (paper 5)."""
