"""Physics and camera of generated worlds: one plain source that numba and Warp compile."""
