"""Where trials run: in this process, in processes of their own, as scripts, or on Ray."""
