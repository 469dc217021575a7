"""The page that `archive serve` shows, and the JSON API beside it: nothing leaves this machine through either."""
