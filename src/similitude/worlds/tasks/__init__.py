"""The twenty tasks: each builds a world and writes down how it is solved.

`build(site, budget)` makes a whole world. Outdoor obstacles that can be chained are functions
`obstacle(site, budget, ring, prefix="") -> float`: they edit the land in the band of a ring that begins at depth 0, add
what is needed to pass it on the side one comes from (depth below 0), write the steps from there to the other side, and
return the depth at which the land is left as it was (but for its height). Parameters are named `prefix + name`.
"""
