"""What the archive is measured against: other methods, to the letter of what they publish."""
