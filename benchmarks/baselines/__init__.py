"""What others do, to the letter of what they publish: each a process of its own, which is timed from the outside."""
