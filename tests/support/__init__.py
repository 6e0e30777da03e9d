"""What tests share: real tools, fresh keys."""
