"""The memory of a wearable camera: every photo is segmented, every segment has a vector, every question an answer."""
