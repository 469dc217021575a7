"""Where photos are observed: in this process, or on many machines."""
