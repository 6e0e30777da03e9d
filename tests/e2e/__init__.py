"""The whole path, from encrypted files through the command line to what a workspace holds."""
