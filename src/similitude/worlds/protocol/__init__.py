"""The protocol of generated worlds: what is asked, who plays, and what scores say together."""
