"""Pictures of worlds: colours, maps, replays."""
