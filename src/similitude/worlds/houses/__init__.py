"""Buildings of generated worlds: plans of rooms, walls and floors made of boxes, stairs, doors and locks."""
