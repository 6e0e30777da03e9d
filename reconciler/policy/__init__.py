"""All that can be said of the files in git without any key."""
