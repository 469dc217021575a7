"""Photos as files: finding, reading, turning upright, cropping, drawing."""
