"""What results say: by factor, by pairs of factors, on the object's surface, between two models."""
