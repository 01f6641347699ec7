"""What every room may use: files, texts, caches, tasks and constraints."""
