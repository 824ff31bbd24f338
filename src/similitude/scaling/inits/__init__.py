"""How the user's own initialization grows with the width, measured at small sizes."""
