"""What scenes are made of besides objects: textures, materials, environments, and files of others."""
